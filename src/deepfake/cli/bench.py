"""The commands that measure how fast things are on this machine."""

import click

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
    from deepfake.bench import loading as benchmark
    from deepfake.cli import console

    with console.shown() as progress:
        rows = benchmark.run(config.load(), count=images, repeats=repeats, progress=progress)
    text = benchmark.report(rows, repeats)
    click.echo(text)
    if write:
        tables.write_text(text, paths().bench(f"loading_{runtime.device().type}"))


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


COMMANDS = (bench,)
