import functools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from scipy.special import expit
from sklearn import metrics as reference

from deepfake.errors import InputError
from deepfake.evaluation import bootstrap, decisions, metrics, thresholds
from deepfake.evaluation.decisions import GAP, METRICS, Counts, Decided

FOLDS = 3
REPLICATES = 40
SEED = 7


def predictions(seed=0, quality=1.5, groups=24):
    """One experiment: each group of 2 reals and 18 fakes is held out once, and trained on and validated otherwise."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups + 4), 20)
    label = np.tile(np.repeat([0, 1], [2, 18]), groups + 4)
    effect = rng.normal(0, 0.7, groups + 4)
    frames = []
    for fold in range(FOLDS):
        place = np.where(group >= groups, "test", np.where(group % FOLDS == fold, "held_out", "train")).astype(object)
        place[(place == "train") & (group % 4 == 0)] = "validation"
        logit = rng.normal(label * quality + effect[group] + fold / 2)
        name = np.array([f"person {number:02d}" for number in group], dtype=object)
        frames.append(pd.DataFrame({"fold": fold, "subset": place, "label": label, "logit": logit, "group": name}))
    return pd.concat(frames, ignore_index=True)


JOINED = predictions()


def chosen(joined: pd.DataFrame) -> dict[str, dict[int, float]]:
    """Return each rule's thresholds on the inner validation of each fold, as training writes them into its records."""
    validation = joined[joined["subset"] == "validation"].groupby("fold")
    found = {fold: thresholds.all_of(rows["label"], rows["logit"]) for fold, rows in validation}
    return {rule: {fold: by_rule[rule] for fold, by_rule in found.items()} for rule in thresholds.RULES}


CHOSEN = chosen(JOINED)
HELD_OUT = JOINED[JOINED["subset"] == "held_out"]


def by_scikit_learn(labels, called):
    labels, called = np.asarray(labels), np.asarray(called).astype(int)
    zero: dict[str, Any] = {"zero_division": 0}
    found = {
        "accuracy": reference.accuracy_score(labels, called),
        "balanced_accuracy": reference.recall_score(labels, called, average="macro", **zero),
        "f1_macro": reference.f1_score(labels, called, average="macro", **zero),
        "false_positive_rate": np.mean(called[labels == 0]),
    }
    for label, name in enumerate(["real", "fake"]):
        for figure in ("precision", "recall", "f1"):
            score = getattr(reference, f"{figure}_score")
            found[f"{figure}_{name}"] = score(labels, called, pos_label=label, **zero)
    found[GAP] = abs(found["precision_real"] - found["recall_real"])
    return found


def test_counts_by_hand():
    # a sample on the threshold is called fake
    found = decisions.count([0, 0, 0, 1, 1, 1, 1], [-1.0, 0.5, -2.0, 0.5, 3.0, -4.0, 1.0], 0.5)
    assert found._asdict() == {"true_fakes": 3, "false_fakes": 1, "true_reals": 2, "false_reals": 1}


@pytest.mark.parametrize("threshold", [-99.0, -0.5, 0.0, 1.5, 99.0])
def test_every_metric_of_decisions_equals_scikit_learn(threshold):
    labels, logits = HELD_OUT["label"].to_numpy(), HELD_OUT["logit"].to_numpy()
    counts = decisions.count(labels, logits, threshold)
    found = {name: float(metric(counts)) for name, metric in METRICS.items()}
    assert found == pytest.approx(by_scikit_learn(labels, logits >= threshold))
    summarised = metrics.classification(labels, logits, threshold)
    shared = METRICS.keys() & summarised.keys()
    assert len(shared) == len(METRICS) - 2
    assert {name: found[name] for name in shared} == pytest.approx({name: summarised[name] for name in shared})


def test_metrics_work_element_by_element_in_any_shape():
    drawn = np.random.default_rng(0).integers(0, 4, (4, 5, 3)).astype(float)
    for metric in METRICS.values():
        values = metric(Counts(*drawn))
        assert values.shape == (5, 3)
        assert values[2, 1] == metric(Counts(*drawn[:, 2, 1]))
        assert ((values >= 0) & (values <= 1)).all()


def test_a_class_that_is_never_called_has_no_gap_and_no_recall():
    counts = decisions.count([0, 1, 1], [0.0, 1.0, 2.0], -1.0)
    assert float(METRICS[GAP](counts)) == float(METRICS["recall_real"](counts)) == 0


def test_decisions_are_made_about_the_held_out_samples_alone():
    table = decisions.at_thresholds(JOINED, CHOSEN)
    elsewhere = JOINED.assign(logit=JOINED["logit"].where(JOINED["subset"] == "held_out", 0.0))
    pd.testing.assert_frame_equal(table, decisions.at_thresholds(elsewhere, CHOSEN))


