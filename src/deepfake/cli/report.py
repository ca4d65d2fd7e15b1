"""The commands that report: to a reviewer what a branch changed, to readers the notebooks executed."""

import os
import sys

import click

from deepfake.project import paths


@click.command("ci-report")
@click.option("--base", "rev", required=True, metavar="REV", help="The target branch of the pull request.")
@click.option("--strict", is_flag=True, help="Exit with code 1 when the committed results are stale.")
@click.option("--full", is_flag=True, help="Print all, also what GitHub would not take as a comment.")
def ci_report(rev: str, strict: bool, full: bool) -> None:
    """Print what this branch changed since it left REV, as the Markdown of a pull request's comment.

    Needs no data, no DVC cache and no remote. Stale results are told in the text; they are no error without --strict.
    """
    from deepfake.ops.ci_report import changes, verdicts
    from deepfake.ops.ci_report import comment as page

    commits = changes.commits(rev)
    found = changes.differences(commits.base)
    metrics, params = found["metrics"], found["params"]
    tables = changes.tables(commits.base)
    state = changes.staleness()
    shown = {kind: changes.markdown(kind, values, commits.base) for kind, values in found.items()}
    run = page.run_url(os.environ)
    sections = [
        page.stale(state.runs, state.follow),
        verdicts.section(verdicts.changed(commits.base)),
        page.values("Metrics", metrics, shown["metrics"], "metric"),
        page.values("Parameters", params, shown["params"], "parameter"),
        *page.tables(tables),
        page.plots(run),
    ]
    opening = page.headline(metrics, params, tables, page.freshness(state.runs))
    text = page.comment(
        f"{opening}\n\n{commits.sentence()}",
        [section for section in sections if section],
        limit=None if full else page.LIMIT,
        elsewhere=page.elsewhere(run),
    )
    click.echo(text, nl=False)
    if strict and state.runs:
        click.echo("deepfake: `dvc repro` would run stages; run it, and commit dvc.lock and reports/", err=True)
        sys.exit(1)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def notebooks(names: tuple[str, ...]) -> None:
    """Execute each notebook NAME (default: all of notebooks/) into reports/notebooks: for Jupyter, and as a page.

    Cells show what studies left behind; what was not run is said in its place.
    """
    from deepfake.cli import console
    from deepfake.studies.notebooks import execution

    wanted = execution.names(names)
    with console.shown() as progress:
        execution.run(wanted, progress.advance)
    for name in wanted:
        click.echo(f"wrote {paths().executed_notebook(name).with_suffix('.html')}")


COMMANDS = (ci_report, notebooks)
