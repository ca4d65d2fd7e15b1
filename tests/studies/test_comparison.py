"""Comparisons: their figures against scikit-learn and plain loops, their verdicts against the rules called directly."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from conftest import ROOT
from deepfake import tables as files
from deepfake.config import params
from deepfake.errors import InputError
from deepfake.evaluation import influence, resampling, statistics, summary, verdicts
from deepfake.evaluation.evalset import EvalSet
from deepfake.project import paths
from deepfake.studies import comparison
from deepfake.studies.phases import analysis
from repeated_predictions import FOLDS, GROUPS, between_auc, held_out, mean_auc, predictions

EVALUATION = params.load(ROOT / "params.yaml").evaluation
RUNS = {"weak": predictions(0.4, 1), "strong": predictions(2.5, 2), "middle": predictions(0.9, 3)}
TABLE = {"weak": (), "strong": ("weak",), "middle": ("weak", "strong")}


@pytest.fixture(scope="module")
def found() -> comparison.Comparison:
    return comparison.compare({"one": TABLE}, RUNS, EVALUATION)


def direct(*pairs: tuple[str, str], joined=RUNS) -> list[verdicts.Verdict]:
    """Judge pairs of runs in one family, without the comparison."""
    estimates = []
    for first, second in pairs:
        sides = [resampling.auc(EvalSet.of(held_out(joined[name]))) for name in (first, second)]
        estimates.append(resampling.recipe(influence.difference(*sides)))
    return verdicts.compare(estimates, EVALUATION.rope)


def test_aucs_are_those_of_scikit_learn_and_of_pairs_of_different_groups(found):
    rows = found.rows.set_index("experiment")
    for name, joined in RUNS.items():
        assert rows.loc[name, "auc_all"] == pytest.approx(mean_auc(joined))
        assert rows.loc[name, "auc"] == pytest.approx(between_auc(joined))
        assert rows.loc[name, "auc_low"] < rows.loc[name, "auc"] < rows.loc[name, "auc_high"]
    assert set(rows["samples"]) == {GROUPS * 6} and set(rows["groups"]) == {GROUPS} and set(rows["repeats"]) == {2}
    assert found.folds.groupby("experiment").size().to_dict() == dict.fromkeys(RUNS, 2 * FOLDS)


def test_chance_is_judged_in_one_family(found):
    estimates = [resampling.recipe(resampling.auc(EvalSet.of(held_out(one))), 0.5) for one in RUNS.values()]
    expected = verdicts.against_chance(estimates, EVALUATION.rope)
    rows = found.rows
    assert rows["chance"].tolist() == [one.word for one in expected]
    assert rows["chance"].tolist()[1] == "above_chance"
    for column, values in {
        "p_chance": [one.p for one in expected],
        "auc_low": [one.low for one in expected],
        "auc_high": [one.high for one in expected],
    }.items():
        assert rows[column].tolist() == pytest.approx(values)


def test_guessing_is_not_above_chance():
    rows = comparison.compare({"t": {"guess": ()}}, {"guess": predictions(0.0, 9)}, EVALUATION).rows
    assert rows["chance"].tolist()[0] != "above_chance"


def test_every_planned_pair_has_the_verdict_of_its_family(found):
    pairs = [("weak", "strong"), ("weak", "middle"), ("strong", "middle")]
    tests = found.tests
    assert list(zip(tests["baseline"], tests["experiment"], strict=True)) == pairs
    for (first, second), verdict, (_, row) in zip(pairs, direct(*pairs), tests.iterrows(), strict=True):
        assert row["difference"] == pytest.approx(between_auc(RUNS[second]) - between_auc(RUNS[first]))
        assert row["verdict"] == verdict.word
        assert [row["low"], row["high"], row["p"]] == pytest.approx([verdict.low, verdict.high, verdict.p])
        assert row["detectable"] == pytest.approx(verdicts.detectable(verdict.estimate, EVALUATION.rope, 3))
        assert row["reason"] == ""
    assert tests["verdict"].tolist() == ["better", "better", "worse"]


def test_holm_runs_over_each_table_of_its_own(found):
    alone = comparison.compare({"a": {"weak": (), "middle": ("weak",)}, "b": {"strong": ("weak",)}}, RUNS, EVALUATION)
    assert alone.tests["table"].tolist() == ["a", "b"]
    assert alone.tests["p"].tolist() == pytest.approx(
        [direct(("weak", "middle"))[0].p, direct(("weak", "strong"))[0].p]
    )
    together = found.tests.set_index(["baseline", "experiment"])
    least = found.tests["p"].idxmin()
    pair = tuple(found.tests.loc[least, ["baseline", "experiment"]])
    assert together.loc[pair, "p"] == pytest.approx(3 * direct(pair)[0].p)  # the surest of three


def test_a_copy_differs_by_nothing_and_nothing_is_concluded_without_a_reason():
    row = comparison.compare({"t": {"a": (), "b": ("a",)}}, dict.fromkeys("ab", RUNS["weak"]), EVALUATION).tests.iloc[0]
    assert row["difference"] == 0 and row["verdict"] == "undecided" and "no spread" in row["reason"]


def test_runs_of_fewer_repeats_are_compared_on_common_ones():
    once = predictions(0.9, 3, repeats=1)
    joined = {"twice": RUNS["weak"], "once": once}
    row = comparison.compare({"t": {"twice": (), "once": ("twice",)}}, joined, EVALUATION).tests.iloc[0]
    first = RUNS["weak"][RUNS["weak"]["repeat"] == 0]
    expected = direct(("twice", "once"), joined={"twice": first, "once": once})[0]
    assert row["repeats"] == 1
    assert row["difference"] == pytest.approx(between_auc(once) - between_auc(first))
    assert [row["low"], row["high"], row["p"]] == pytest.approx([expected.low, expected.high, expected.p])
    folds = [summary.by_fold(one).set_index("fold")["train_val_gap"] for one in (first, once)]
    assert row["train_val_gap_change"] == pytest.approx((folds[1] - folds[0]).mean())
    aucs = [resampling.source_aucs(EvalSet.of(held_out(one))) for one in (first, once)]
    spreads = [resampling.source_variance(one).values.mean() for one in aucs]
    assert row["source_auc_variance_change"] == pytest.approx(spreads[1] - spreads[0])


def test_the_change_of_the_gap_has_the_interval_of_nadeau_and_bengio(found):
    row = found.tests.iloc[0]
    by_fold = [summary.by_fold(RUNS[name]).set_index("fold")["train_val_gap"] for name in ("weak", "strong")]
    change = (by_fold[1] - by_fold[0]).to_numpy()
    count = len(change)
    reach = scipy.stats.t.ppf(0.975, count - 1) * np.sqrt((1 / count + 1 / (FOLDS - 1)) * change.var(ddof=1))
    assert row["train_val_gap_change"] == pytest.approx(change.mean())
    assert row["train_val_gap_low"] == pytest.approx(change.mean() - reach)
    assert row["train_val_gap_high"] == pytest.approx(change.mean() + reach)
    assert comparison.over_folds(pd.Series([1.0, 2.0]), pd.Series([0, 0]), 0.95) == statistics.fold_interval(
        [1.0, 2.0], 1.0, 0.95
    )


def test_a_table_of_one_run_has_no_tests():
    found = comparison.compare({"t": {"weak": ()}}, RUNS, EVALUATION)
    assert len(found.rows) == 1 and found.tests.empty and list(found.tests) == comparison.TEST_COLUMNS


def test_thresholds_come_from_the_inner_validation_alone():
    shifted = RUNS["weak"].copy()
    shifted.loc[shifted["subset"] == "held_out", "logit"] += 100
    assert summary.by_fold(RUNS["weak"])["threshold"].equals(summary.by_fold(shifted)["threshold"])
    assert summary.by_fold(shifted)["recall_real"].max() == 0


def test_predictions_that_are_missing_or_of_samples_that_are_gone_are_told(study):
    settings = study({})
    manifest = files.read(paths().manifest("sample"), files.MANIFEST)
    gone = manifest[manifest["group"] != manifest["group"].iloc[0]]
    files.write(gone, paths().manifest("sample"), files.MANIFEST)
    with pytest.raises(InputError, match="samples that are not in the manifest; run deepfake train simple_cnn_low"):
        analysis.run("phase1", settings)
    paths().predictions("simple_cnn_low").unlink()
    with pytest.raises(InputError, match="not found; run deepfake train simple_cnn_low, or dvc repro"):
        analysis.run("phase1", settings)
