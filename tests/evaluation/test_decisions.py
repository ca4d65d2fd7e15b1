"""Decisions at thresholds, against scikit-learn and against leaving groups out by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from deepfake.errors import InputError
from deepfake.evaluation import decisions, influence, metrics, resampling, thresholds, verdicts
from deepfake.evaluation.decisions import GAP, METRICS, Counts
from deepfake.evaluation.evalset import EvalSet

FOLDS = 3


def predictions(seed=0, quality=1.5, groups=24, repeats=1):
    """One run: each group of 2 reals and 18 fakes is held out once a repeat, and trained on and validated otherwise."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups + 4), 20)
    label = np.tile(np.repeat([0, 1], [2, 18]), groups + 4)
    effect = rng.normal(0, 0.7, groups + 4)
    name = np.array([f"person {number:02d}" for number in group], dtype=object)
    sample = np.array([f"{one}/{place}" for place, one in enumerate(name)], dtype=object)
    frames = []
    for fold in range(FOLDS * repeats):
        repeat = fold // FOLDS
        here = (group + repeat * group // 4) % FOLDS == fold % FOLDS
        place = np.where(group >= groups, "test", np.where(here, "held_out", "train")).astype(object)
        place[(place == "train") & (group % 4 == 0)] = "validation"
        logit = rng.normal(label * quality + effect[group] + fold / 2)
        columns = {"sample_id": sample, "subset": place, "label": label, "logit": logit, "group": name}
        frames.append(pd.DataFrame({"fold": fold, "repeat": repeat} | columns))
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


def test_a_class_that_is_never_predicted_has_no_gap_and_no_recall():
    counts = decisions.count([0, 1, 1], [0.0, 1.0, 2.0], -1.0)
    assert float(METRICS[GAP](counts)) == float(METRICS["recall_real"](counts)) == 0


def by_hand(joined: pd.DataFrame, by_fold: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and decisions of all held-out samples, fold after fold."""
    parts = [
        (rows["label"], rows["logit"] >= by_fold[fold])
        for fold, rows in joined[joined["subset"] == "held_out"].groupby("fold")
    ]
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


def test_decisions_are_made_about_the_held_out_samples_alone():
    table = decisions.operating_points(JOINED, CHOSEN)
    elsewhere = JOINED.assign(logit=JOINED["logit"].where(JOINED["subset"] == "held_out", 0.0))
    pd.testing.assert_frame_equal(table, decisions.operating_points(elsewhere, CHOSEN))
    assert set(decisions.decide(JOINED, CHOSEN["half"])["subset"]) == {"held_out"}


@pytest.mark.parametrize("rule", thresholds.RULES)
def test_an_operating_point_is_scikit_learns_on_the_pooled_decisions(rule):
    row = decisions.operating_points(JOINED, CHOSEN).set_index("rule").loc[rule]
    labels, called = by_hand(JOINED, CHOSEN[rule])
    assert {name: row[name] for name in METRICS} == pytest.approx(by_scikit_learn(labels, called))
    (tr, ff), (fr, tf) = reference.confusion_matrix(labels, called).tolist()
    assert row[["true_fakes", "false_fakes", "true_reals", "false_reals"]].tolist() == [tf, ff, tr, fr]
    odds = np.exp(np.median(list(CHOSEN[rule].values())))
    assert row["probability"] == pytest.approx(odds / (1 + odds))


def test_pooling_is_not_the_mean_over_folds():
    # one fold finds no real: its F1 is 0, which a mean over folds would count like any other (Forman and Scholz 2010)
    uneven = CHOSEN["youden"] | {0: -99.0}
    row = decisions.operating_points(JOINED, {"uneven": uneven}).iloc[0]
    by_fold = [
        reference.f1_score(rows["label"], rows["logit"] >= uneven[fold], pos_label=0, zero_division=0)
        for fold, rows in HELD_OUT.groupby("fold")
    ]
    assert row["f1_real"] == pytest.approx(by_scikit_learn(*by_hand(JOINED, uneven))["f1_real"])
    assert abs(row["f1_real"] - np.mean(by_fold)) > 0.01


def test_repeats_are_pooled_apart_and_averaged():
    joined = predictions(3, repeats=2)
    rule = chosen(joined)["youden"]
    row = decisions.operating_points(joined, {"youden": rule}).iloc[0]
    parts = [by_scikit_learn(*by_hand(rows, rule)) for _, rows in joined.groupby("repeat")]
    assert row["f1_macro"] == pytest.approx(np.mean([part["f1_macro"] for part in parts]))
    figure = decisions.figure(decisions.decide(joined, rule), "f1_macro")
    assert figure.values == pytest.approx([part["f1_macro"] for part in parts])


@pytest.mark.parametrize("metric", ["recall_real", "f1_macro", GAP])
def test_the_spread_of_a_figure_is_that_of_leaving_each_group_out(metric):
    decided = decisions.decide(JOINED, CHOSEN["best_f1"])

    def signed(rows):
        found = by_scikit_learn(rows["label"], rows["predicted_fake"])
        return found["precision_real"] - found["recall_real"] if metric == GAP else found[metric]

    without = np.array([signed(decided[decided["group"] != name]) for name in decided["group"].unique()])
    n = len(without)
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    found = resampling.recipe(decisions.figure(decided, metric))
    assert found.value == pytest.approx(signed(decided))
    assert found.se == pytest.approx(max(error, found.grain))
    assert found.bounded is (metric != GAP)


def test_a_better_detector_decides_better_and_the_sign_turns_with_the_order():
    better = predictions(quality=4.0)
    sides = [
        decisions.figure(decisions.decide(joined, chosen(joined)["best_f1"]), "f1_macro") for joined in (JOINED, better)
    ]
    there, back = (resampling.recipe(influence.difference(*pair)) for pair in (sides, sides[::-1]))
    assert [one.word for one in verdicts.compare([there, back], rope=0.02)] == ["better", "worse"]
    assert (back.low, back.value, back.high) == pytest.approx((-there.high, -there.value, -there.low))


def test_row_order_plays_no_part():
    shuffled = JOINED.sample(frac=1, random_state=0)
    one, other = (decisions.figure(decisions.decide(rows, CHOSEN["half"]), "f1_macro") for rows in (JOINED, shuffled))
    assert influence.difference(one, other).within == pytest.approx(np.zeros((1, 24)))
    pd.testing.assert_frame_equal(
        decisions.operating_points(JOINED, CHOSEN), decisions.operating_points(shuffled, CHOSEN)
    )


def test_a_fold_that_lacks_a_class_is_named():
    rows = JOINED[~((JOINED["fold"] == 1) & (JOINED["subset"] == "held_out") & (JOINED["label"] == 0))]
    with pytest.raises(InputError, match="fold 1 has no real sample; use fewer folds"):
        decisions.figure(decisions.decide(rows, CHOSEN["youden"]), "accuracy")


def test_a_share_is_judged_against_its_target():
    decided = decisions.decide(JOINED, CHOSEN["youden"])
    figure = decisions.figure(decided, "recall_fake")
    value = figure.values.mean()
    targets = {value - 0.4: "better", value: "undecided", value + 0.2: "worse"}
    for target, word in targets.items():
        (found,) = verdicts.compare([resampling.recipe(figure, target)], rope=0.02)
        assert found.word == word
        assert found.low <= value <= found.high


def test_folds_of_unequal_size_add_no_spread():
    # perfect ranking in folds of 3 and of 6 groups: a constant, whatever the folds' sizes
    groups = np.repeat(np.arange(9), 10)
    labels = np.tile(np.repeat([0, 1], [3, 7]), 9)
    scores = labels + np.random.default_rng(0).uniform(0, 0.5, len(labels))
    figure = resampling.auc(EvalSet.of_arrays(labels, scores, groups.astype(str), (groups >= 3).astype(int)))
    assert figure.values == pytest.approx([1.0])
    assert figure.about == pytest.approx(np.zeros((1, 9)))
