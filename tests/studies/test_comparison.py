import numpy as np
import pandas as pd
import pytest

from deepfake.config.params import Evaluation
from deepfake.evaluation import statistics, summary
from deepfake.studies import comparison

EVALUATION = Evaluation(confidence=0.95, bootstrap_replicates=400, significance=0.05)
FOLDS, GROUPS, PER_GROUP = 4, 20, 6


def predictions(strength: float, seed: int, wobble: float = 0.0) -> pd.DataFrame:
    """Return joined predictions of a detector; `wobble` makes it better or worse by fold."""
    rng = np.random.default_rng(seed)
    rows = []
    for fold in range(FOLDS):
        for subset in ("train", "validation", "held_out", "test"):
            names = [f"{subset if subset == 'test' else fold}-{subset}-{g}" for g in range(GROUPS)]
            group = np.repeat(names, PER_GROUP)
            label = np.tile([0, 1, 1], len(group) // 3)
            power = strength + wobble * (-1) ** fold
            rows.append(
                pd.DataFrame(
                    {
                        "sample_id": [f"{name}/{n}" for n, name in enumerate(group)],
                        "fold": fold,
                        "subset": subset,
                        "label": label,
                        "source": np.where(label == 0, "wiki", np.tile(["wiki", "a", "b"], len(label) // 3)),
                        "group": group,
                        "logit": rng.normal(size=len(label)) + power * label,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def compare(**experiments: pd.DataFrame):
    """Compare all with the first; return rows and tests."""
    first, *others = experiments
    rows, _, tests = comparison.compare(
        {"table": {first: (), **dict.fromkeys(others, (first,))}}, experiments, EVALUATION, seed=1
    )
    return rows, tests


def test_a_clear_difference_is_significant_and_a_copy_is_not():
    weak, strong = predictions(0.3, 1), predictions(2.5, 2)
    rows, tests = compare(weak=weak, strong=strong, copy=weak)
    tests = tests.set_index("experiment")
    assert tests.loc["strong", "significant"]
    assert not tests.loc["copy", "significant"]
    assert (tests.loc["copy", ["difference", "low", "high"]] == 0).all()
    assert rows["learned"].tolist()[1]


def test_both_tests_must_agree():
    # far better on average but only in every other fold: resampling people sees it, other training sets may not
    _, tests = compare(base=predictions(0.5, 1), wavering=predictions(2.0, 2, wobble=1.5))
    test = tests.iloc[0]
    assert test["p_bootstrap_holm"] < 0.05 < test["p_ttest_holm"]
    assert not test["significant"]


def test_guessing_is_not_called_learning():
    rows, _ = compare(guess=predictions(0.0, 5), other=predictions(0.0, 6))
    assert not rows["learned"].any()


def test_holm_runs_over_the_whole_table():
    _, tests = compare(base=predictions(1.0, 1), one=predictions(1.3, 2), two=predictions(1.5, 3))
    for kind in ("bootstrap", "ttest"):
        assert tests[f"p_{kind}_holm"].tolist() == pytest.approx(statistics.holm(tests[f"p_{kind}"]).tolist())


def test_holm_runs_over_each_table_of_its_own():
    experiments = {"base": predictions(1.0, 1), "one": predictions(1.3, 2), "two": predictions(1.5, 3)}
    tables = {"first": {"base": (), "one": ("base",)}, "second": {"base": (), "two": ("base",)}}
    rows, folds, tests = comparison.compare(tables, experiments, EVALUATION, seed=1)
    assert rows["experiment"].tolist() == ["base", "one", "two"]
    assert folds.groupby("experiment").size().tolist() == [FOLDS] * 3
    assert tests["table"].tolist() == ["first", "second"]
    assert tests["p_ttest_holm"].tolist() == tests["p_ttest"].tolist()


def test_each_pair_that_a_table_names_is_tested():
    experiments = {"a": predictions(1.0, 1), "b": predictions(1.3, 2), "c": predictions(1.5, 3)}
    tables = {"t": {"a": (), "b": ("a",), "c": ("a", "b")}}
    tests = comparison.compare(tables, experiments, EVALUATION, seed=1).tests
    assert list(zip(tests["baseline"], tests["experiment"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_changes_of_gap_and_source_variance_are_those_of_the_folds():
    first, second = predictions(1.0, 1), predictions(1.6, 2)
    _, tests = compare(a=first, b=second)
    by_fold = [summary.by_fold(joined).set_index("fold") for joined in (first, second)]
    for metric in comparison.CHANGES:
        change = by_fold[1][metric] - by_fold[0][metric]
        assert tests[f"{metric}_change"].iloc[0] == pytest.approx(change.mean())
        assert tests[f"{metric}_low"].iloc[0] < change.mean() < tests[f"{metric}_high"].iloc[0]


def test_a_table_of_one_experiment_has_no_tests():
    rows, tests = compare(only=predictions(1.0, 1))
    assert len(rows) == 1
    assert tests.empty


def test_the_headline_is_the_mean_over_folds_of_the_held_out_auc():
    from sklearn.metrics import roc_auc_score

    joined = predictions(1.0, 4)
    rows, _ = compare(only=joined)
    held_out = joined[joined["subset"] == "held_out"]
    aucs = [roc_auc_score(rows["label"], rows["logit"]) for _, rows in held_out.groupby("fold")]
    assert rows["auc"].iloc[0] == pytest.approx(np.mean(aucs))
    assert rows["auc_std"].iloc[0] == pytest.approx(np.std(aucs, ddof=1))
    assert summary.headline(summary.by_fold(joined))["auc"] == pytest.approx(np.mean(aucs))


def test_thresholds_come_from_the_inner_validation_alone():
    joined = predictions(1.0, 4)
    shifted = joined.copy()
    shifted.loc[shifted["subset"].isin(["held_out", "test"]), "logit"] += 100
    assert summary.by_fold(joined)["threshold"].equals(summary.by_fold(shifted)["threshold"])
    assert summary.by_fold(shifted)["recall_real"].max() == 0
