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
        """Run a command in the project's root."""
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

    from deepfake import params, tables
    from deepfake.data import catalog

    settings = params.load()
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


@main.command()
@click.argument("dataset")
def ingest(dataset: str) -> None:
    """Hash and decode every file of DATASET; set aside what cannot be used."""
    from deepfake import console, params, runtime, tables
    from deepfake.data import catalog, ingest

    settings = params.load().ingest
    entry = catalog.find(dataset)
    with console.steps(f"ingesting {dataset}") as progress:
        samples, quarantine = ingest.ingest(
            dataset,
            entry,
            layout.raw(dataset),
            max_quarantined=settings.max_quarantined,
            threads=runtime.cores(),
            progress=lambda done: progress(done, 0),
        )
    tables.write(samples, layout.samples(dataset), tables.SAMPLES)
    tables.write_csv(quarantine, layout.quarantine(dataset))
    click.echo(f"{dataset}: {len(samples)} samples, {len(quarantine)} in {layout.quarantine(dataset)}")


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
@click.argument("experiment", required=False)
def train(experiment: str | None) -> None:
    """Train and predict EXPERIMENT on every fold.

    Without a name: bring the custom run (`model` in params.yaml) and all it needs up to date.
    """
    from deepfake import console, params
    from deepfake.studies import pipeline

    settings = params.load()
    if experiment is None:
        sys.exit(pipeline.custom())
    config = params.resolve(settings, experiment)
    from deepfake.studies import crossval  # loads torch, which a mistake in params need not wait for

    with console.steps(f"{experiment}: decoding") as on_decode, console.folds(experiment) as on_news:
        outcome = crossval.run(config, on_decode=on_decode, on_news=on_news)
    auc = outcome.by_fold["auc"]
    click.echo(f"{experiment}: AUC {auc.mean():.3f} ± {auc.std():.3f} over {len(auc)} held-out folds")


@main.command()
@click.argument("table")
def compare(table: str) -> None:
    """Compare the experiments of TABLE (`tables` in params.yaml): intervals and corrected tests."""
    from deepfake import params
    from deepfake.errors import unknown
    from deepfake.studies import comparison

    settings = params.load()
    if table not in settings.tables:
        raise InputError(f"tables: {unknown('table', table, settings.tables)}")
    comparison.run(table, settings.tables[table], settings.dataset, settings.evaluation, settings.shared.seed)


@main.command()
def report() -> None:
    """Write reports/summary.md and its figures."""
    from deepfake import params
    from deepfake.reports import document

    document.write(params.load())
    click.echo(f"wrote {layout.SUMMARY}")
