"""The commands on class imbalance: the study, and one experiment at every threshold."""

import click

from deepfake import layout


@click.command()
def balance() -> None:
    """Compare what losses, samplers and thresholds make of few reals (`tables.balance` in params.yaml)."""
    from deepfake import config
    from deepfake.reports import balance as page
    from deepfake.studies import balance

    settings = config.load()
    balance.run(settings)
    page.write(settings)
    click.echo(page.headline(settings))


@click.command()
@click.argument("experiment")
def thresholds(experiment: str) -> None:
    """Show what EXPERIMENT decides on its held-out samples at every threshold, and how calibrated it is."""
    import pandas as pd

    from deepfake import config
    from deepfake.reports import cuts as page
    from deepfake.studies import cuts

    settings = config.load()
    found = cuts.examine(cuts.read([experiment], settings)[experiment], settings)
    calibration = pd.DataFrame([{"experiment": experiment, **found.calibration}])
    table = page.write(experiment, found.cuts, calibration, found.reliability, found.roc, settings)
    click.echo(table)
    click.echo(f"wrote {layout.page(page.name_of(experiment))}")


COMMANDS = (balance, thresholds)
