"""Which settings and which models are chosen, and what the study shows of them: phases 1, 3 and 4, and the decision."""

from dataclasses import replace
from typing import Any

import pandas as pd
import scipy.stats

from deepfake.config.params import Params
from deepfake.reports.columns import source_columns
from deepfake.reports.wording import listed, p_value, standard_errors
from deepfake.studies.phases.answers import AGAINST, EFFECT, Answer, compared, verdict
from deepfake.studies.results import Results

_FACTORS = {
    "resolution": "resolution",
    "face_crop": "face crop",
    "augmentation": "augmentation without face crop",
    "augmentation_of_faces": "augmentation with face crop",
}
_DEPTHS = ("resnet34", "resnet50")


def decision(rows: pd.DataFrame, results: Results, settings: Params) -> Answer:
    """Say what phase 2 decided, by which rule and on which evidence.

    Args:
        rows: the evidence (`studies.selection.decide`).
        results: of phase 2.
        settings: for pixels and the rule.
    """
    errors = settings.selection.standard_errors
    # an empty cell is read as NaN, and a column of nothing else as numbers
    rows = rows.assign(refused=rows["refused"].astype(object).where(rows["refused"].notna(), ""))
    counting = rows[rows["counts"]].set_index("factor")
    chosen = {factor: _setting(settings, factor, row["chosen"]) for factor, row in counting.iterrows()}
    numbers = [
        f"{_FACTORS[row['factor']]}: {_setting(settings, row['factor'], row['other'])} over "
        f"{_setting(settings, row['factor'], row['simple'])} {row['gain']:+.3f}, standard error "
        f"{row['standard_error']:.3f}, {'refused, ' if row['refused'] else ''}so "
        f"{_setting(settings, row['factor'], row['chosen'])}"
        for _, row in rows.iterrows()
    ]
    noise, unproven = [], []
    for factor, row in counting.iterrows():
        kinds = {verdict(pair) for _, pair in results.pairs(row["table"]).iterrows()}
        if kinds == {"noise"}:
            noise.append(_FACTORS[str(factor)])
        elif not kinds & {"better", "worse"}:
            unproven.append(_FACTORS[str(factor)])
    notes = [
        f"A setting that costs more is chosen when its mean gain over models exceeds {standard_errors(errors)}.",
        *(_refusal(settings, row) for _, row in rows[rows["refused"] != ""].iterrows()),
        f"It is a choice, not a proof: no single difference is significant for {listed(unproven)}." if unproven else "",
        f"For {listed(noise)} it rests on noise: no model is told from guessing." if noise else "",
    ]
    short = ", ".join(chosen.values())
    return Answer("Which choices work best?", short, "; ".join(numbers), " ".join(note for note in notes if note))


def _refusal(settings: Params, row: Any) -> str:
    """Say why a setting was refused that the rule would have chosen."""
    other = _setting(settings, row["factor"], row["other"])
    return f"The gain of {other} ({row['gain']:+.3f}) does not count, so it was refused: {row['refused']}."


def _setting(settings: Params, factor: Any, value: Any) -> str:
    """Return a value of a factor in words, as it stands in the evidence."""
    if factor == "resolution":
        size = getattr(settings.presets[settings.preset].resolution, value)
        return f"{size}×{size}"
    if factor == "face_crop":
        return "face crop" if str(value) == "True" else "no face crop"
    return "no augmentation" if settings.augmentations[value].changes_nothing else f"{value} augmentation"


def baseline(results: Results) -> Answer:
    """Say which of the baselines of phase 1 is better."""
    return compared("Which baseline is better?", results.pairs("phase1"), AGAINST)


def best(results: Results, ranking: pd.DataFrame, settings: Params) -> Answer:
    """Say which architectures of phase 3 are best, and which go on.

    Args:
        results: of phase 3.
        ranking: of `studies.selection.rank`.
        settings: for the rule.
    """
    question = "Which architectures are best?"
    rows = _planned(results).sort_values("auc", ascending=False)
    titles = rows["experiment"].map(results.titles)
    numbers = "; ".join(
        f"{title} {row['auc']:.3f} ± {row['auc_std']:.3f}"
        for title, (_, row) in zip(titles, rows.iterrows(), strict=True)
    )
    chosen = ranking[ranking["chosen"]]["candidate"]
    going = listed(chosen.map(results.titles))
    note = (
        f"{going} go on to phase 4: the rule ranks by AUC, and of two models within "
        f"{standard_errors(settings.selection.standard_errors)} the smaller one goes first."
    )
    if not rows["learned"].any():
        short = "cannot be said: none is told from guessing, so a ranking would rank noise"
        return Answer(question, short, numbers, note)
    first = rows.iloc[0]
    short = (
        f"{titles.iloc[0]} has the highest AUC ({first['auc']:.3f}){_lead(results, first['experiment'])}; "
        f"{rows['learned'].sum()} of {len(rows)} models are told from guessing"
    )
    return Answer(question, short, numbers, f"{note}{_unplanned(results)}")


def _lead(results: Results, experiment: str) -> str:
    """Say which baselines a model is significantly above, or nothing for one that is tested against none."""
    pairs = results.pairs("phase3")
    tests = pairs[pairs["experiment"] == experiment]
    if tests.empty:
        return ""
    above = tests[[verdict(pair) == "better" for _, pair in tests.iterrows()]]
    if above.empty:
        return f", not significantly above {' or '.join(tests['against'])}"
    return f", significantly above {listed(above['against'])}"


