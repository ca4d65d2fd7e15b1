"""The commands that examine data and trained runs: probes, shortcuts, robustness, explanations, the summary."""

import click

from deepfake import layout


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
    """Search DATASET (default: the study's) for what predicts the label without a look at the content."""
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
    """Hold the runs of `studies.shortcuts` against the probes of DATASET (default: the study's)."""
    from deepfake import config, console, runtime
    from deepfake.reports import audit as page
    from deepfake.studies import shortcuts

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
    click.echo(f"wrote {layout.page(config.title(settings, 'shortcuts', name))}")


@click.command()
@click.argument("experiment", required=False)
def robustness(experiment: str | None) -> None:
    """Corrupt the held-out images of EXPERIMENT (default: `robustness` in params.yaml) and see what is left."""
    from deepfake import config, console
    from deepfake.reports import robustness as page
    from deepfake.studies import robustness

    settings = config.load()
    names = [experiment] if experiment else settings.studies.robustness.runs
    with console.steps("decoding") as on_decode, console.steps("robustness") as on_progress:
        found = robustness.run(
            names,
            settings.studies.robustness,
            settings.evaluation,
            settings.shared.seed,
            name=f"own_{experiment}_{robustness.NAME}" if experiment else robustness.NAME,
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


@click.command()
def report() -> None:
    """Write reports/summary.md."""
    from deepfake import config
    from deepfake.reports import audit, balance, cross_dataset, document, robustness

    settings = config.load()
    pages = {
        "generalization": cross_dataset,
        "shortcuts": audit,
        "robustness": robustness,
        "imbalance": balance,
    }
    document.write(settings, {name: page.headline(settings) for name, page in pages.items()})
    click.echo(f"wrote {layout.SUMMARY}")


COMMANDS = (features, probe, shortcuts, robustness, explain, report)
