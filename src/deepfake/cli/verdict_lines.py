"""Verdicts as lines: of a table on a terminal, of columns parted by tabs, or JSON objects."""

import json
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from typing import TextIO

    from deepfake.inference.verdicts import Failure, Verdict

FIGURES = (("verdict", 9), ("probability", 13), ("threshold", 11), ("logit", 9), ("faces", 9), ("parts", 7))
"""The columns beside the file's name and the last one, and their widths on a terminal."""
DECIDING = 3
"""Frames and windows that are shown: those that speak most for the verdict."""
_LAST = ("decided by", 40)
_NARROWEST = 20
_COLOURS = {"fake": "red", "real": "green", "error": "yellow"}


class Lines:
    """Prints answers as they come, below a heading."""

    def __init__(self, out: "TextIO | None", as_json: bool):
        """Keep how lines are written.

        Args:
            out: None for a terminal, which gets a table; other places get columns parted by tabs.
            as_json: whether lines are JSON objects instead.
        """
        self._out, self._as_json, self._begun = out, as_json, as_json
        taken = sum(width for _, width in FIGURES) + _LAST[1] + 1
        self._width = max(shutil.get_terminal_size().columns - taken, _NARROWEST)

    def show(self, answer: "Verdict | Failure", kind: str, run: str, limits: str) -> None:
        """Print an answer.

        Args:
            answer: what is said of a file.
            kind: what people call such a file: "clip".
            run: the name of the run that judged it.
            limits: what is known of its limits.
        """
        if not self._begun:
            self._begin()
        if self._as_json:
            click.echo(json.dumps(facts(answer, kind, run, limits), ensure_ascii=False), file=self._out)
        elif self._out is not None:
            click.echo("\t".join(cells(answer)), file=self._out)
        else:
            click.echo(row(cells(answer), self._width, _COLOURS.get(cells(answer)[1])))

    def _begin(self) -> None:
        """Print the heading."""
        self._begun = True
        columns = ["file", *(name for name, _ in FIGURES), _LAST[0]]
        if self._out is not None:
            click.echo("\t".join(columns), file=self._out)
        else:
            click.secho(row(columns, self._width), bold=True)


def facts(answer: "Verdict | Failure", kind: str, run: str, limits: str) -> dict[str, Any]:
    """Return what a program is told of a file; arguments as those of `Lines.show`."""
    from deepfake.inference.verdicts import Failure

    if isinstance(answer, Failure):
        return {"file": answer.file, "error": answer.reason}
    return {
        "file": answer.file,
        "kind": kind,
        "verdict": "fake" if answer.fake else "real",
        "probability": answer.probability,
        "threshold": answer.threshold_probability,
        "logit": answer.logit,
        "fold_logits": [part.logits.tolist() for part in answer.parts],
        "faces": _faces(answer),
        "parts": len(answer.parts),
        "with_face": answer.with_face,
        "decided_by": [
            {"start": start, "end": end, "logit": answer.scores[place]} for place, (start, end) in _deciding(answer)
        ],
        "notes": answer.notes,
        "run": run,
        "limits": limits,
    }


def cells(answer: "Verdict | Failure") -> list[str]:
    """Return what people are told of a file, one text a column."""
    from deepfake.inference.verdicts import Failure

    if isinstance(answer, Failure):
        return [answer.file, "error", answer.reason]
    figures = (f"{answer.probability:.3f}", f"{answer.threshold_probability:.3f}", f"{answer.logit:+.2f}")
    timed = _deciding(answer)
    decided = ", ".join(f"{_time(start, end)} ({answer.scores[place]:+.2f})" for place, (start, end) in timed)
    parts = str(len(answer.parts)) if timed else ""
    return [answer.file, "fake" if answer.fake else "real", *figures, _found(answer), parts, decided]


def _found(answer: "Verdict") -> str:
    """Return how many faces were found: of an image how many, of a clip in how many frames."""
    if answer.faceless:
        return "no face"
    if answer.with_face is not None:
        return f"in {answer.with_face}"
    return "" if answer.faces is None else str(len(answer.faces))


def _deciding(answer: "Verdict") -> list[tuple[int, tuple[float, float]]]:
    """Return the parts that decided, by their places, with when they begin and end."""
    found = [(place, answer.parts[place].span) for place in answer.deciding(DECIDING)]
    return [(place, span) for place, span in found if span is not None]


def _time(start: float, end: float) -> str:
    """Return a moment or a stretch of time: "12.4 s", "8-12 s"."""
    return f"{start:.1f} s" if start == end else f"{start:.1f}-{end:.1f} s"


def _faces(answer: "Verdict") -> list[dict[str, float | None]] | None:
    """Return the faces of a file, each with its calibrated logit where faces are scored; None where nobody looked."""
    if answer.faces is None:
        return None
    scores = {part.face: score for part, score in zip(answer.parts, answer.scores, strict=True) if part.face}
    return [asdict(face) | {"logit": scores.get(face)} for face in answer.faces]


def row(cells: list[str], width: int, colour: str | None = None) -> str:
    """Return a row of the table on a terminal; a long name keeps its end.

    Args:
        cells: of `cells`, or the heading.
        width: of the file's name.
        colour: of the verdict.
    """
    file, verdict, *figures = cells
    shown = file if len(file) <= width else f"…{file[1 - width :]}"
    widths = [width for _, width in FIGURES]
    begun = f"{shown:{width}} {click.style(f'{verdict:{widths[0]}}', fg=colour)}"
    if len(figures) == 1:  # the reason why there are none
        return begun + figures[0]
    *figures, last = figures
    return begun + "".join(f"{figure:<{width}}" for figure, width in zip(figures, widths[1:], strict=True)) + last
