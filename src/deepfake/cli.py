"""The command line: a command parses, calls and writes; it imports what is heavy only when it runs."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepfake import layout
from deepfake.errors import InputError

if TYPE_CHECKING:
    from deepfake.config import RunConfig


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
    from deepfake import config
    from deepfake.studies import pipeline

    settings = config.load()
    if experiment is None:
        sys.exit(pipeline.custom())
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

    with console.steps(f"{name}: decoding") as on_decode, console.folds() as on_news:
        outcome = crossval.run(run, announce=console.say, on_decode=on_decode, on_news=on_news)
    auc = outcome.by_fold["auc"]
    click.echo(f"{name}: AUC {auc.mean():.3f} ± {auc.std():.3f} over {len(auc)} held-out folds")


@main.command()
@click.argument("stage", type=click.Choice(["train", "explore", "scale"]))
def ahead(stage: str) -> None:
    """Train all that is missing for the stages of one kind, in one process; the stages then only collect it."""
    from deepfake import config, console
    from deepfake.studies import ahead

    settings = config.load()
    names = ahead.experiments(stage, settings)
    with console.steps("decoding") as on_decode, console.folds() as on_news:
        count = ahead.run(names, settings, announce=console.say, on_decode=on_decode, on_news=on_news)
    ahead.mark(stage)
    click.echo(f"{count} of {len(names)} experiments trained, the others are there")


@main.command()
@click.argument("reevaluation")
def reevaluate(reevaluation: str) -> None:
    """Let trained checkpoints predict another view of the same samples (`reevaluations` in params.yaml)."""
    from deepfake import config, console
    from deepfake.studies import reevaluation as study

    with console.steps(f"{reevaluation}: decoding") as on_decode:
        folds = study.run(reevaluation, config.load(), announce=console.say, on_decode=on_decode)
    click.echo(f"{reevaluation}: AUC {folds['auc'].mean():.3f} ± {folds['auc'].std():.3f}")


@main.command()
def weights() -> None:
    """Bring the ImageNet weights that models of the study start from into data/weights."""
    from deepfake import config, console
    from deepfake.studies import weights as study

    study.run(config.load(), announce=console.say)


@main.command()
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


@main.command()
def decide() -> None:
    """Decide resolution, face crop and augmentation from the held-out folds of phase 2."""
    from deepfake import config
    from deepfake.studies import selection

    decision = selection.decide(config.load())
    click.echo(
        f"resolution: {decision.resolution}, face crop: {'yes' if decision.face_crop else 'no'}, "
        f"augmentation: {decision.augmentation}"
    )


@main.command()
def resolve() -> None:
    """Write what the candidates of phases 3 and 4 are trained with, now that phase 2 is decided."""
    from deepfake import config
    from deepfake.studies import plan

    plan.write_decided(config.load())


@main.command()
def rank() -> None:
    """Rank the candidates of phase 3, and open the gates of the best for phase 4."""
    from deepfake import config
    from deepfake.studies import selection

    click.echo(f"phase 4 goes on with {', '.join(selection.rank(config.load()))}")


@main.command()
@click.argument("candidate")
def scale(candidate: str) -> None:
    """Train CANDIDATE on more data, if it was chosen for phase 4."""
    from deepfake import config
    from deepfake.studies import scaling

    settings = config.load()
    if not scaling.run(candidate, settings, lambda name: _train(config.resolve(settings, name))):
        click.echo(f"{candidate}: not among the best of phase 3, nothing is trained")


@main.command()
@click.argument("dataset")
def features(dataset: str) -> None:
    """Measure how every file of DATASET is stored, and plain statistics of its pixels."""
    from deepfake import console, runtime
    from deepfake.studies import audit

    with console.steps(f"{dataset}: measuring") as progress:
        audit.measure(dataset, threads=runtime.cores(), progress=progress)


@main.command()
@click.argument("dataset", required=False)
def audit(dataset: str | None) -> None:
    """Search DATASET (default: the study's) for what gives fakes away without a look at the content."""
    from deepfake import config, console, runtime
    from deepfake.reports import audit as page
    from deepfake.studies import audit

    settings = config.load()
    name = dataset or settings.dataset
    with console.steps(f"{name}: measuring") as progress:
        rows = audit.run(
            settings,
            name,
            threads=runtime.cores(),
            cuda=runtime.has_gpu(),
            announce=console.say,
            progress=progress,
        )
    page.write(settings, name)
    click.echo(f"{name}: {(rows['severity'] != 'none').sum()} of {len(rows)} probes find a leak")


@main.command()
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


@main.command()
@click.argument("experiments", nargs=-1)
def explain(experiments: tuple[str, ...]) -> None:
    """Show where EXPERIMENTS (default: the best on all data) look, what they get wrong and how sure they are."""
    from deepfake import config, console
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


@main.command()
def report() -> None:
    """Write reports/summary.md."""
    from deepfake import config
    from deepfake.reports import audit, document, robustness

    settings = config.load()
    document.write(settings, {"audit": audit.headline(settings), "robustness": robustness.headline(settings)})
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
