"""The command on other data sets: what detectors are worth where they were not trained."""

import click


@click.command()
def cross_dataset() -> None:
    """Compare detectors across data sets (`cross_dataset` in params.yaml): is it this one or any, and why?"""
    from deepfake import config, console
    from deepfake.reports import cross_dataset as page
    from deepfake.studies import foreign
    from deepfake.studies.cross_dataset import analysis, collect

    settings = config.load()
    others = foreign.rows(settings)
    with console.steps("decoding") as on_decode, console.steps("predicting") as on_progress:
        cells = collect.run(settings, announce=console.say, on_decode=on_decode, on_progress=on_progress)
    analysis.write(cells, others, settings)
    page.write(settings)
    click.echo(page.headline(settings))


COMMANDS = (cross_dataset,)
