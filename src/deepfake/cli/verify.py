"""The command that says whether a run repeated what is committed."""

import sys
import textwrap
from typing import TYPE_CHECKING

import click

from deepfake.ops.verify import tolerance

if TYPE_CHECKING:
    from deepfake.ops.verify.comparison import Compared

_ROWS = 20
"""The most rows that are printed."""
_PLACE = 56
"""The most characters of what identifies a row."""


@click.command(help=f"Compare the figures of a run with those that are committed.\n\n{tolerance.RULE}")
@click.option(
    "--against", "rev", default="HEAD", show_default=True, metavar="REV", help="The revision to compare with."
)
def verify(rev: str) -> None:
    """Compare every figure below reports with a revision's; exit with 1 where one differs or a verdict flipped."""
    from deepfake.ops.verify import comparison, revision

    compared = revision.against(rev)
    by_status = {status: [one for one in compared if one.status == status] for status in comparison.FAILED}
    _print(by_status["flipped"] + by_status["different"])
    for status in ("missing", "new"):
        for line in comparison.one_sided(compared, status):
            click.echo(line)
    click.echo(comparison.summary(comparison.count(compared)))
    sys.exit(1 if any(by_status.values()) else 0)


def _print(found: list["Compared"]) -> None:
    """Print what flipped or differs as a table of at most so many rows, then how many more there are."""
    if not found:
        return
    cells = [("file", "row", "figure", "committed", "now", "allowed")]
    for one in found[:_ROWS]:
        allowed = "" if one.allowed is None else f"{one.allowed:.3g}"
        place = textwrap.shorten(one.row, _PLACE, placeholder=" ...")
        cells.append((one.file.removeprefix("reports/"), place, one.column, one.old, one.new, allowed))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(found) > _ROWS:
        click.echo(f"and {len(found) - _ROWS:,} more")


COMMANDS = (verify,)
