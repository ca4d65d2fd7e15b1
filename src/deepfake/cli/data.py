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
    for dataset in (settings.dataset, *settings.cross_dataset.away):
        catalog.require(dataset)
    orphans.check(settings)
    plan.write_code()
    plan.write_fixed(settings)
    tables.write_text(json.dumps({"dataset": settings.dataset}) + "\n", layout.CHECKED)


@click.command()
@click.argument("name", default="sample")
def sample(name: str) -> None:
    """Generate the embedded data set NAME (default: sample) from real photographs."""
    from deepfake import console, params
    from deepfake.data import contact_sheet, generated

    recipe = generated.find(name)
    settings = params.load()
    with console.steps(f"generating {name}") as progress:
        recipe.generate(settings, layout.raw(name), progress)
    contact_sheet.draw(layout.raw(name), recipe.titles, layout.figure(name))


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
    from deepfake import console, params, runtime
    from deepfake.data import catalog, ingest

    settings = params.load().ingest
    entry = catalog.find(dataset)
    if raw is not None:
        catalog.attach(dataset, here / raw)
    with console.steps(f"ingesting {dataset}") as progress:
        click.echo(ingest.write(dataset, entry, settings, threads=runtime.cores(), progress=progress))


@click.command()
@click.argument("dataset")
def split(dataset: str) -> None:
    """Give every sample of DATASET its test set or fold; groups stay together."""
    from deepfake import params
    from deepfake.data import catalog, partition

    partition.write(dataset, params.load(), catalog.load())


@click.command()
@click.argument("dataset")
def faces(dataset: str) -> None:
    """Find the face in every image of DATASET; a run that was killed goes on."""
    from deepfake import console, params
    from deepfake.studies import faces

    settings = params.load()
    loader = settings.presets[settings.preset].loader
    table = "faces" if dataset == settings.dataset else f"faces_{dataset}"
    with console.steps(f"{dataset}: finding faces") as progress:
        rates = faces.run(dataset, settings.faces, loader, table=table, on_progress=progress)
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


@click.command()
@click.argument("dataset")
def prepare(dataset: str) -> None:
    """Bring DATASET as far as trained detectors need it: ingest, split, features, views (`cross_dataset`)."""
    from contextlib import ExitStack

    from deepfake import config, console
    from deepfake.studies import prepare

    with ExitStack() as bars:
        told = prepare.run(
            dataset,
            config.load(),
            announce=console.say,
            progress=lambda title: bars.enter_context(console.steps(title)),
        )
    click.echo(told)


@click.command()
def union() -> None:
    """Join the study's data set and those of `cross_dataset.union` into one to be trained on."""
    from deepfake import config
    from deepfake.studies import union

    settings = config.load()
    manifest = union.run(settings)
    click.echo(f"{layout.UNION}: {len(manifest)} samples of {', '.join(union.members(settings))}")


COMMANDS = (check, sample, data, ingest, split, faces, cache, conditions, weights, prepare, union)
