"""The phases of the study: which tables each one fills, and what they hold beyond a plain comparison."""

import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.config import Final, facts_of, read_finalists, scaled, shares, table
from deepfake.config.params import Evaluation, Params
from deepfake.errors import InputError
from deepfake.evaluation import bootstrap, selection, statistics, summary
from deepfake.project import paths
from deepfake.studies import comparison
from deepfake.tables import results as result_tables

PHASES = {
    "phase1": ("phase1",),
    "phase2": (
        *("phase2a_geometry", "phase2a_colour", "phase2a_holdout"),
        *("phase2b", "phase2c", "phase2d", "phase2e"),
    ),
    "phase3": ("phase3",),
    "phase4": (),
    "custom": ("custom",),
}
"""The tables of params.yaml that each phase compares; phase 4 makes its own of the candidates that were chosen."""


def run(phase: str, settings: Params) -> None:
    """Compare the experiments of a phase and write its tables.

    Raises:
        InputError: an experiment has not been trained, or a table of the phase is missing.
    """
    if phase == "phase4":
        _phase4(settings)
        return
    comparisons = {name: table(settings, name) for name in PHASES[phase]}
    evaluation, seed = settings.evaluation, settings.shared.seed
    comparison.run(phase, comparisons, settings.dataset, evaluation, seed)
    if phase in ("phase1", "custom"):
        comparison.write_curves(phase, comparisons[phase])
    if phase == "phase2":
        rows = comparisons["phase2a_holdout"]
        joined = comparison.read(rows, settings.dataset)
        result_tables.write(holdout(rows, joined, evaluation, seed), "phase2_holdout")


def holdout(rows: comparison.Rows, joined: dict[str, pd.DataFrame], evaluation: Evaluation, seed: int) -> pd.DataFrame:
    """Compare what detectors make of a source that they were not trained on.

    Args:
        rows: the experiments without a source, each with the baseline that was trained on all.
        joined: their predictions with label, source and group.
        evaluation: confidence, replicates and significance.
        seed: of the bootstrap.

    Returns:
        One row an experiment that leaves a source out: `experiment, source, held_out_auc` (that source's fakes against
        all reals), `in_source_auc` (the other fakes), `delta` (in-source minus held-out) with its interval and p-value
        over folds; `trained_auc` (the same source by the baseline, which was trained on it) and `benefit`
        (trained minus held out, on the same samples) with its interval over groups. `delta` mixes how hard the source
        is with how foreign; `benefit` does not. p-values are Holm's over the rows, `significant` as in `compare`.
    """
    found = []
    for name, baselines in rows.items():
        source = facts_of(name)["holdout"]
        if source:
            found.append(_holdout_row(name, source, joined[name], joined[baselines[0]], evaluation, seed))
    if not found:
        raise InputError("contrasts.phase2a_holdout: none of its experiments holds out a source; set their `holdout`")
    frame = pd.DataFrame(found)
    for column in ("p_delta", "p_benefit_bootstrap", "p_benefit_ttest"):
        frame[f"{column}_holm"] = statistics.holm(frame[column])
    frame["delta_significant"] = frame["p_delta_holm"] <= evaluation.significance
    largest = frame[["p_benefit_bootstrap_holm", "p_benefit_ttest_holm"]].max(axis=1)
    frame["benefit_significant"] = largest <= evaluation.significance
    return frame


