"""The command that predicts user-supplied images."""

import json
import shutil
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deepfake.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO

    from deepfake.inference.inputs import File
    from deepfake.inference.verdicts import Failure, Verdict

_FIGURES = (("verdict", 9), ("probability", 13), ("threshold", 11), ("logit", 9), ("faces", 7))
"""The columns beside the file's name, and their widths on a terminal."""
_NARROWEST = 20
_COLOURS = {"fake": "red", "real": "green", "error": "yellow"}


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--run", "name", help="The trained run that predicts. [default: the study's final model, or else the best there is]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a file, and nothing else, on stdout.")
@click.option("--faces/--no-faces", default=True, show_default=True, help="Look for faces.")
@click.option(
    "--recursive/--no-recursive", default=True, show_default=True, help="Read folders at any depth, or one level only."
)
def predict(paths: tuple[str, ...], name: str | None, as_json: bool, faces: bool, recursive: bool) -> None:
    """Predict whether images are real or fake: files, folders at any depth, or patterns.

    JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF and JPEG 2000 are read: the first frame, upright by EXIF, transparency on
    white. Every fold's model predicts. A file is predicted fake when its calibrated logit, the mean over folds, reaches
    the threshold, the mean of theirs. No sample was held out from all folds, so that is an approximation. A run whose
    view cuts out faces scores each face, and the largest score counts. A verdict about a picture without a face means
    little. The exit code is 2 when a file could not be read, and when there are no images.
    """
    # a progress bar takes sys.stdout over, which must not take the results along
    out = None if sys.stdout.isatty() else sys.stdout
    from deepfake import config
    from deepfake.cli import console
    from deepfake.inference import inputs, reading

    files = inputs.find(paths, Path.cwd(), recursive=recursive)
    reading.require_images(files, paths)
    settings = config.load()
    # torch takes seconds: what can be told without it has been told
    from deepfake.inference import choice, verdicts

    if name is None:
        detector, why = choice.best(settings, faces=faces)
        click.echo(f"run: {why}", err=True)
    else:
        detector = choice.named(name)
    limits = choice.limits(detector, settings)
    line = _lines(detector.name, limits, out, as_json)
    counts: Counter[str] = Counter()
    answered: dict[str, str] = {}
    with console.shown() as progress:
        for answers in verdicts.predict(detector, files, settings.faces if faces else None):
            for answer in answers.found:
                click.echo(line(answer), file=out)
                counts.update(_kinds(answer))
                answered[answer.file] = getattr(answer, "notes", "")
            progress.advance("predicting", answers.done, len(files))
    _conclude(counts, _remarks(files, answered), f"{choice.describe(detector)}; limits: {limits}")


def _lines(run: str, limits: str, out: "TextIO | None", as_json: bool) -> "Callable[[Verdict | Failure], str]":
    """Return what makes a line of an answer, once the heading that such lines need is printed.

    Args:
        run: the run's name.
        limits: what is known of its limits.
        out: None for a terminal, which gets a table; other places get columns parted by tabs.
        as_json: whether lines are JSON objects instead.
    """
    if as_json:
        return lambda answer: json.dumps(_facts(answer, run, limits), ensure_ascii=False)
    columns = ["file", *(name for name, _ in _FIGURES)]
    if out is not None:
        click.echo("\t".join(columns), file=out)
        return lambda answer: "\t".join(_cells(answer))
    width = max(shutil.get_terminal_size().columns - sum(width for _, width in _FIGURES) - 1, _NARROWEST)
    click.secho(_row(columns, width), bold=True)
    return lambda answer: _row(_cells(answer), width, _COLOURS.get(_cells(answer)[1]))


def _facts(answer: "Verdict | Failure", run: str, limits: str) -> dict[str, Any]:
    """Return what a program is told of a file."""
    from deepfake.inference.verdicts import Failure

    if isinstance(answer, Failure):
        return {"file": answer.file, "error": answer.reason}
    return {
        "file": answer.file,
        "verdict": "fake" if answer.fake else "real",
        "probability": answer.probability,
        "threshold": answer.threshold_probability,
        "logit": answer.logit,
        "fold_logits": [part.logits.tolist() for part in answer.parts],
        "faces": _faces(answer),
        "notes": answer.notes,
        "run": run,
        "limits": limits,
    }


def _cells(answer: "Verdict | Failure") -> list[str]:
    """Return what people are told of a file, one text a column."""
    from deepfake.inference.verdicts import Failure

    if isinstance(answer, Failure):
        return [answer.file, "error", answer.reason]
    faces = answer.faces
    found = "" if faces is None else str(len(faces)) if faces else "no face"
    figures = (f"{answer.probability:.3f}", f"{answer.threshold_probability:.3f}", f"{answer.logit:+.2f}")
    return [answer.file, "fake" if answer.fake else "real", *figures, found]


def _faces(answer: "Verdict") -> list[dict[str, float | None]] | None:
    """Return the faces of a file, each with its calibrated logit where faces are scored; None where nobody looked."""
    if answer.faces is None:
        return None
    scores = {part.face: score for part, score in zip(answer.parts, answer.scores, strict=True) if part.face}
    return [asdict(face) | {"logit": scores.get(face)} for face in answer.faces]


def _row(cells: list[str], width: int, colour: str | None = None) -> str:
    """Return a row of the table on a terminal; a long name keeps its end."""
    file, verdict, *figures = cells
    shown = file if len(file) <= width else f"…{file[1 - width :]}"
    widths = [width for _, width in _FIGURES]
    row = f"{shown:{width}} {click.style(f'{verdict:{widths[0]}}', fg=colour)}"
    if len(figures) == 1:  # the reason why there are none
        return row + figures[0]
    return row + "".join(f"{figure:<{width}}" for figure, width in zip(figures, widths[1:], strict=True))


def _kinds(answer: "Verdict | Failure") -> list[str]:
    """Return what a file counts for in the summary."""
    from deepfake.inference.verdicts import Failure

    if isinstance(answer, Failure):
        return ["failed"]
    faceless = ["faceless"] if answer.faces == () else []
    crowded = ["crowded"] if len(answer.parts) > 1 else []
    return ["fake" if answer.fake else "real", *faceless, *crowded]


def _remarks(files: "Sequence[File]", answered: "Mapping[str, str]") -> list[str]:
    """Return what was odd about files, and which nobody named and are no images.

    Args:
        files: all of them.
        answered: the notes of each file that was judged or could not be, by its name.
    """
    from deepfake.inference import inputs
    from deepfake.modalities.base import counted

    passed_over = inputs.described(file.name for file in files if file.name not in answered)
    noted = counted(answered.values())
    return [*([noted] if noted else []), *([f"passed over: {passed_over}"] if passed_over else [])]


def _conclude(counts: Counter[str], remarks: list[str], run: str) -> None:
    """Say what came out, and of which run; fail when a file could not be read."""
    judged = counts["fake"] + counts["real"]
    text = f"{_files(judged)}: {counts['fake']} fake, {counts['real']} real"
    if counts["crowded"]:
        text += f"; {counts['crowded']} with several faces, where the largest score counts"
    if counts["faceless"]:
        text += f"; {counts['faceless']} without a face, where a verdict means little"
    click.echo("; ".join([text, *remarks]), err=True)
    click.echo(run, err=True)
    if counts["failed"]:
        total = _files(judged + counts["failed"])
        raise InputError(f"{counts['failed']} of {total} could not be read; the reasons are listed with them")


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


COMMANDS = (predict,)