def test_one_row_a_rule_and_fold():
    table = decisions.at_thresholds(JOINED, CHOSEN)
    counts = ["true_fakes", "false_fakes", "true_reals", "false_reals"]
    assert table.columns.tolist() == ["rule", "fold", "threshold", "probability", *counts, *METRICS]
    assert list(zip(table["rule"], table["fold"], strict=True)) == [(r, f) for r in CHOSEN for f in range(FOLDS)]
    assert (table[counts].dtypes == np.int64).all()
    for row in table.to_dict("records"):
        rows = HELD_OUT[HELD_OUT["fold"] == row["fold"]]
        assert row["threshold"] == CHOSEN[row["rule"]][row["fold"]]
        assert row["probability"] == expit(row["threshold"])
        called = rows["logit"] >= row["threshold"]
        (tr, ff), (fr, tf) = reference.confusion_matrix(rows["label"], called.astype(int)).tolist()
        assert [row[name] for name in counts] == [tf, ff, tr, fr]
        assert {name: row[name] for name in METRICS} == pytest.approx(by_scikit_learn(rows["label"], called))


def test_a_fold_that_lacks_a_class_is_named():
    def without_reals(subset):
        return JOINED[~((JOINED["fold"] == 1) & (JOINED["subset"] == subset) & (JOINED["label"] == 0))]

    with pytest.raises(InputError, match="fold 1, held_out: no real sample"):
        decisions.at_thresholds(without_reals("held_out"), CHOSEN)
    one_class = decisions.decided(without_reals("held_out"), CHOSEN["youden"])
    with pytest.raises(InputError, match="fold 1: no real sample; use fewer folds"):
        decisions.interval(one_class, "accuracy", 20, 0, 0.9)


def of(rule, joined=JOINED):
    return decisions.decided(joined, CHOSEN[rule])


@functools.cache
def repeated_rows(rule):
    """Repeat the rows of each group as often as the group is drawn, and ask scikit-learn, fold by fold."""
    decided = of(rule)
    names, codes = np.unique(decided.groups, return_inverse=True)
    _, strata = bootstrap.stratify(decided.groups, decided.folds, np.arange(FOLDS))
    (weights,) = bootstrap.multiplicities(strata, REPLICATES, REPLICATES, SEED)
    values = []
    for column in weights.T.astype(int):
        assert column.sum() == len(names) - FOLDS
        rows = np.repeat(np.arange(len(codes)), column[codes])
        folds = [rows[decided.folds[rows] == fold] for fold in range(FOLDS)]
        values.append(
            pd.DataFrame([by_scikit_learn(decided.labels[inside], decided.called[inside]) for inside in folds]).mean()
        )
    return pd.DataFrame(values)


def test_decided_holds_the_held_out_samples():
    found = of("fpr_5")
    assert found.labels.tolist() == HELD_OUT["label"].tolist()
    assert found.groups.tolist() == HELD_OUT["group"].tolist()
    threshold = HELD_OUT["fold"].map(CHOSEN["fpr_5"])
    assert found.called.tolist() == (HELD_OUT["logit"] >= threshold).tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_an_interval_is_that_of_repeated_rows(metric):
    sample = of("youden")
    values = repeated_rows("youden")[metric]
    found = decisions.interval(sample, metric, REPLICATES, SEED, 0.9)
    table = decisions.at_thresholds(JOINED, {"youden": CHOSEN["youden"]})
    assert found.estimate == pytest.approx(table[metric].mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))
    assert found.confidence == 0.9


@pytest.mark.parametrize("metric", ["recall_real", "f1_macro", GAP])
def test_a_difference_is_that_of_repeated_rows(metric):
    values = (repeated_rows("youden") - repeated_rows("half"))[metric].to_numpy()
    found = decisions.difference(of("half"), of("youden"), metric, REPLICATES, SEED, 0.9)
    means = decisions.at_thresholds(JOINED, CHOSEN).groupby("rule")[metric].mean()
    estimate = means["youden"] - means["half"]
    assert found.estimate == pytest.approx(estimate)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))
    sides = 1 + np.count_nonzero(values <= 0), 1 + np.count_nonzero(values >= 0)
    assert found.p_value == pytest.approx(min(1, 2 * min(sides) / (REPLICATES + 1)))


def test_the_balanced_accuracy_of_a_cut_is_resampled_as_the_auc_of_its_two_values():
    # an AUC of decisions is their balanced accuracy, a tie counting half: the draws of `bootstrap_auc` are the same
    sample = of("youden")
    samples = (sample.labels, sample.called.astype(float), sample.groups, sample.folds)
    theirs = bootstrap.bootstrap_auc(*samples, 200, 3)
    found = decisions.interval(sample, "balanced_accuracy", 200, 3, 0.95)
    assert found.estimate == pytest.approx(bootstrap.fold_auc(sample.labels, samples[1], sample.folds).mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(theirs, [0.025, 0.975])))