def _holdout_row(
    name: str, source: str, without: pd.DataFrame, trained: pd.DataFrame, evaluation: Evaluation, seed: int
) -> dict[str, object]:
    """Return the figures of one experiment that leaves a source out."""
    share = statistics.held_out_share(trained["fold"].nunique())
    held_out, reference = (frame[frame["subset"] == "held_out"] for frame in (without, trained))
    foreign = held_out[(held_out["label"] == tables.REAL) | (held_out["source"] == source)]
    known = held_out[held_out["source"] != source]
    unseen, seen = (bootstrap.fold_auc(rows["label"], rows["logit"], rows["fold"]) for rows in (foreign, known))
    delta = statistics.fold_interval(seen - unseen, share, evaluation.confidence)
    keys = ["sample_id", "fold"]
    paired = foreign.merge(reference[[*keys, "logit"]], on=keys, suffixes=("", "_trained"), validate="one_to_one")
    arrays = [paired[column].to_numpy() for column in ("label", "logit", "logit_trained", "group", "fold")]
    labels, logits, trained_logits, groups, folds = arrays
    benefit = bootstrap.paired_auc_difference(
        labels,
        logits,
        trained_logits,
        groups,
        folds,
        replicates=evaluation.bootstrap_replicates,
        seed=seed,
        confidence=evaluation.confidence,
    )
    by_baseline = bootstrap.fold_auc(labels, trained_logits, folds)
    return {
        "experiment": name,
        "source": source,
        "held_out_auc": unseen.mean(),
        "held_out_std": unseen.std(ddof=1),
        "in_source_auc": seen.mean(),
        "in_source_std": seen.std(ddof=1),
        "delta": delta.estimate,
        "delta_low": delta.low,
        "delta_high": delta.high,
        "p_delta": statistics.corrected_resampled_ttest(seen - unseen, share).p_value,
        "trained_auc": by_baseline.mean(),
        "benefit": benefit.estimate,
        "benefit_low": benefit.low,
        "benefit_high": benefit.high,
        "p_benefit_bootstrap": benefit.p_value,
        "p_benefit_ttest": statistics.corrected_resampled_ttest(by_baseline - unseen, share).p_value,
    }


def finalists(settings: Params) -> list[str]:
    """Return the chosen runs of phase 3 on the largest share of the data."""
    return [scaled(name, settings.studies.phase4.fractions[-1]) for name in read_finalists()]


def _phase4(settings: Params) -> None:
    """Compare the chosen candidates: more data on the same held-out samples, and all of them on all samples."""
    names = read_finalists()
    evaluation, seed, dataset = settings.evaluation, settings.shared.seed, settings.dataset
    scaling = {scaled(name, share): () if share == "small" else (name,) for name in names for share in shares(settings)}
    joined = comparison.read(scaling, dataset)
    common = {
        run: _on_samples_of(joined[name], joined[run])
        for name in names
        for run in (scaled(name, share) for share in shares(settings))
    }
    comparison.write("phase4a", {"phase4a": scaling}, common, evaluation, seed)
    final = finalists(settings)
    best = max(final, key=lambda name: summary.by_fold(joined[name])["auc"].mean())
    _decide(final, joined, settings)
    against_best = {name: () if name == best else (best,) for name in final}
    comparison.write("phase4b", {"phase4b": against_best}, joined, evaluation, seed)


def _decide(final: list[str], joined: dict[str, pd.DataFrame], settings: Params) -> None:
    """Write which model is the final one: the best on all data, a tie going to the smaller."""
    aucs = {name: summary.by_fold(joined[name])["auc"].to_numpy(np.float64) for name in final}
    sizes = {name: facts_of(name)["parameters"] for name in final}
    share = statistics.held_out_share(len(next(iter(aucs.values()))))
    chosen = selection.rank(aucs, sizes, share, settings.selection.standard_errors)[0]
    tables.write_text(Final(run=chosen).model_dump_json(indent=2) + "\n", paths().final)


def _on_samples_of(small: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return predictions without the held-out samples that a smaller fraction does not have.

    Otherwise each fraction would be measured on other samples.
    """
    kept = small.loc[small["subset"] == "held_out", ["sample_id", "fold"]]
    inside = pd.MultiIndex.from_frame(other[["sample_id", "fold"]]).isin(pd.MultiIndex.from_frame(kept))
    return other[inside | (other["subset"] != "held_out").to_numpy()]
