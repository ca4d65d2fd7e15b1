"""The commands of the study: train, compare, decide, search for shortcuts, report."""

import sys
from typing import TYPE_CHECKING

import click

from deepfake import layout
from deepfake.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from deepfake.config import RunConfig


@click.command()
@click.argument("experiment", required=False)
def train(experiment: str | None) -> None:
    """Train and predict EXPERIMENT on every fold.

    Without a name: bring the custom run (`model` in params.yaml) and all it needs up to date.
    """
    from deepfake import config

    settings = config.load()
    if experiment is None:
        from deepfake import console
        from deepfake.studies import pipeline

        sys.exit(pipeline.custom(settings, announce=console.say))
    _train(config.resolve(settings, experiment))


def _train(run: "RunConfig") -> None:
    """Train one experiment, or take what was trained ahead; show how it goes, and say what came out."""
    from deepfake.studies import staged

    name = run.experiment
    if metrics := staged.take(run):
        click.echo(f"{name}: AUC {metrics['auc']:.3f} ± {metrics['auc_std']:.3f}, trained ahead")
        return
    from deepfake import console
    from deepfake.studies import crossval

    on_start = _gpu_note()
    with console.steps(f"{name}: decoding") as on_decode, console.folds() as on_news:
        outcome = crossval.run(run, announce=console.say, on_decode=on_decode, on_start=on_start, on_news=on_news)
    auc = outcome.by_fold["auc"]
    click.echo(f"{name}: AUC {auc.mean():.3f} ± {auc.std():.3f} over {len(auc)} held-out folds")


def _gpu_note() -> "Callable[[], None]":
    """Return what says, when training starts, that no GPU computes; refuse a GPU that is there and cannot be used."""
    from deepfake import console
    from deepfake.studies.doctor import gpu

    finding = gpu.at_hand()
    if finding.mark == "missing":
        raise InputError(f"GPU: {finding.found}; {finding.remedy}")
    return lambda: console.say(f"GPU: {finding.found} ({finding.remedy})") if finding.mark == "note" else None


@click.command()
@click.argument("stage", type=click.Choice(["train", "explore", "scale"]))
@click.argument("experiments", nargs=-1)
def ahead(stage: str, experiments: tuple[str, ...]) -> None:
    """Train all that is missing for the stages of one kind, in one process; the stages then only collect it.

    With EXPERIMENTS: these only. So several machines on one file system can share the work, each with other names.
    """
    from deepfake import config, console
    from deepfake.studies import ahead

    settings = config.load()
    names = ahead.experiments(stage, settings, only=experiments)
    on_start = _gpu_note()
    with console.steps("decoding") as on_decode, console.folds() as on_news:
        count = ahead.run(
            names, settings, announce=console.say, on_decode=on_decode, on_start=on_start, on_news=on_news
        )
    if not experiments:
        ahead.mark(stage)
    click.echo(f"{count} of {len(names)} experiments trained, the others are there")


@click.command()
@click.argument("reevaluation")
def reevaluate(reevaluation: str) -> None:
    """Let trained checkpoints predict another view of the same samples (`reevaluations` in params.yaml)."""
    from deepfake import config, console
    from deepfake.studies import reevaluation as study

    with console.steps(f"{reevaluation}: decoding") as on_decode:
        folds = study.run(reevaluation, config.load(), announce=console.say, on_decode=on_decode)
    click.echo(f"{reevaluation}: AUC {folds['auc'].mean():.3f} ± {folds['auc'].std():.3f}")


@click.command()
@click.argument("phase")
def compare(phase: str) -> None:
    """Compare the experiments of PHASE: tables, intervals, corrected tests, and what follows from them."""
    from deepfake import config
    from deepfake.errors import unknown
    from deepfake.reports import phases as pages
    from deepfake.studies import phases

    if phase not in phases.PHASES:
        raise InputError(f"compare: {unknown('phase', phase, phases.PHASES)}")
    settings = config.load()
    phases.run(phase, settings)
    pages.write(phase, settings)


@click.command()
def decide() -> None:
    """Decide resolution, face crop and augmentation from the held-out folds of phase 2."""
    from deepfake import config
    from deepfake.studies import selection

    decision = selection.decide(config.load())
    click.echo(
        f"resolution: {decision.resolution}, face crop: {'yes' if decision.face_crop else 'no'}, "
        f"augmentation: {decision.augmentation}"
    )


@click.command()
def resolve() -> None:
    """Write what the candidates of phases 3 and 4 are trained with, now that phase 2 is decided."""
    from deepfake import config
    from deepfake.studies import plan

    plan.write_decided(config.load())


