"""The command that says what somebody's predictions are worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from deepfake.datasets.external.predictions import Taken
    from deepfake.evaluation.estimate import Estimate
    from deepfake.studies.generalization.external import Evaluated

_HEADINGS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
    "auc_all": "AUC over all pairs",
    "ap": "average precision",
    "eer": "EER",
    "balanced_accuracy": "balanced accuracy",
}
_AREAS = ("auc", "auc_all", "ap")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--truth", metavar="COL", help="The column of the true labels. Columns go by name, or by number from 1.")
@click.option("--pred", metavar="COL", help="The column of predicted labels.")
@click.option("--score", metavar="COL", help="The column of scores.")
@click.option(
    "--positive",
    metavar="LABEL",
    multiple=True,
    help="A true label of the positive class (fake); to be repeated where there are several.",
)
@click.option(
    "--negative",
    metavar="LABEL",
    multiple=True,
    help="A true label of the negative class (real); all others are fake, and each of them a source.",
)
@click.option("--higher", type=click.Choice(["real", "fake"]), help="The class that a higher score means.")
@click.option(
    "--score-is",
    type=click.Choice(["probability", "percent", "confidence"]),
    help="What scores are: a probability, that in percent, or the confidence in the predicted label.",
)
@click.option("--threshold", metavar="T", type=float, help="The score from which on a sample is predicted positive.")
@click.option("--missing", metavar="skip|VALUE", help="Leave rows without a score out, or give them this score.")
@click.option(
    "--key",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A file of true labels by name: an ASVspoof protocol, DFDC's metadata.json, or a CSV.",
)
@click.option(
    "--group", metavar="COL", help="The column of groups (a person, a video): rows of one group are not independent."
)
@click.option("--source", metavar="COL", help="The column of who made each sample; adds an AUC a source.")
@click.option(
    "--aggregate",
    type=click.Choice(["mean", "max", "median"]),
    help="Join the scores of each clip, such as the frames of a video; max is the score that speaks most for the "
    "positive class (fake).",
)
@click.option("--clip", metavar="COL", help="The column of clips for --aggregate. [default: that of --group]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead, in full precision.")
def evaluate(file: Path, as_json: bool, **said: Any) -> None:
    """Compute metrics with confidence intervals for the predictions in FILE, a table of any detector.

    FILE has a true label and a predicted label or a score in each row: a CSV, or text with tabs, semicolons, | or
    blanks between columns, with or without a header; or JSON (.json, or an object a line in .jsonl). Columns and labels
    that are not named are found; how they were understood is printed first.
    """
    import json

    from deepfake.config import params
    from deepfake.datasets.external.options import Options
    from deepfake.studies.generalization import external

    settings = params.load()
    found = external.evaluate(file, Options(**said), settings)
    if as_json:
        click.echo(json.dumps(external.record(found, file), allow_nan=False))
    else:
        click.echo(_page(found, file, settings.evaluation.confidence))


def _page(found: "Evaluated", file: Path, confidence: float) -> str:
    """Return what people read."""
    parts = [_taken(found, file), _table(found, confidence), _confusion(found), _chance(found)]
    return "\n\n".join(filter(None, parts))


def _taken(found: "Evaluated", file: Path) -> str:
    """Say what was taken for what."""
    taken, labels = found.predictions.taken, found.predictions.labels
    fakes = int(labels.sum())
    positive, negative = _side(taken.positive), _side(taken.negative)
    counts = [f"{count:,} {words}" for count, words in ((len(labels) - fakes, negative), (fakes, positive)) if words]
    where = f", in {taken.key}" if taken.key else ""
    lines = [
        f"{file}: {len(labels):,} samples: {', '.join(counts)}",
        f"truth: {_column(taken, 'truth')}{where}; positive is {positive or 'a class without a sample'} "
        f"({taken.positive_rule})",
        f"level: {_level(found)}",
        f"columns: separated by {taken.separator}, {'named by a header' if taken.header else 'no header'}",
    ]
    if taken.unused:
        lines.append(f"key: {taken.unused:,} of its rows have no prediction and count for nothing")
    if taken.missing:
        lines.append(
            f"missing: {taken.missing:,} of {taken.rows:,} rows have no score or prediction; {_missing(taken)}"
        )
    if "score" in taken.columns:
        which = (positive if taken.higher == "positive" else negative) or "a class without a sample"
        lines.append(f"score: {_column(taken, 'score')}; higher means {which} ({taken.higher_rule})")
    lines += _predicted(taken, positive or "a class without a sample")
    if "id" in taken.columns and not taken.aggregate:
        lines.append(f"names: {_column(taken, 'id')}; no name is repeated")
    if found.groups is not None:
        groups = f"{_column(taken, 'group')}, {found.groups:,} of them"
        lines.append(f"groups: {groups}; the AUC is over pairs of different groups")
    else:
        lines.append("groups: none; intervals are too narrow if rows share people or videos (--group COL)")
    if "source" in taken.columns:
        lines.append(f"sources: {_column(taken, 'source')}")
    return "\n".join(lines)


def _missing(taken: "Taken") -> str:
    """Say what became of rows without a score."""
    if taken.filled is not None:
        return f"they get {taken.filled:g}"
    return "they are left out" + (f"; clips without any score: {taken.clips_lost:,}" if taken.clips_lost else "")


def _level(found: "Evaluated") -> str:
    """Say what a sample is."""
    taken = found.predictions.taken
    if taken.aggregate:
        each = (taken.rows - taken.missing) / len(found.predictions.labels)
        return f"clips, {_column(taken, 'clip')}: the {taken.aggregate} of {each:.3g} scores each"
    return "rows, each a sample of its own; for one prediction a video: --aggregate mean --clip COL"


def _predicted(taken: "Taken", positive: str) -> list[str]:
    """Say what is predicted positive, and whether the scores agree."""
    if not taken.called_rule or taken.aggregate:
        if taken.threshold is None:
            return [f"predicted: nothing, for lack of a threshold ({taken.threshold_rule})"]
        side = "at or above" if taken.higher == "positive" else "at or below"
        return [f"predicted: {positive} where the score is {side} {taken.threshold:g} ({taken.threshold_rule})"]
    lines = [f"predicted: {_column(taken, 'pred')}; {_calls(taken)}"]
    if taken.contradiction:
        lines.append(
            f"contradiction: the score separates the predicted labels with an AUC of {taken.agreement:.2f} only, so no "
            "figure uses it; is it the confidence in the predicted label (--score-is confidence), or turned around "
            "(--higher real)?"
        )
    return lines


def _calls(taken: "Taken") -> str:
    """Say what the words of the predicted labels were taken for."""
    sides = ((taken.called_positive, taken.positive), (taken.called_negative, taken.negative))
    told = [f"{_side(words)} means {_side(labels) or 'a class without a sample'}" for words, labels in sides if words]
    return f"{', '.join(told)} ({taken.called_rule})"


def _side(words: tuple[str, ...]) -> str:
    """Return the labels of a class, not too many of them."""
    return " or ".join(words[:3]) + (f" or {len(words) - 3} more" if len(words) > 3 else "")


def _column(taken: "Taken", role: str) -> str:
    """Name a column, and say who chose it."""
    name = taken.columns[role]
    if name.endswith(" of the key"):
        return f"column {name}"
    how = "as named" if role in taken.named else "found by its name" if taken.header else "found by its content"
    return f"column {name} ({how})"


def _table(found: "Evaluated", confidence: float) -> str:
    """Return the metrics with their intervals, those of sources last."""
    import pandas as pd

    cells = [(_HEADINGS[name], *_cells(name, figure)) for name, figure in found.performance.items()]
    for source, (between, usual) in found.sources.items():
        cells += [(f"AUC, {source}", *_cells("auc", between)), (f"AUC over all pairs, {source}", *_cells("auc", usual))]
    frame = pd.DataFrame(cells, columns=["metric", "value", f"{confidence:.0%} CI"])
    return frame.to_markdown(index=False, disable_numparse=True)


def _cells(name: str, figure: "Estimate | str") -> tuple[str, str]:
    """Return a figure and its interval, or why there is none."""
    if isinstance(figure, str):
        return "-", figure
    form = "{:.3f}" if name in _AREAS else "{:.1%}"
    return form.format(figure.value), figure.reason or f"[{form.format(figure.low)}, {form.format(figure.high)}]"


def _confusion(found: "Evaluated") -> str:
    """Return the confusion matrix; nothing without predicted labels."""
    import pandas as pd

    taken, counts = found.predictions.taken, found.confusion
    if counts is None:
        return ""
    positive, negative = _side(taken.positive) or "positive", _side(taken.negative) or "negative"
    cells = [
        (negative, counts["true_negatives"], counts["false_positives"]),
        (positive, counts["false_negatives"], counts["true_positives"]),
    ]
    frame = pd.DataFrame(cells, columns=["truth", f"predicted {negative}", f"predicted {positive}"])
    return frame.to_markdown(index=False)


def _chance(found: "Evaluated") -> str:
    """Say whether the detector is above chance."""
    verdict, judge = found.chance, _HEADINGS[found.judged_by]
    if verdict is None:
        return "One class only: the share predicted right is all that can be said; ranking needs both classes."
    if found.below_chance:
        other = "what the predicted labels mean"
        if found.judged_by == "auc":
            turned = "real" if found.predictions.taken.higher == "positive" else "fake"
            other = f"the direction of the score (--higher {turned})"
        return f"Below chance by {judge} ({_p(verdict.p)}); check the positive label (--positive), and {other}."
    if verdict.reason:
        return f"Above chance? Undecided: {verdict.reason}."
    said = {"above_chance": "Above chance", "at_chance": "At chance"}.get(verdict.word, "Above chance? Undecided")
    return f"{said} by {judge} ({_p(verdict.p)})."


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


COMMANDS = (evaluate,)
