"""The command that says what a run needs of this machine."""

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from deepfake.ops.doctor.finding import Finding

_COLOURS = {"ok": "green", "note": "yellow", "missing": "red"}
_MARK, _WHAT = 9, 11
"""Widths of the first two columns."""


@click.command()
def doctor() -> None:
    """Check what this machine lacks for a run, and say how to get it.

    The exit code is 1 when something is missing that a run needs.
    """
    from rich.console import Console

    from deepfake.ops.doctor import examination

    marks = []
    console = Console()
    with console.status("looking at this machine"):
        for finding in examination.examine():
            marks.append(finding.mark)
            _print(console, finding)
    missing, notes = marks.count("missing"), marks.count("note")
    click.echo(f"{missing or 'nothing'} missing, {notes} note{'' if notes == 1 else 's'}")
    sys.exit(1 if missing else 0)


def _print(console: "Console", finding: "Finding") -> None:
    """Print a finding: in columns on a terminal, as one line elsewhere."""
    if not console.is_terminal:
        remedy = f" -> {finding.remedy}" if finding.remedy else ""
        click.echo(f"{finding.mark:{_MARK}}{finding.what:{_WHAT}}{finding.found}{remedy}")
        return
    from rich.table import Table
    from rich.text import Text

    said = Text(finding.found)
    if finding.remedy:
        said.append(f"\n-> {finding.remedy}", style="bold")
    row = Table.grid()
    row.add_column(width=_MARK)
    row.add_column(width=_WHAT)
    row.add_column(overflow="fold")
    row.add_row(Text(finding.mark, style=_COLOURS[finding.mark]), finding.what, said)
    console.print(row)


COMMANDS = (doctor,)
