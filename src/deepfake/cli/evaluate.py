"""The command that says what somebody's predictions are worth."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from deepfake.datasets.external_predictions import Taken
    from deepfake.evaluation.estimate import Estimate
    from deepfake.studies.generalization.external import Evaluated

_HEADINGS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
    "auc_all": "AUC over all pairs",
    "eer": "EER",
    "balanced_accuracy": "balanced accuracy",
}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--truth", metavar="COL", help="The column of the true labels.")
@click.option("--pred", metavar="COL", help="The column of predicted labels.")
@click.option("--score", metavar="COL", help="The column of scores.")
@click.option("--positive", metavar="LABEL", help="The true label of the positive class (fake).")
@click.option(
    "--group", metavar="COL", help="The column of groups (a person, a video): rows of one group are not independent."
)
@click.option("--source", metavar="COL", help="The column of who made each sample; adds an AUC a source.")
@click.option("--threshold", metavar="T", type=float, help="The score from which on a sample is called positive.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead, in full precision.")
def evaluate(
    file: Path,
    truth: str | None,
    pred: str | None,
    score: str | None,
    positive: str | None,
    group: str | None,
    source: str | None,
    threshold: float | None,
    as_json: bool,
) -> None:
    """Compute metrics with confidence intervals for the predictions in FILE, a CSV of any detector.

    FILE has a true label and a call or a score in each row. Columns and labels that are not named are found; what was
    taken for what is printed.
    """
    import json

    from deepfake.config import params
    from deepfake.datasets.external_columns import Options
    from deepfake.studies.generalization import external

    settings = params.load()
    found = external.evaluate(file, Options(truth, pred, score, positive, group, threshold, source), settings)
    if as_json:
        click.echo(json.dumps(external.record(found, file), allow_nan=False))
    else:
        click.echo(_page(found, file, settings.evaluation.confidence))


def _page(found: "Evaluated", file: Path, confidence: float) -> str:
    """Return what people read."""
    return "\n\n".join([_taken(found, file), _table(found, confidence), _confusion(found), _chance(found)])


def _taken(found: "Evaluated", file: Path) -> str:
    """Say what was taken for what."""
    taken, labels = found.foreign.taken, found.foreign.labels
    fakes = int(labels.sum())
    positive, negative = " or ".join(taken.positive), " or ".join(taken.negative)
    lines = [
        f"{file}: {len(labels):,} files: {len(labels) - fakes:,} {negative}, {fakes:,} {positive}",
        f"separator: {taken.separator}",
        f"truth: column {_column(taken, 'truth')}; positive is {positive} ({taken.positive_rule})",
    ]
    if taken.score:
        which = positive if taken.higher == "positive" else negative
        lines.append(f"score: column {_column(taken, 'score')}; higher means {which} ({taken.higher_rule})")
    if taken.pred:
        lines.append(f"calls: column {_column(taken, 'pred')}; {_calls(taken)}")
    else:
        side = "at or above" if taken.higher == "positive" else "at or below"
        lines.append(f"calls: {positive} where the score is {side} {taken.threshold:g} ({taken.threshold_rule})")
    if taken.id:
        lines.append(f"names: column {_column(taken, 'id')}; none stands there twice")
    if found.groups is not None:
        groups = f"column {_column(taken, 'group')}, {found.groups:,} of them"
        lines.append(f"groups: {groups}; the AUC is over pairs of different groups")
    else:
        lines.append("groups: none; intervals are too narrow if rows share people or videos (--group COL)")
    if taken.source:
        lines.append(f"sources: column {_column(taken, 'source')}")
    return "\n".join(lines)


def _calls(taken: "Taken") -> str:
    """Say what the words of the calls were taken for."""
    sides = ((taken.called_positive, taken.positive), (taken.called_negative, taken.negative))
    told = [f"{' or '.join(words)} means {' or '.join(labels)}" for words, labels in sides if words]
    return f"{', '.join(told)} ({taken.called_rule})"


def _column(taken: "Taken", role: str) -> str:
    """Name a column, and say who chose it."""
    return f"{getattr(taken, role)} ({'as named' if role in taken.named else 'found by its name'})"


def _table(found: "Evaluated", confidence: float) -> str:
    """Return the metrics with their intervals, those of sources last."""
    import pandas as pd

    cells = [(_HEADINGS[name], *_cells(name, figure)) for name, figure in found.performance.items()]
    for source, (between, usual) in found.sources.items():
        cells += [(f"AUC, {source}", *_cells("auc", between)), (f"AUC over all pairs, {source}", *_cells("auc", usual))]
    frame = pd.DataFrame(cells, columns=["metric", "value", f"{confidence:.0%} CI"])
    return frame.to_markdown(index=False, disable_numparse=True)


def _cells(name: str, figure: "Estimate | None") -> tuple[str, str]:
    if figure is None:
        return "-", "needs a score (--score COL)"
    form = "{:.3f}" if name.startswith("auc") else "{:.1%}"
    return form.format(figure.value), figure.reason or f"[{form.format(figure.low)}, {form.format(figure.high)}]"


def _confusion(found: "Evaluated") -> str:
    """Return the confusion matrix."""
    import pandas as pd

    taken, counts = found.foreign.taken, found.confusion
    positive, negative = " or ".join(taken.positive), " or ".join(taken.negative)
    cells = [
        (negative, counts["true_negatives"], counts["false_positives"]),
        (positive, counts["false_negatives"], counts["true_positives"]),
    ]
    frame = pd.DataFrame(cells, columns=["truth", f"predicted {negative}", f"predicted {positive}"])
    return frame.to_markdown(index=False)


def _chance(found: "Evaluated") -> str:
    """Say whether the detector is above chance."""
    verdict, judge = found.chance, _HEADINGS[found.judged_by]
    if found.below_chance:
        other = "the direction of the score" if found.judged_by == "auc" else "what the calls mean"
        return f"Below chance by {judge} ({_p(verdict.p)}); check the positive label, and {other}."
    if verdict.reason:
        return f"Above chance? Undecided: {verdict.reason}."
    said = {"above_chance": "Above chance", "at_chance": "At chance"}.get(verdict.word, "Above chance? Undecided")
    return f"{said} by {judge} ({_p(verdict.p)})."


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


COMMANDS = (evaluate,)
