"""The phases of the study: which tables each one fills, and what they hold beyond a plain comparison."""

import pandas as pd

from deepfake import layout, tables
from deepfake.config import SCALES, facts_of, read_gate
from deepfake.errors import InputError
from deepfake.evaluation import bootstrap, statistics, summary
from deepfake.params import Evaluation, Params
from deepfake.studies import comparison

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
    for name in PHASES[phase]:
        if name not in settings.tables:
            raise InputError(f"tables.{name}: {phase} compares it, but params.yaml has no such table")
    comparisons = {name: settings.tables[name] for name in PHASES[phase]}
    evaluation, seed = settings.evaluation, settings.shared.seed
    comparison.run(phase, comparisons, settings.dataset, evaluation, seed)
    if phase == "phase2":
        joined = comparison.read(settings.tables["phase2a_holdout"], settings.dataset)
        tables.write_csv(
            holdout(settings.tables["phase2a_holdout"], joined, evaluation, seed), layout.table("phase2_holdout")
        )


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
        raise InputError("tables.phase2a_holdout: none of its experiments holds out a source; set their `holdout`")
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
    share = comparison.test_share(trained)
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


def chosen(settings: Params) -> list[str]:
    """Return the candidates whose gate is open, in the order of params.yaml."""
    return [name for name in settings.candidates if read_gate(name).open]


def finalists(settings: Params) -> list[str]:
    """Return the experiments of the chosen candidates on all data."""
    return [f"{name}{SCALES['all']}" for name in chosen(settings)]


def _phase4(settings: Params) -> None:
    """Compare the chosen candidates: more data on the same held-out samples, and all of them on all samples."""
    names = chosen(settings)
    evaluation, seed, dataset = settings.evaluation, settings.shared.seed, settings.dataset
    small, medium, everything = (SCALES[fraction] for fraction in ("small", "medium", "all"))
    scaling = {
        f"{name}{suffix}": () if suffix == small else (f"{name}{small}",)
        for name in names
        for suffix in (small, medium, everything)
    }
    joined = comparison.read(scaling, dataset)
    common = {
        name: _on_samples_of(joined[f"{candidate}{small}"], joined[name])
        for candidate in names
        for name in (f"{candidate}{suffix}" for suffix in (small, medium, everything))
    }
    comparison.write("phase4a", {"phase4a": scaling}, common, evaluation, seed)
    final = finalists(settings)
    best = max(final, key=lambda name: summary.by_fold(joined[name])["auc"].mean())
    against_best = {name: () if name == best else (best,) for name in final}
    comparison.write("phase4b", {"phase4b": against_best}, joined, evaluation, seed)


def _on_samples_of(small: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return predictions without the held-out samples that a smaller fraction does not have.

    Otherwise each fraction would be measured on other samples.
    """
    kept = small.loc[small["subset"] == "held_out", ["sample_id", "fold"]]
    inside = pd.MultiIndex.from_frame(other[["sample_id", "fold"]]).isin(pd.MultiIndex.from_frame(kept))
    return other[inside | (other["subset"] != "held_out").to_numpy()]
