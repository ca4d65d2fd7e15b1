"""The workspace that DVC copies a project from for `dvc exp run --queue` and `--temp`: what git ignores stays there."""

from pathlib import Path

_COPIES = (".dvc", "tmp", "exps")
"""Where in a workspace DVC puts its copies of it."""


def original(root: Path) -> Path | None:
    """Return the workspace that a project was copied from by DVC for an experiment, or None."""
    above = root.resolve().parents
    return next((Path(*each.parts[:-3]) for each in above if each.parts[-3:] == _COPIES), None)
