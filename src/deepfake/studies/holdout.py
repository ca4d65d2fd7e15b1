"""Detectors that were not trained on a source of fakes: what they make of it, and what training on it brings."""

import pandas as pd

from deepfake import tables
from deepfake.config import facts_of
from deepfake.config.params import Evaluation
from deepfake.errors import InputError
from deepfake.evaluation import influence, resampling
from deepfake.evaluation.evalset import EvalSet
from deepfake.studies import comparison


def compare(
    table: str, rows: comparison.Rows, joined: dict[str, pd.DataFrame], evaluation: Evaluation
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare what detectors make of a source that they were not trained on.

    Args:
        table: of params.yaml, whose rows these are.
        rows: the runs without a source, each with the baseline that was trained on all.
        joined: their predictions with label, source and group.
        evaluation: confidence and region of practical equivalence.

    Returns:
        One row a run that leaves a source out: `experiment, source, held_out_auc` (that source's fakes against all
        reals), `in_source_auc` (the other fakes), `delta` (in-source minus held-out) with its 95% CI, `trained_auc`
        (the same source by the baseline, which was trained on it), and their difference with its verdict
        (`comparison.told`): what training on the source brings. `delta` also grows with how hard a source is; the
        difference does not. And one row: the mean of these differences over sources, with a verdict of its own.
    """
    found, contrasts = [], []
    for name, baselines in rows.items():
        source = facts_of(name)["holdout"]
        if not source:
            continue
        without, trained = _held_out(joined[name]), _held_out(joined[baselines[0]])
        trained = trained[trained["fold"].isin(without["fold"])]  # the repeats that both runs have
        unseen, seen, reference = (
            resampling.auc(EvalSet.of(part))
            for part in (_against(without, source), without[without["source"] != source], _against(trained, source))
        )
        delta = resampling.recipe(influence.difference(unseen, seen), confidence=evaluation.confidence)
        contrasts.append(influence.difference(unseen, reference))
        found.append(
            {
                "experiment": name,
                "source": source,
                "held_out_auc": unseen.values.mean(),
                "in_source_auc": seen.values.mean(),
                "delta": delta.value,
                "delta_low": delta.low,
                "delta_high": delta.high,
                "trained_auc": reference.values.mean(),
            }
        )
    if not found:
        raise InputError(f"contrasts.{table}: none of its runs holds out a source; set their `holdout`")
    judged = comparison.judge(contrasts, evaluation)
    told = [comparison.told(verdict, len(judged), evaluation.rope) for verdict in judged]
    mean = influence.contrast([1 / len(contrasts)] * len(contrasts), contrasts)
    average = comparison.told(comparison.judge([mean], evaluation)[0], 1, evaluation.rope)
    each = pd.DataFrame([row | verdict for row, verdict in zip(found, told, strict=True)])
    return each, pd.DataFrame([average | {"sources": len(contrasts)}])


def _against(held_out: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return a source's fakes and all reals."""
    return held_out[(held_out["label"] == tables.REAL) | (held_out["source"] == source)]


def _held_out(joined: pd.DataFrame) -> pd.DataFrame:
    return joined[joined["subset"] == "held_out"]
