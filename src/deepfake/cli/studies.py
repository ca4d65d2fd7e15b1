"""The commands of the study: one a study, and those that train and keep runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from deepfake.errors import InputError
from deepfake.project import paths

if TYPE_CHECKING:
    from deepfake.cli.console import Shown
    from deepfake.config.params import Params
    from deepfake.reports.findings import Findings


@contextmanager
def _training() -> "Iterator[tuple[Params, Shown]]":
    """Give the settings, and what shows how training goes; refuse a GPU that is there and cannot be used."""
    from deepfake import config, execution
    from deepfake.cli import console
    from deepfake.ops.doctor import gpu

    settings = config.load()
    finding = gpu.at_hand()
    if finding.mark == "missing":
        raise InputError(f"GPU: {finding.found}; {finding.remedy}")
    note = f"GPU: {finding.found} ({finding.remedy})" if finding.mark == "note" else ""
    executor = execution.create(settings.execution)
    with execution.using(executor, settings.engine), console.shown(note) as progress:
        yield settings, progress


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN]...")
def train(names: tuple[str, ...]) -> None:
    """Train each RUN (`deepfake runs list`) on every fold, unless the run store has it.

    Without a name: bring the custom run (`model` in params.yaml) and all it needs up to date.
    """
    if not names:
        from deepfake import config
        from deepfake.cli import console
        from deepfake.ops import pipeline

        with console.shown() as progress:
            sys.exit(pipeline.custom(config.load(), progress))
    from deepfake.runs import completion

    with _training() as (settings, progress):
        completion.runs(settings, names, progress)
    _tell(names)


def _tell(names: "tuple[str, ...] | list[str]") -> None:
    """Print the AUC of runs."""
    import json

    for name in names:
        found = json.loads(paths().headline(name).read_text(encoding="utf-8"))
        click.echo(f"{name}: AUC {found['auc']:.3f} ± {found['auc_std']:.3f} over held-out folds")


def _complete(study: str) -> "Params":
    """Bring all runs of a study into its folder, print their AUC, and return the settings."""
    from deepfake.runs import completion

    with _training() as (settings, progress):
        completion.complete(settings, study, progress)
    _tell(completion.names(settings, study))
    return settings


def _phase(study: str) -> None:
    """Train a phase, compare its runs, decide what it is there to decide, and write tables, findings and page."""
    from deepfake.reports import findings
    from deepfake.studies.phases import analysis as phases
    from deepfake.studies.phases import findings as conclusions
    from deepfake.studies.phases import page as pages
    from deepfake.studies.phases import selection

    settings = _complete(study)
    for line in phases.run(study, settings):
        click.echo(f"caution: {line}")
    if study == "phase2":
        decision = selection.decide(settings)
        crop = "yes" if decision.face_crop else "no"
        click.echo(f"decided: resolution {decision.resolution}, face crop {crop}, augmentation {decision.augmentation}")
    if study == "phase3":
        click.echo(f"phase 4 continues with {', '.join(selection.rank(settings))}")
    if study == "phase4":
        click.echo(f"final model: {selection.final(settings)}")
    found = findings.write(study, conclusions.of(study, settings))
    pages.write(study, settings)
    _conclude(found)


def _conclude(found: "Findings") -> None:
    """Print the findings that matter most."""
    for one in found.key:
        click.echo(f"{one.question} {one.answer} ({one.figures})")


@click.command()
def custom() -> None:
    """The custom run (`model` and `custom` in params.yaml), compared with the simplest baseline."""
    _phase("custom")


@click.command()
def phase1() -> None:
    """Phase 1: architecture baselines under the same conditions."""
    _phase("phase1")


@click.command()
def phase2() -> None:
    """Phase 2: shortcuts and preprocessing; decides resolution, face crop and augmentation."""
    _phase("phase2")


@click.command()
def phase3() -> None:
    """Phase 3: more architectures, under what phase 2 decided; decides which of them phase 4 trains on more data."""
    _phase("phase3")


@click.command()
def phase4() -> None:
    """Phase 4: the best models on more data."""
    _phase("phase4")


@click.command()
def final() -> None:
    """Open the test set, once, for the final model (reports/decisions/final.json)."""
    from deepfake import config
    from deepfake.cli import console
    from deepfake.studies.final import analysis, page

    with console.shown() as progress:
        found = analysis.run(config.load(), progress)
    page.write()
    for one in found:
        click.echo(f"{one.question} {one.answer} ({one.figures})")


@click.command()
def imbalance() -> None:
    """Class imbalance: losses, samplers and thresholds compared."""
    from deepfake.studies.imbalance import analysis, page

    settings = _complete("imbalance")
    analysis.run(settings)
    click.echo(page.write(settings))


@click.command()
def generalization() -> None:
    """Every detector on every data set: in-domain against out-of-domain."""
    from deepfake import execution
    from deepfake.cli import console
    from deepfake.reports import findings as stored
    from deepfake.runs import completion
    from deepfake.studies.cross_domain import collect
    from deepfake.studies.generalization import analysis, combined, external, findings, page

    settings = _complete("generalization")
    others = external.rows(settings)
    names = completion.names(settings, "generalization")
    datasets = [settings.dataset, *settings.studies.generalization.datasets]
    with execution.using(execution.here(settings.execution)), console.shown() as progress:
        cells = collect.run(names, datasets, settings, progress, combined.members(settings))
    analysis.write(cells, others, settings)
    found = stored.write(analysis.NAME, findings.of(analysis.read()))
    page.write(settings)
    click.echo(f"wrote {paths().page(analysis.NAME)}: {len(found)} findings")


def _own_data(study: str) -> None:
    """Train a study of data sets of its own, and write its tables, findings and page."""
    import importlib

    from deepfake import config, execution, runtime
    from deepfake.cli import console
    from deepfake.studies import own_data

    own_data.check(study, config.load())
    settings = _complete(study)
    parts = ("analysis", "findings", "page")
    analysis, findings, page = (importlib.import_module(f"deepfake.studies.{study}.{part}") for part in parts)
    with execution.using(execution.here(settings.execution)), console.shown() as progress:
        found = own_data.run(study, settings, analysis.write, findings.of, threads=runtime.cores(), progress=progress)
    page.write(settings)
    _conclude(found)
    click.echo(f"wrote {paths().page(study)}: {len(found)} findings")


@click.command()
def audio() -> None:
    """Speech: detectors of vocoders, unknown ones among them, on recordings of unseen speakers and another data set."""
    _own_data("audio")


@click.command()
def video() -> None:
    """Clips: one verdict on a whole clip against verdicts on its frames."""
    _own_data("video")


@click.command()
@click.argument("name", metavar="RUN")
def thresholds(name: str) -> None:
    """Show the metrics of RUN on its held-out samples at every threshold, and its calibration."""
    from deepfake import config
    from deepfake.studies.operating_points import analysis as operating_points
    from deepfake.studies.operating_points import page

    settings = config.load()
    found = operating_points.examine(operating_points.read([name], settings)[name], settings)
    click.echo(page.write(name, found, settings))
    click.echo(f"wrote {paths().page(page.name_of(name))}")


@click.group()
def runs() -> None:
    """The run store: what is there, and what is no longer used."""


@runs.command("list")
@click.argument("study", required=False)
@click.option("--trained", is_flag=True, help="Only runs that are trained and wait for no decision: a batch job each.")
def list_runs(study: str | None, trained: bool) -> None:
    """Print the runs of STUDY (default: of all), one a line."""
    from deepfake import config
    from deepfake.config.studies import BEST, FineTuned, Trained
    from deepfake.errors import unknown

    if study is not None and study not in config.TRAINING:
        raise InputError(unknown("study", study, config.TRAINING))
    for name, (owner, run) in config.entries(config.load()).items():
        decided = isinstance(run, Trained) and BEST not in (run.view, run.augmentation)
        alone = decided and not isinstance(run, FineTuned)
        if study in (None, owner) and (alone or not trained):
            click.echo(name)


@runs.command()
@click.argument("name", metavar="RUN")
def show(name: str) -> None:
    """Print what the store says of RUN: its kind, key, files and whether they are as they were written."""
    from deepfake.runs import store

    found = next((found for found in store.entries() if found.entry.run == name), None)
    if found is None:
        raise InputError(f"{paths().runs}: no entry of a run called {name}; run deepfake train {name}, or dvc repro")
    click.echo(f"{name}: {found.entry.kind}, key {found.entry.key}, {found.folder}")
    for path in sorted(found.entry.files):
        click.echo(f"  {path}")
    click.echo(store.damage(found) or "whole: all files are as they were written")


@runs.command()
def prune() -> None:
    """Remove entries that no study holds any more, and unfinished work."""
    from deepfake.runs import store

    click.echo(f"{store.prune()} entries removed from {paths().store}")


COMMANDS = (
    *(train, runs, custom, phase1, phase2, phase3, phase4, final, imbalance, generalization, audio, video, thresholds),
)