def _planned(results: Results) -> pd.DataFrame:
    return results.rows[~results.rows["experiment"].isin(results.unplanned)]


def _unplanned(results: Results) -> str:
    """Say which models are not of the plan."""
    extra = results.rows[results.rows["experiment"].isin(results.unplanned)]
    if extra.empty:
        return ""
    told = listed(f"{results.titles[row['experiment']]} (AUC {row['auc']:.3f})" for _, row in extra.iterrows())
    return f" Not of the plan, shown for comparison and never chosen: {told}."


def differences(results: Results) -> Answer:
    """Say which architectures of phase 3 differ from the baselines; their many numbers stand in the table."""
    found = compared("Which differ from the baselines?", results.pairs("phase3"), AGAINST)
    return replace(found, numbers="")


def size(results: Results, significance: float) -> Answer:
    """Say whether more parameters go with a higher AUC (Kendall's tau, exact), among the models that have learned."""
    question = "Do more parameters help?"
    rows = _planned(results)
    learned = rows[rows["learned"]]
    left_out = f"{len(rows) - len(learned)} of {len(rows)} models left out, not told from guessing"
    if len(learned) < 4:
        return Answer(question, "cannot be said: fewer than 4 models are told from guessing", left_out)
    found: Any = scipy.stats.kendalltau(learned["parameters"], learned["auc"])
    tau, p = float(found.statistic), float(found.pvalue)
    smallest, largest = (int(learned["parameters"].agg(end)) for end in ("min", "max"))
    numbers = (
        f"rank correlation of parameters and AUC τ = {tau:+.2f}, {p_value(p)}, over "
        f"{len(learned)} models of {smallest:,} to {largest:,} parameters; {left_out}"
    )
    if p > significance:
        return Answer(question, "no trend is shown: size and AUC are not significantly correlated", numbers)
    short = "yes, larger models rank higher" if tau > 0 else "no, larger models rank lower"
    return Answer(question, short, numbers)


def depth(results: Results) -> Answer | None:
    """Say whether deeper ResNets do better than ResNet18, or nothing where they were not compared."""
    pairs = results.pairs("phase3")
    deeper = pairs[(pairs["a_model"] == "resnet18") & pairs["b_model"].isin(_DEPTHS)]
    if deeper.empty:
        return None
    return compared("Does depth help (ResNet 18 → 34 → 50)?", deeper, AGAINST)


def scaling(results: Results, settings: Params) -> Answer:
    """Say whether more data helps (4A): all of it against the small fraction, on the same held-out samples."""
    pairs = results.pairs("phase4a")
    largest = settings.studies.phase4.fractions[-1]
    whole = pairs[pairs["experiment"].str.endswith(f"_{largest}")]
    return compared("Does more data improve performance?", whole, EFFECT)


def final(results: Results, chosen: str, settings: Params) -> Answer:
    """Say which model is the final one, as phase 4 decided: the best on all data, a tie going to the smaller."""
    names = results.rows["experiment"].tolist()
    errors = settings.selection.standard_errors
    leader = names[int(results.rows["auc"].to_numpy().argmax())]
    row, first = results.row(chosen), results.row(leader)
    numbers = (
        f"AUC {row['auc']:.3f} ± {row['auc_std']:.3f}, {settings.evaluation.confidence:.0%} interval "
        f"[{row['auc_low']:.3f}, {row['auc_high']:.3f}] over groups, [{row['fold_low']:.3f}, {row['fold_high']:.3f}] "
        f"over folds; test AUC {row['test_auc']:.3f}; {int(row['parameters']):,} parameters"
    )
    note = (
        "It also has the highest AUC."
        if chosen == leader
        else f"{results.titles[leader]} has the highest AUC ({first['auc']:.3f}), but leads by no more than "
        f"{standard_errors(errors)}, and the smaller model wins a tie."
    )
    guess = "" if row["learned"] else ", but not told from guessing"
    short = f"{results.titles[chosen]} by the rule, AUC {row['auc']:.3f}{guess}"
    return Answer("Which model is the final one?", short, numbers, note)


def errors(results: Results, experiment: str) -> Answer:
    """Say what the final model gets wrong."""
    question = "What are its errors?"
    row = results.row(experiment)
    aucs = {column.removeprefix("auc_"): float(row[column]) for column in source_columns(results.rows)}
    hardest = min(aucs, key=aucs.__getitem__)
    missed, accused = 1 - row["recall_fake"], 1 - row["recall_real"]
    numbers = (
        f"EER {row['eer']:.3f}, balanced accuracy {row['balanced_accuracy']:.3f}, expected calibration error "
        f"{row['ece']:.3f}, Brier {row['brier']:.3f}; AUC "
        + ", ".join(f"{source} {value:.3f}" for source, value in aucs.items())
    )
    if not row["learned"]:
        return Answer(question, "those of guessing: it is not told from it", numbers)
    more = (
        "it misses fakes as often as it accuses reals"
        if missed == accused
        else "it misses fakes more often than it accuses reals"
        if missed > accused
        else "it accuses reals more often than it misses fakes"
    )
    return Answer(
        question,
        f"{more}: {missed:.0%} of fakes are called real, {accused:.0%} of reals fake; {hardest} is hardest",
        numbers,
        "Each fold decides at its own threshold, Youden's on its inner validation.",
    )


def undecided(results: Results) -> Answer | None:
    """Say which of the final models cannot be told from the best, or nothing where there is one only."""
    pairs = results.pairs("phase4b")
    return None if pairs.empty else compared("What stays undecided between the final models?", pairs, AGAINST)