@click.command()
def rank() -> None:
    """Rank the candidates of phase 3, and open the gates of the best for phase 4."""
    from deepfake import config
    from deepfake.studies import selection

    click.echo(f"phase 4 goes on with {', '.join(selection.rank(config.load()))}")


@click.command()
@click.argument("candidate")
def scale(candidate: str) -> None:
    """Train CANDIDATE on more data, if it was chosen for phase 4."""
    from deepfake import config
    from deepfake.studies import scaling

    settings = config.load()
    if not scaling.run(candidate, settings, lambda name: _train(config.resolve(settings, name))):
        click.echo(f"{candidate}: not among the best of phase 3, nothing is trained")


@click.command()
@click.argument("dataset")
def features(dataset: str) -> None:
    """Measure how every file of DATASET is stored, and plain statistics of its pixels."""
    from deepfake import console, runtime
    from deepfake.studies import probing

    with console.steps(f"{dataset}: measuring") as progress:
        probing.measure(dataset, threads=runtime.cores(), progress=progress)


@click.command()
@click.argument("dataset", required=False)
def probe(dataset: str | None) -> None:
    """Search DATASET (default: the study's) for what gives fakes away without a look at the content."""
    from deepfake import config, console, runtime
    from deepfake.studies import probing

    settings = config.load()
    name = dataset or settings.dataset
    with console.steps(f"{name}: measuring") as progress:
        rows = probing.run(
            settings,
            name,
            threads=runtime.cores(),
            cuda=runtime.has_gpu(),
            announce=console.say,
            progress=progress,
        )
    click.echo(f"{name}: {(rows['severity'] != 'none').sum()} of {len(rows)} probes find a leak")


@click.command()
@click.argument("dataset", required=False)
def shortcuts(dataset: str | None) -> None:
    """Hold the trained experiments of `audit` in params.yaml against the probes of DATASET (default: the study's)."""
    from deepfake import config, console, runtime
    from deepfake.reports import audit as page
    from deepfake.studies import probing, shortcuts

    settings = config.load()
    name = dataset or settings.dataset
    with console.steps(f"{name}: measuring") as progress:
        shortcuts.run(
            settings,
            name,
            threads=runtime.cores(),
            cuda=runtime.has_gpu(),
            announce=console.say,
            progress=progress,
        )
    page.write(settings, name)
    click.echo(f"wrote {layout.page(probing.title(settings, name))}")


@click.command()
@click.argument("experiment", required=False)
def robustness(experiment: str | None) -> None:
    """Corrupt the held-out images of EXPERIMENT (default: `robustness` in params.yaml) and see what is left."""
    from deepfake import config, console
    from deepfake.reports import robustness as page
    from deepfake.studies import robustness

    settings = config.load()
    names = [experiment] if experiment else settings.robustness.experiments
    with console.steps("decoding") as on_decode, console.steps("robustness") as on_progress:
        found = robustness.run(
            names,
            settings.robustness,
            settings.evaluation,
            settings.shared.seed,
            name=f"{robustness.NAME}_{experiment}" if experiment else robustness.NAME,
            announce=console.say,
            on_decode=on_decode,
            on_progress=on_progress,
        )
    if experiment is None:
        page.write(settings)
    click.echo(found.summary.to_markdown(index=False, floatfmt=".3f"))


@click.command()
@click.argument("experiments", nargs=-1)
def explain(experiments: tuple[str, ...]) -> None:
    """Show where EXPERIMENTS (default: the best on all data) look, what they get wrong and how sure they are.

    Without EXPERIMENTS: write the page on them, too.
    """
    from deepfake import config, console
    from deepfake.reports import explain as page
    from deepfake.studies import explanation, phases

    settings = config.load()
    with console.steps("decoding") as on_decode, console.steps("explaining") as on_progress:
        explanation.run(
            experiments or phases.finalists(settings),
            settings.evaluation,
            settings.shared.seed,
            announce=console.say,
            on_decode=on_decode,
            on_progress=on_progress,
        )
    if not experiments:
        page.write(settings)


@click.command()
def report() -> None:
    """Write reports/summary.md."""
    from deepfake import config
    from deepfake.reports import audit, balance, cross_dataset, document, robustness

    settings = config.load()
    pages = {"cross_dataset": cross_dataset, "audit": audit, "robustness": robustness, "balance": balance}
    document.write(settings, {name: page.headline(settings) for name, page in pages.items()})
    click.echo(f"wrote {layout.SUMMARY}")


COMMANDS = (
    train,
    ahead,
    reevaluate,
    compare,
    decide,
    resolve,
    rank,
    scale,
    features,
    probe,
    shortcuts,
    robustness,
    explain,
    report,
)
