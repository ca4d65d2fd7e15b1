import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from deepfake.config.params import Evaluation
from deepfake.evaluation import bootstrap, robustness
from deepfake.evaluation.robustness import CLEAN, HeldOut

EVALUATION = Evaluation(confidence=0.9, bootstrap_replicates=300, significance=0.05)
STRENGTHS = {"blur": (1.0, 2.0, 3.0), "jpeg": (90, 50, 10)}
SEED = 5


def held_out() -> HeldOut:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 20)
    names = np.array([f"s{number}" for number in range(240)])
    return HeldOut(names, rng.integers(0, 2, 240), groups.astype(str), groups // 4, [0.2, 0.5, 0.8])


HELD_OUT = held_out()


def logits(quality: float, seed: int = 0) -> np.ndarray:
    return HELD_OUT.labels * quality + np.random.default_rng(seed).normal(0, 1, 240)


def condition(quality: float, seed: int = 0) -> robustness.Condition:
    return robustness.condition(HELD_OUT, logits(quality, seed), EVALUATION, SEED)


def curves(*qualities: tuple[float, ...], clean: float = 2.0) -> dict[str, list[robustness.Condition]]:
    return {CLEAN: [condition(clean)]} | {
        name: [condition(quality, 1 + place) for quality in values]
        for place, (name, values) in enumerate(zip(STRENGTHS, qualities, strict=True))
    }


CURVES = curves((1.5, 1.0, -0.5), (2.0, 1.9, 1.8))


def auc(values: np.ndarray) -> float:
    folds = [HELD_OUT.folds == fold for fold in range(3)]
    return float(np.mean([roc_auc_score(HELD_OUT.labels[inside], values[inside]) for inside in folds]))


def arguments(*values: np.ndarray) -> tuple:
    return (HELD_OUT.labels, *values, HELD_OUT.groups, HELD_OUT.folds, 300, SEED, 0.9)


def test_a_condition_is_judged_fold_by_fold():
    values = logits(1.0)
    found = condition(1.0)
    assert found.auc == pytest.approx(auc(values))
    interval = bootstrap.auc_interval(*arguments(values))
    assert (found.row["low"], found.row["high"]) == (interval.low, interval.high)
    folds = [HELD_OUT.folds == fold for fold in range(3)]
    accuracy = [
        balanced_accuracy_score(HELD_OUT.labels[inside], values[inside] >= threshold)
        for inside, threshold in zip(folds, HELD_OUT.thresholds, strict=True)
    ]
    assert found.row["balanced_accuracy"] == pytest.approx(np.mean(accuracy))
    spread = np.std([roc_auc_score(HELD_OUT.labels[inside], values[inside]) for inside in folds], ddof=1)
    assert found.row["auc_std"] == pytest.approx(spread)


def test_a_difference_of_two_is_that_of_the_paired_bootstrap():
    expected = bootstrap.paired_auc_difference(*arguments(logits(0.5, 1), logits(2.0, 2)))
    found = robustness.difference([condition(2.0, 2)], [condition(0.5, 1)], 0.9)
    assert found == pytest.approx((expected.estimate, expected.low, expected.high))


def test_a_row_says_what_a_condition_costs():
    rows = robustness.rows(CURVES, STRENGTHS, 0.9)
    assert rows["corruption"].tolist() == [CLEAN, *["blur"] * 3, *["jpeg"] * 3]
    assert rows["level"].tolist() == [0, 1, 2, 3, 1, 2, 3]
    assert rows["strength"].fillna(-1).tolist() == [-1, 1, 2, 3, 90, 50, 10]
    np.testing.assert_allclose(rows["drop"], rows.loc[0, "auc"] - rows["auc"], atol=1e-12)
    np.testing.assert_allclose(rows.loc[0, ["drop", "drop_low", "drop_high"]].to_numpy(float), 0, atol=1e-12)
    expected = bootstrap.paired_auc_difference(*arguments(logits(-0.5, 1), logits(2.0)))
    assert rows.loc[3, ["drop_low", "drop_high"]].tolist() == pytest.approx([expected.low, expected.high])


def test_a_level_is_the_mean_over_corruptions():
    rows = robustness.rows(CURVES, STRENGTHS, 0.9)
    found = robustness.summary(CURVES, HELD_OUT, 0.9)
    pd.testing.assert_series_equal(found["auc"], rows.groupby("level")["auc"].mean(), check_index=False)
    pd.testing.assert_series_equal(found["drop"], rows.groupby("level")["drop"].mean(), check_index=False, atol=1e-12)
    least = rows.loc[rows.groupby("level")["auc"].idxmin()]
    assert found["worst"].tolist() == least["corruption"].tolist()
    assert found["worst_auc"].tolist() == least["auc"].tolist()
    assert (found[["samples", "groups"]] == [240, 12]).all(axis=None)


def test_the_costliest_corruption_comes_first_and_says_where_chance_begins():
    rows = robustness.rows(CURVES, STRENGTHS, 0.9)
    found = robustness.corruptions(CURVES, STRENGTHS, 0.9).set_index("corruption")
    assert found.index.tolist() == ["blur", "jpeg"]
    means = rows[rows["level"] > 0].groupby("corruption")["drop"].mean()
    assert found["drop"].to_dict() == pytest.approx(means.to_dict())
    assert found.loc["blur", "behind"] == pytest.approx(0)
    assert found.loc["jpeg", "behind"] == pytest.approx(means["blur"] - means["jpeg"])
    assert found.loc["jpeg", "behind_low"] > 0
    at_chance = rows[(rows["corruption"] == "blur") & (rows["low"] <= 0.5)]
    assert found.loc["blur", "chance"] == at_chance["strength"].min() == 3.0
    assert np.isnan(found.loc["jpeg", "chance"])


def test_contrasts_tell_losing_less_from_being_better():
    steady = curves((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), clean=1.0)
    found = robustness.contrasts(CURVES, steady, 0.9).set_index("corruption")
    assert found.index.tolist() == [robustness.ALL, "blur", "jpeg"]
    means = {}
    for name, each in (("baseline", CURVES), ("other", steady)):
        rows = robustness.rows(each, STRENGTHS, 0.9).query("level > 0")
        means[name] = rows.groupby("corruption")[["auc", "drop"]].mean()
        means[name].loc[robustness.ALL] = rows[["auc", "drop"]].mean()
    expected = (means["other"] - means["baseline"]).loc[found.index]
    np.testing.assert_allclose(found[["auc", "drop"]], expected, atol=1e-12)
    # against jpeg it loses less, as there is less to lose, and yet it is worse
    assert found.loc["jpeg", "auc_high"] < 0 and found.loc["jpeg", "drop_high"] <= 0.1
    assert found.loc["blur", "drop_high"] < 0


def test_an_experiment_does_not_differ_from_itself():
    found = robustness.contrasts(CURVES, CURVES, 0.9).drop(columns="corruption")
    assert (found == 0).all(axis=None)


def test_experiments_are_paired_on_the_same_samples_alone():
    other = HeldOut(
        HELD_OUT.sample_ids[::-1], *(getattr(HELD_OUT, name) for name in ("labels", "groups", "folds")), [0]
    )
    assert HELD_OUT.same_samples(held_out())
    assert not HELD_OUT.same_samples(other)
