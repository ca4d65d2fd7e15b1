"""The phases of the study: the contrasts that each one plans, and what its tables hold beyond them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from deepfake import tables
from deepfake.config import facts_of, read_finalists, scaled, shares, table
from deepfake.config.params import Evaluation, Params
from deepfake.evaluation import influence, metrics, resampling, thresholds
from deepfake.evaluation.evalset import EvalSet
from deepfake.studies import comparison, holdout
from deepfake.studies.comparison import Comparison
from deepfake.studies.operating_points import analysis as operating_points
from deepfake.studies.operating_points import curves
from deepfake.tables import results as result_tables

PHASES = {
    "phase1": ("phase1",),
    "phase2": (
        *("phase2a_geometry", "phase2a_colour", "phase2a_holdout"),
        *("phase2b", "phase2c", "phase2d", "phase2e"),
    ),
    "phase3": ("phase3",),
    "custom": ("custom",),
}
"""The tables of params.yaml that each phase compares; phase 4 makes its own of the candidates that were chosen."""
SHIFT_ROPE = 0.2
"""A shift of logits up to this many standard deviations is of no account (a small effect by Cohen 1988)."""


def run(phase: str, settings: Params) -> list[str]:
    """Compare the runs of a phase and write its tables; return what it cannot resolve, a line each.

    Raises:
        InputError: a run has not been trained, or a table of the phase is missing.
    """
    if phase == "phase4":
        return _phase4(settings).cautions
    comparisons = {name: table(settings, name) for name in PHASES[phase]}
    found = comparison.run(phase, comparisons, settings.dataset, settings.evaluation)
    if phase in ("phase1", "phase3", "custom"):
        joined = comparison.read(comparisons[phase], settings.dataset)
        comparison.write_curves(phase, comparisons[phase])
        curves.write(
            phase, {name: _held_out(rows) for name, rows in joined.items()}, curves.recipe(settings.evaluation)
        )
    if phase == "phase2":
        names = dict.fromkeys(name for one in comparisons.values() for name in one)
        joined = comparison.read(names, settings.dataset)
        held_out, sources = holdout.compare(
            "phase2a_holdout", comparisons["phase2a_holdout"], joined, settings.evaluation
        )
        result_tables.write(held_out, "phase2_holdout")
        result_tables.write(sources, "phase2_sources")
        result_tables.write(bars(comparisons["phase2a_geometry"], joined, settings.evaluation), "phase2_bars")
        result_tables.write(interaction(joined, comparisons, settings.evaluation), "phase2_interaction")
    return found.cautions


def _held_out(joined: pd.DataFrame) -> pd.DataFrame:
    return joined[joined["subset"] == "held_out"]


def bars(rows: comparison.Rows, joined: dict[str, pd.DataFrame], evaluation: Evaluation) -> pd.DataFrame:
    """Measure how far another framing of the same real images shifts their logits.

    The sign of a detector's reaction to black bars is arbitrary, so that the mean over folds of a difference in AUC
    cancels; a paired shift in standard deviations of the reals' logits, fold by fold, does not: its size counts.

    Returns:
        One row a re-evaluated run: `experiment, baseline, shift` (mean over folds of the absolute shift),
        `folds_beyond` (folds whose shift is beyond `SHIFT_ROPE` at the given confidence) of `folds`, and
        `auc_change`, the mean over folds of the absolute change in AUC.
    """
    found = []
    for name, baselines in rows.items():
        if facts_of(name)["kind"] != "re-evaluated":
            continue
        first, other = _held_out(joined[baselines[0]]), _held_out(joined[name])
        keys = ["sample_id", "fold", "label", "group"]
        both = first.merge(other[[*keys, "logit"]], on=keys, suffixes=("", "_other"), validate="one_to_one")
        shifts = [_shift(part, evaluation) for _, part in both.groupby("fold")]
        changes = [_auc_change(part) for _, part in both.groupby("fold")]
        found.append(
            {
                "experiment": name,
                "baseline": baselines[0],
                "shift": float(np.mean([abs(value) for value, _ in shifts])),
                "folds_beyond": sum(beyond for _, beyond in shifts),
                "folds": len(shifts),
                "auc_change": float(np.mean(changes)),
                "samples": int((first["label"] == tables.REAL).sum() / first["repeat"].nunique()),
                "groups": int(first["group"].nunique()),
            }
        )
    return pd.DataFrame(found)


def _shift(fold: pd.DataFrame, evaluation: Evaluation) -> tuple[float, bool]:
    """Return the mean shift of a fold's real images in SD, and whether it is sure to be beyond the rope."""
    reals = fold[fold["label"] == tables.REAL]
    spread = reals["logit"].std(ddof=1)
    by_group = ((reals["logit_other"] - reals["logit"]) / spread).groupby(reals["group"]).mean()
    mean, error = float(by_group.mean()), float(by_group.std(ddof=1) / np.sqrt(len(by_group)))
    reach = float(stats.t.ppf((1 + evaluation.confidence) / 2, len(by_group) - 1)) * error
    return mean, abs(mean) - reach > SHIFT_ROPE


