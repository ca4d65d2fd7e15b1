"""The command that lets trained experiments decide together."""

import click


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def ensemble(names: tuple[str, ...]) -> None:
    """Let trained experiments decide together as a run NAME (default: all of `ensembles` in params.yaml)."""
    from deepfake import config, console
    from deepfake.studies import ensembles

    settings = config.load()
    for name in names or settings.ensembles:
        auc = ensembles.run(name, settings, announce=console.say)["auc"]
        click.echo(f"{name}: AUC {auc.mean():.3f} ± {auc.std():.3f} over {len(auc)} held-out folds")


COMMANDS = (ensemble,)