def test_neither_row_order_nor_chunks_change_an_interval(monkeypatch):
    whole = decisions.interval(of("youden"), "f1_macro", 60, 3, 0.9)
    assert decisions.interval(of("youden", JOINED.sample(frac=1, random_state=0)), "f1_macro", 60, 3, 0.9) == whole
    monkeypatch.setattr(bootstrap, "CHUNK_BYTES", 1)
    assert decisions.interval(of("youden"), "f1_macro", 60, 3, 0.9) == whole
    assert decisions.interval(of("youden"), "f1_macro", 60, 4, 0.9) != whole


def test_equal_decisions_do_not_differ_in_any_order_of_the_rows():
    shuffled = of("youden", JOINED.sample(frac=1, random_state=0))
    found = decisions.difference(of("youden"), shuffled, "f1_macro", 100, 0, 0.95)
    assert (found.estimate, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_a_better_detector_decides_better_and_the_sign_turns_with_the_order():
    better = predictions(quality=4.0)
    b = decisions.decided(better, chosen(better)["youden"])
    found = decisions.difference(of("youden"), b, "balanced_accuracy", 999, 0, 0.95)
    assert 0 < found.low < found.estimate < found.high
    assert found.p_value == pytest.approx(2 / 1000)
    turned = decisions.difference(b, of("youden"), "balanced_accuracy", 999, 0, 0.95)
    assert (turned.estimate, turned.low, turned.high) == pytest.approx((-found.estimate, -found.high, -found.low))


def test_other_samples_are_not_compared():
    fewer = JOINED[JOINED["group"] != "person 03"]
    with pytest.raises(InputError, match="different samples"):
        decisions.difference(of("half"), of("half", fewer), "accuracy", 20, 0, 0.9)
    swapped = JOINED.assign(group=JOINED["group"].replace({"person 03": "person 30"}))
    with pytest.raises(InputError, match="different samples"):
        decisions.difference(of("half"), of("half", swapped), "accuracy", 20, 0, 0.9)


def test_intervals_hold_their_estimate_and_stay_inside_0_and_1():
    groups, folds = np.arange(80) // 5, np.arange(80) // 40
    labels = (np.arange(80) % 5 > 0).astype(int)
    rare = np.random.default_rng(0).random(80) < 0.05
    for called in (labels == 1, labels == 0, (labels == 1) ^ rare, np.ones(80, bool), np.zeros(80, bool)):
        for metric in METRICS:
            found = decisions.interval(Decided(labels, called, groups, folds), metric, 100, 0, 0.95)
            assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_without_any_error_there_is_nothing_to_resample():
    sample = of("half")
    right = Decided(sample.labels, sample.labels == 1, sample.groups, sample.folds)
    found = decisions.interval(right, "recall_real", 50, 0, 0.95)
    assert (found.low, found.estimate, found.high) == (1, 1, 1)


def test_replicates_that_lose_a_class_are_left_out():
    # the reals stand in 2 of 8 groups: 7 draws miss both in (6/8)^7 = 13% of all; those left have recall 0, 1/2 or 1
    labels, groups = np.array([0, 0, 1, 1, 1, 1, 1, 1]), np.arange(8)
    tally = decisions._Tally.of(Decided(labels, groups != 0, groups, np.zeros(8, int)))
    (values,) = decisions._replicated([tally], "recall_real", 2000, 0)
    assert len(values) / 2000 == pytest.approx(1 - 0.75**7, abs=0.03)
    assert np.isfinite(values).all()
    scattered = Decided(np.array([0, 1, 0, 1]), np.ones(4, bool), np.arange(4), np.array([0, 0, 1, 1]))
    with pytest.raises(InputError, match="resamplings left a fold without reals or fakes"):
        decisions.interval(scattered, "accuracy", 100, 0, 0.95)


@pytest.mark.slow
def test_intervals_of_decisions_cover_the_truth():
    """Ten groups a fold of 2 reals and 18 fakes, and a true recall of .95."""
    spread, sep, cut, folds, groups, trials = 0.7, 4.0, 2.0, 4, 40, 150
    width = np.sqrt(1 + spread**2)
    found, accused = scipy.stats.norm.sf((cut - sep) / width), scipy.stats.norm.sf(cut / width)
    population = Counts(*(np.array(share) for share in (9 * found, accused, 1 - accused, 9 * (1 - found))))
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(groups), 20)
    labels = np.tile(np.repeat([0, 1], [2, 18]), groups)
    covered = dict.fromkeys(["recall_real", "f1_macro", "balanced_accuracy"], 0)
    for trial in range(trials):
        logits = rng.normal(labels * sep + rng.normal(0, spread, groups)[group])
        sample = Decided(labels, logits >= cut, group, group * folds // groups)
        for metric in covered:
            interval = decisions.interval(sample, metric, 300, trial, 0.95)
            covered[metric] += int(interval.low <= float(METRICS[metric](population)) <= interval.high)
    assert min(covered.values()) / trials > 0.88