def _auc_change(fold: pd.DataFrame) -> float:
    labels = fold["label"].to_numpy()
    return abs(metrics.auc(labels, fold["logit_other"].to_numpy()) - metrics.auc(labels, fold["logit"].to_numpy()))


def interaction(
    joined: dict[str, pd.DataFrame], comparisons: Mapping[str, comparison.Rows], evaluation: Evaluation
) -> pd.DataFrame:
    """Compare what augmentation brings with a face crop and without one, for each model that has all four runs.

    Returns:
        One row a model: `experiment` (the one with both), and the difference of differences with its verdict.
    """
    names, contrasts = [], []
    plain, cropped = (
        {facts_of(name)["model"]: (bases[0], name) for name, bases in comparisons[key].items() if bases}
        for key in ("phase2d", "phase2e")
    )
    for model in plain.keys() & cropped.keys():
        runs = (*plain[model], *cropped[model])
        aucs = [resampling.auc(EvalSet.of(_held_out(joined[name]))) for name in runs]
        contrasts.append(influence.contrast([1, -1, -1, 1], aucs))
        names.append(runs[-1])
    judged = comparison.judge(contrasts, evaluation)
    rows = [comparison.told(verdict, len(judged), evaluation.rope) for verdict in judged]
    return pd.DataFrame([{"experiment": name} | row for name, row in zip(names, rows, strict=True)])


def finalists(settings: Params) -> list[str]:
    """Return the chosen runs of phase 3 on the largest share of the data."""
    return [scaled(name, settings.studies.phase4.fractions[-1]) for name in read_finalists()]


def _phase4(settings: Params) -> Comparison:
    """Compare the chosen candidates: more data on the same held-out samples, and every pair of them on all data."""
    names, final = read_finalists(), finalists(settings)
    scaling = {scaled(name, share): () if share == "small" else (name,) for name in names for share in shares(settings)}
    joined = comparison.read(scaling, settings.dataset)
    comparison.write("phase4a", {"phase4a": scaling}, joined, settings.evaluation)
    _write_decided(final, settings)
    pairs = {name: tuple(final[:place]) for place, name in enumerate(final)}
    return comparison.write("phase4b", {"phase4b": pairs}, joined, settings.evaluation)


def _write_decided(names: list[str], settings: Params) -> None:
    """Write the curves of the finalists, what they decide at each threshold, and how far they can be believed."""
    cases = operating_points.read(names, settings)
    sure = curves.recipe(settings.evaluation)
    runs = {
        name: curves.Decided(_held_out(case.joined), case.thresholds(thresholds.TUNED)) for name, case in cases.items()
    }
    comparison.write_curves("phase4", names, ("roc", "confusion"))
    curves.write("phase4", {name: one.held_out for name, one in runs.items()}, sure)
    curves.write_decided("phase4", runs, sure)
    found = {name: operating_points.calibrate(case, settings.evaluation) for name, case in cases.items()}
    result_tables.write(curves.stacked({name: bins for name, (_, bins) in found.items()}), "phase4_reliability")
    calibrations = pd.DataFrame([{"experiment": name} | figures for name, (figures, _) in found.items()])
    result_tables.write(calibrations, "phase4_calibration")
