"""The one exception whose message is meant for the person at the keyboard."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave is wrong: the message says what, where, and what to do, in one line.

    The command line prints it without a traceback and exits with code 2.
    """


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, with the nearest known ones (or all, when none is near)."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known[:20])}"
    return f"unknown {what} {name!r}; {hint}"
