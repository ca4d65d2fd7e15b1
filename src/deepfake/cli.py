"""The command line: a command parses, calls and writes; it imports what is heavy only when it runs."""

import os
import sys
from pathlib import Path

import click

from deepfake import layout
from deepfake.errors import InputError


class _Group(click.Group):
    """Turns what the user can mend into one line and exit code 2, and works from any folder of a project."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command in the project's root; paths that the user gave start from where they were (`ctx.obj`)."""
        ctx.obj = Path.cwd()
        try:
            _enter_project()
            return super().invoke(ctx)
        except InputError as error:
            _fail(str(error))
        except OSError as error:
            # disk full, no permission, a file in the way: the operating system's words and the path say it
            _fail(f"{error.filename or 'file system'}: {error.strerror or error}")


def _fail(message: str) -> None:
    """Print one line and leave with exit code 2."""
    click.echo(f"deepfake: {message}", err=True)
    sys.exit(2)


def _enter_project() -> None:
    """Change to the nearest folder upwards that holds a params.yaml, when there is one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / layout.PARAMS).exists():
            os.chdir(folder)
            return


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deepfake")
def main() -> None:
    """A laboratory for deepfake detectors: which one works, why, and will it work on data it has never seen?

    Values come from params.yaml; `dvc repro` runs the commands in their order.
    """


@main.command()
def check() -> None:
    """Check params.yaml and the catalog, and that the data set is there."""
    import json

    from deepfake import config, tables
    from deepfake.data import catalog

    settings = config.load()
    catalog.require(settings.dataset)
    tables.write_text(json.dumps({"dataset": settings.dataset}) + "\n", layout.CHECKED)


@main.command()
def sample() -> None:
    """Generate the embedded sample data set from real photographs."""
    from deepfake import console, params
    from deepfake.data import sample

    settings = params.load().sample
    with console.steps("generating the sample") as progress:
        sample.generate(settings, layout.raw("sample"), progress)
    sample.contact_sheet(layout.raw("sample"), layout.figure("sample"))


@main.group()
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


@main.command()
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


@main.command()
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


@main.command()
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


@main.command()
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


@main.command()
def conditions() -> None:
    """Draw what each view shows and what each augmentation does, on images of the data set."""
    from deepfake import config
    from deepfake.studies import conditions

    conditions.draw(config.load())


@main.command()
@click.argument("experiment", required=False)
def train(experiment: str | None) -> None:
    """Train and predict EXPERIMENT on every fold.

    Without a name: bring the custom run (`model` in params.yaml) and all it needs up to date.
    """
    from deepfake import config, console
    from deepfake.studies import pipeline

    settings = config.load()
    if experiment is None:
        sys.exit(pipeline.custom())
    resolved = config.resolve(settings, experiment)
    from deepfake.studies import crossval  # loads torch, which a mistake in params need not wait for

    with console.steps(f"{experiment}: decoding") as on_decode, console.folds(experiment) as on_news:
        outcome = crossval.run(resolved, announce=console.say, on_decode=on_decode, on_news=on_news)
    auc = outcome.by_fold["auc"]
    click.echo(f"{experiment}: AUC {auc.mean():.3f} ± {auc.std():.3f} over {len(auc)} held-out folds")


@main.command()
@click.argument("table")
def compare(table: str) -> None:
    """Compare the experiments of TABLE (`tables` in params.yaml): intervals and corrected tests."""
    from deepfake import config
    from deepfake.errors import unknown
    from deepfake.studies import comparison

    settings = config.load()
    if table not in settings.tables:
        raise InputError(f"tables: {unknown('table', table, settings.tables)}")
    comparison.run(table, settings.tables[table], settings.dataset, settings.evaluation, settings.shared.seed)


@main.command()
def report() -> None:
    """Write reports/summary.md and its figures."""
    from deepfake import config
    from deepfake.reports import document

    document.write(config.load())
    click.echo(f"wrote {layout.SUMMARY}")


@main.group()
def bench() -> None:
    """Measure how fast things are on this machine."""


@bench.command()
@click.option("--images", default=256, show_default=True, type=click.IntRange(32), help="Images in an epoch.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="Epochs of each loader.")
@click.option("--write", is_flag=True, help="Keep the table under reports/bench.")
def loading(images: int, repeats: int, write: bool) -> None:
    """Time our loader against those of torchvision and timm, on the same files."""
    from deepfake import config, console, runtime, tables
    from deepfake.bench import loading as benchmark

    with console.steps("timing loaders") as progress:
        rows = benchmark.run(config.load(), count=images, repeats=repeats, progress=progress)
    text = benchmark.report(rows, repeats)
    click.echo(text)
    if write:
        tables.write_text(text, layout.bench(f"loading_{runtime.device().type}"))


@bench.command()
@click.option("--images", default=400, show_default=True, type=click.IntRange(1), help="Images to measure on.")
@click.option("--write", is_flag=True, help="Keep the table under reports/bench.")
def resampling(images: int, write: bool) -> None:
    """Measure how sharp augmented images are beside those of the evaluation."""
    from deepfake import config, tables
    from deepfake.bench import resampling

    rows = resampling.run(config.load(), count=images)
    text = rows.to_markdown(index=False, floatfmt=(".0f", *[".2f"] * (rows.shape[1] - 1))) + "\n"
    click.echo(text)
    if write:
        tables.write_text(text, layout.bench("resampling"))
