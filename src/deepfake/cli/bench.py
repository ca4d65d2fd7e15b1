"""The commands that measure how fast things are on this machine."""

import click

from deepfake.errors import InputError
from deepfake.project import paths


@click.group()
def bench() -> None:
    """Measure how fast things are on this machine."""


@bench.command()
@click.option("--images", default=256, show_default=True, type=click.IntRange(32), help="Images in an epoch.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="Epochs of each loader.")
@click.option("--write", is_flag=True, help="Keep the table under reports/bench.")
def loading(images: int, repeats: int, write: bool) -> None:
    """Time our loader against those of torchvision and timm, on the same files."""
    from deepfake import config, runtime, tables
    from deepfake.bench import decoding
    from deepfake.bench import loading as benchmark
    from deepfake.cli import console

    device, work = runtime.device().type, {"count": images, "repeats": repeats}
    with console.shown() as progress:
        text = benchmark.report(benchmark.run(config.load(), **work, progress=progress), repeats)
        if device == "cuda":
            rows = decoding.run(config.load(), **work, cuda=True, progress=progress)
            text += "\n" + decoding.report(rows, repeats)
    click.echo(text)
    if write:
        tables.write_text(text, paths().bench(f"loading_{device}"))


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
        tables.write_text(text, paths().bench("resampling"))


@bench.command()
@click.option("--images", default=1024, show_default=True, type=click.IntRange(1), help="Files in the folder.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="Passes over it.")
@click.option("--write", is_flag=True, help="Keep the table under reports/bench.")
def prediction(images: int, repeats: int, write: bool) -> None:
    """Time prediction over a folder against the loader alone, and a process from its start to its first verdict."""
    from deepfake import config, tables
    from deepfake.bench import prediction as benchmark
    from deepfake.cli import console

    with console.shown() as progress:
        found = benchmark.run(config.load(), count=images, repeats=repeats, progress=progress)
    text = benchmark.report(found)
    click.echo(text)
    if write:
        tables.write_text(text, paths().bench("prediction"))


@bench.command()
@click.option(
    "--model", "models", multiple=True, help="A model to measure instead of the usual three; may be repeated."
)
@click.option("--quick", is_flag=True, help="64 px and batch 32 alone, in a minute or two; a table that is not kept.")
@click.option("--write", is_flag=True, help="Keep tables and figure under reports/bench.")
def training(models: tuple[str, ...], quick: bool, write: bool) -> None:
    """Time our engine against other loops, folds side by side, growth; project the hours of the full study."""
    from deepfake import config, runtime, tables
    from deepfake.bench.training import report, run

    if quick and write:
        raise InputError("--quick measures too little to be kept; leave out --quick or --write")
    wanted = run.plan(models, runtime.device(), quick=quick)
    found = run.run(config.load(), wanted, click.echo)
    text = report.text(found)
    click.echo("\n" + text)
    if write:
        path = paths().bench(f"training_{runtime.device().type}")
        tables.write_text(text, path)
        report.draw(found, path.with_suffix(".png"))


COMMANDS = (bench,)
