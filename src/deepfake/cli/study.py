"""The commands that examine data and trained runs: probes, shortcuts, robustness, explanations, the summary."""

import click

from deepfake.project import paths


@click.command()
@click.argument("dataset")
def features(dataset: str) -> None:
    """Measure how every file of DATASET is stored, and plain statistics of its content."""
    from deepfake import runtime
    from deepfake.cli import console
    from deepfake.studies import probing

    runtime.keep_memory()
    with console.shown() as progress:
        probing.measure(dataset, threads=runtime.cores(), progress=progress)


@click.command()
@click.argument("dataset", required=False)
def eda(dataset: str | None) -> None:
    """Examine the data before any training: sources, sizes, colours, quality, splits, faces.

    DATASET: that one alone, in files of its own. Default: the study's data set and those that detectors are tested on.
    """
    from deepfake import config, runtime
    from deepfake.cli import console
    from deepfake.studies.eda import analysis, page

    settings = config.load()
    names = [dataset] if dataset else analysis.datasets(settings)
    name = f"own_{dataset}_{analysis.NAME}" if dataset else analysis.NAME
    with console.shown() as progress:
        outcome = analysis.run(settings, names, name=name, threads=runtime.cores(), progress=progress)
    page.write(outcome, settings)
    click.echo(f"wrote {paths().page(name)}: {len(outcome.found)} findings")


@click.command()
@click.argument("dataset", required=False)
def probe(dataset: str | None) -> None:
    """Search DATASET (default: the study's) for what predicts the label without a look at the content."""
    from deepfake import config, runtime
    from deepfake.cli import console
    from deepfake.studies.shortcuts import search

    settings = config.load()
    name = dataset or settings.dataset
    with console.shown() as progress:
        rows = search.run(settings, name, threads=runtime.cores(), cuda=runtime.has_gpu(), progress=progress)
    click.echo(f"{name}: {(rows['verdict'] == 'shortcut').sum()} of {len(rows)} probes find a shortcut")


@click.command()
@click.argument("dataset", required=False)
def shortcuts(dataset: str | None) -> None:
    """Measure how much of what trained runs predict the shortcut probes of DATASET (default: the study's) explain."""
    from deepfake import config, runtime
    from deepfake.cli import console
    from deepfake.studies.shortcuts import analysis as shortcuts
    from deepfake.studies.shortcuts import page

    settings = config.load()
    name = dataset or settings.dataset
    with console.shown() as progress:
        shortcuts.run(settings, name, threads=runtime.cores(), cuda=runtime.has_gpu(), progress=progress)
    page.write(settings, name)
    click.echo(f"wrote {paths().page(config.title(settings, 'shortcuts', name))}")


@click.command()
@click.argument("experiment", required=False, metavar="[RUN]")
def robustness(experiment: str | None) -> None:
    """Evaluate RUN (default: `studies.robustness.runs`) on its held-out samples under corruption."""
    from deepfake import config, execution
    from deepfake.cli import console
    from deepfake.studies.robustness import analysis as robustness
    from deepfake.studies.robustness import page

    settings = config.load()
    names = [experiment] if experiment else settings.studies.robustness.runs
    name = f"own_{experiment}_{robustness.NAME}" if experiment else robustness.NAME
    with execution.using(execution.here(settings.execution)), console.shown() as progress:
        robustness.run(names, settings.studies.robustness, settings.evaluation, name=name, progress=progress)
    if experiment is None:
        page.write()
    click.echo(f"wrote {paths().table(name) if experiment else paths().page(name)}")


@click.command()
@click.argument("experiments", nargs=-1, metavar="[RUN]...")
def explain(experiments: tuple[str, ...]) -> None:
    """Explain each RUN: Grad-CAM, hard examples, confidence.

    Without a name: explain the runs of all planned contrasts of the phases, and write the page of the study.
    """
    from deepfake import config, execution
    from deepfake.cli import console
    from deepfake.studies.explain import analysis as explanation
    from deepfake.studies.explain import page
    from deepfake.studies.phases import analysis as phases

    settings = config.load()
    with execution.using(execution.here(settings.execution)), console.shown() as progress:
        if experiments:
            explanation.run(experiments, settings.evaluation, progress=progress)
        else:
            finalists, final = phases.finalists(settings), config.read_final()
            explanation.study(finalists, final, settings.evaluation, progress=progress)
    if not experiments:
        page.write()
    click.echo(f"wrote {paths().table('explain_gradcam') if experiments else paths().page(page.NAME)}")


@click.command()
def report() -> None:
    """Write reports/summary.md."""
    from deepfake import config
    from deepfake.studies.summary import page

    page.write(config.load())
    click.echo(f"wrote {paths().page('summary')}")


@click.command()
def site() -> None:
    """Write reports/site, the report as pages for a browser."""
    from deepfake import config
    from deepfake.cli import console
    from deepfake.studies.site import page

    with console.shown() as progress:
        pages = page.write(config.load(), progress)
    click.echo(f"wrote {paths().site / 'index.html'} and {len(pages) - 1} pages more")


COMMANDS = (features, eda, probe, shortcuts, robustness, explain, report, site)
