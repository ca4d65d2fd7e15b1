"""The commands that prepare data: from raw files to splits, faces and pixels."""

from pathlib import Path

import click

from deepfake import layout


@click.command()
def check() -> None:
    """Check params.yaml and the catalog, and that the data set is there; write what the trainings depend on."""
    import json

    from deepfake import config, tables
    from deepfake.data import catalog
    from deepfake.studies import orphans, plan

    settings = config.load()
    catalog.require(settings.dataset)
    orphans.check(settings)
    plan.write_code()
    plan.write_fixed(settings)
    tables.write_text(json.dumps({"dataset": settings.dataset}) + "\n", layout.CHECKED)


@click.command()
def sample() -> None:
    """Generate the embedded sample data set from real photographs."""
    from deepfake import console, params
    from deepfake.data import sample

    settings = params.load().sample
    with console.steps("generating the sample") as progress:
        sample.generate(settings, layout.raw("sample"), progress)
    sample.contact_sheet(layout.raw("sample"), layout.figure("sample"))


@click.group()
def data() -> None:
    """Obtain published data sets."""


@data.command()
@click.argument("dataset")
def fetch(dataset: str) -> None:
    """Download the published archives of DATASET at the pinned revision; goes on where it was cut off."""
    from deepfake import console
    from deepfake.data import catalog
    from deepfake.data import fetch as hub

    entry = catalog.find(dataset)
    with console.steps(f"fetching {dataset}") as progress:
        hub.fetch(dataset, entry, layout.raw(dataset), progress=progress)
    click.echo(hub.next_steps(dataset))


@click.command()
@click.argument("dataset")
@click.option("--raw", type=click.Path(path_type=Path), help="Where the files lie, if not in data/raw/DATASET.")
@click.pass_obj
def ingest(here: Path, dataset: str, raw: Path | None) -> None:
    """Hash and decode every file of DATASET; set aside what cannot be used."""
    from deepfake import console, params, runtime, tables
    from deepfake.data import catalog, ingest

    settings = params.load().ingest
    entry = catalog.find(dataset)
    if raw is not None:
        catalog.attach(dataset, here / raw)
    with console.steps(f"ingesting {dataset}") as progress:
        samples, quarantine = ingest.ingest(
            dataset,
            entry,
            layout.raw(dataset),
            max_quarantined=settings.max_quarantined,
            threads=runtime.cores(),
            progress=progress,
        )
    duplicates = ingest.duplicates(samples)
    tables.write(samples, layout.samples(dataset), tables.SAMPLES)
    tables.write_csv(quarantine, layout.quarantine(dataset))
    tables.write_csv(duplicates, layout.duplicates(dataset))
    both = duplicates["both_labels"].sum()
    click.echo(
        f"{dataset}: {len(samples)} samples, {len(quarantine)} files in {layout.quarantine(dataset)}, "
        f"{len(duplicates)} in several groups ({both} both real and fake) in {layout.duplicates(dataset)}"
    )


@click.command()
@click.argument("dataset")
def split(dataset: str) -> None:
    """Give every sample of DATASET its test set or fold; groups stay together."""
    from deepfake import params, tables
    from deepfake.data import splits

    settings = params.load()
    samples = tables.read(layout.samples(dataset), tables.SAMPLES)
    manifest = splits.split(
        samples,
        folds=settings.presets[settings.preset].folds,
        test_ratio=settings.shared.test_ratio,
        seed=settings.shared.seed,
    )
    tables.write(manifest, layout.manifest(dataset), tables.MANIFEST)


@click.command()
@click.argument("dataset")
def faces(dataset: str) -> None:
    """Find the face in every image of DATASET; a run that was killed goes on."""
    from deepfake import console, params
    from deepfake.studies import faces

    settings = params.load()
    loader = settings.presets[settings.preset].loader
    with console.steps(f"{dataset}: finding faces") as progress:
        rates = faces.run(dataset, settings.faces, loader, on_progress=progress)
    click.echo(f"{dataset}: a face in {rates['found'].sum()} of {rates['samples'].sum()} images")


@click.command()
@click.argument("view")
def cache(view: str) -> None:
    """Decode every image once, as VIEW (`views` in params.yaml) shows it."""
    from deepfake import config, console, runtime
    from deepfake.loading import views

    settings = config.load()
    resolved = config.resolve_view(settings, view)
    with console.steps(f"{view}: decoding") as progress:
        facts = views.write(
            resolved, threads=runtime.cores(), cuda=runtime.has_gpu(), announce=console.say, progress=progress
        )
    if resolved.face_margin is not None:
        click.echo(f"{view}: {facts['without_face']} of {facts['images']} images have no face: their central square")


@click.command()
def conditions() -> None:
    """Draw what each view shows and what each augmentation does, on images of the data set."""
    from deepfake import config
    from deepfake.studies import conditions

    conditions.draw(config.load())


@click.command()
def weights() -> None:
    """Bring the ImageNet weights that models of the study start from into data/weights."""
    from deepfake import config, console
    from deepfake.studies import weights as study

    study.run(config.load(), announce=console.say)


COMMANDS = (check, sample, data, ingest, split, faces, cache, conditions, weights)
