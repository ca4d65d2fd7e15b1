import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from scipy.special import expit
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from deepfake.errors import InputError
from deepfake.evaluation import metrics

# two reals, three fakes, worked by hand: of the 6 pairs the fake at -0.5 loses to the real at 0.5, all others win
LABELS = [0, 0, 1, 1, 1]
LOGITS = [-2.0, 0.5, -0.5, 1.0, 3.0]


def overlapping(n=400, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.7).astype(int)
    logits = rng.normal(labels * 1.5 - 0.5)
    return labels, np.round(logits, 1) if ties else logits


@st.composite
def predictions(draw):
    """Labels with both classes, and logits on a coarse grid, so that ties are common."""
    labels = draw(st.lists(st.integers(0, 1), min_size=2, max_size=40).filter(lambda x: 0 < sum(x) < len(x)))
    logits = draw(st.lists(st.integers(-8, 8), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(logits) / 2


def test_hand_worked_example():
    found = metrics.classification(LABELS, LOGITS, threshold=0.0)
    assert found["auc"] == pytest.approx(5 / 6)
    assert found["accuracy"] == pytest.approx(3 / 5)  # wrong: the real at 0.5, the fake at -0.5
    assert found["recall_fake"] == pytest.approx(2 / 3)
    assert found["recall_real"] == pytest.approx(1 / 2)
    assert found["precision_fake"] == pytest.approx(2 / 3)
    assert found["precision_real"] == pytest.approx(1 / 2)
    assert found["balanced_accuracy"] == pytest.approx(7 / 12)
    assert found["f1_macro"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # best first the order is fake fake real fake real: precision 1, 1, 3/4 at the three fakes
    assert found["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    # the ROC goes (0, 2/3) -> (1/2, 2/3): FNR is 1/3 all along, so FPR meets it at 1/3
    assert found["eer"] == pytest.approx(1 / 3)
    assert found["tpr_at_fpr_1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_every_metric_equals_scikit_learn(ties, threshold):
    labels, logits = overlapping(ties=ties)
    predicted, probability = (logits >= threshold).astype(int), expit(logits)
    fpr, tpr, _ = reference.roc_curve(labels, logits)
    expected = {
        "auc": reference.roc_auc_score(labels, logits),
        "average_precision": reference.average_precision_score(labels, logits),
        "accuracy": reference.accuracy_score(labels, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(labels, predicted),
        "eer": brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1),
        "tpr_at_fpr_1": max(t for f, t in zip(fpr, tpr, strict=True) if f <= 0.01),
        "tpr_at_fpr_5": max(t for f, t in zip(fpr, tpr, strict=True) if f <= 0.05),
        "brier": reference.brier_score_loss(labels, probability),
        "ece": ece_by_scikit_learn(labels, probability),
        "log_loss": reference.log_loss(labels, probability),
    }
    for label, name in enumerate(["real", "fake"]):
        expected[f"precision_{name}"] = reference.precision_score(labels, predicted, pos_label=label)
        expected[f"recall_{name}"] = reference.recall_score(labels, predicted, pos_label=label)
        expected[f"f1_{name}"] = reference.f1_score(labels, predicted, pos_label=label)
    expected["f1_macro"] = reference.f1_score(labels, predicted, average="macro")
    found = metrics.classification(labels, logits, threshold)
    assert found == pytest.approx(expected, abs=1e-9)
    assert found["auc"] == expected["auc"]  # to the last bit, because runs are compared so
    assert all(type(value) is float for value in found.values())


def ece_by_scikit_learn(labels, probability):
    fakes, mean = calibration_curve(labels, probability, n_bins=15, strategy="uniform")
    sizes, _ = np.histogram(probability, bins=15, range=(0, 1))
    return np.sum(sizes[sizes > 0] * np.abs(fakes - mean)) / len(labels)


def test_ece_of_one_bin_is_the_difference_of_two_means():
    # probability 0.5 for all, three quarters fake
    assert metrics.ece([1, 1, 1, 0], [0.0] * 4) == pytest.approx(0.25)


def test_perfect_and_reversed_detectors():
    perfect = metrics.classification([0, 0, 1, 1], [-2, -1, 1, 2])
    assert perfect["auc"] == perfect["tpr_at_fpr_1"] == perfect["f1_fake"] == 1
    assert perfect["eer"] == 0
    wrong = metrics.classification([1, 1, 0, 0], [-2, -1, 1, 2])
    assert wrong["auc"] == wrong["tpr_at_fpr_5"] == wrong["precision_fake"] == 0
    assert wrong["eer"] == 1


def test_constant_scores_are_chance():
    found = metrics.classification([0, 1, 1], [0.3, 0.3, 0.3])
    assert found["auc"] == found["eer"] == 0.5
    assert found["precision_real"] == found["f1_real"] == 0  # never predicted
    assert found["f1_macro"] == pytest.approx(0.8 / 2)


def test_log_loss_of_a_confident_mistake_is_its_logit():
    # a probability would have saturated at 1, and its logarithm at 36
    assert metrics.classification([0, 1], [800.0, 800.0])["log_loss"] == pytest.approx(400)


@settings(max_examples=60, deadline=None)
@given(predictions())
def test_auc_ignores_monotone_transforms_and_mirrors_with_the_labels(sample):
    labels, logits = sample
    auc = metrics.auc(labels, logits)
    assert metrics.auc(labels, np.exp(logits) * 3 - 7) == pytest.approx(auc)
    assert metrics.auc(1 - labels, logits) == pytest.approx(1 - auc)
    assert metrics.auc(labels, -logits) == pytest.approx(1 - auc)


@settings(max_examples=60, deadline=None)
@given(predictions())
def test_rates_stay_in_bounds_and_eer_mirrors(sample):
    labels, logits = sample
    eer = metrics.eer(labels, logits)
    assert 0 <= eer <= 1
    assert metrics.eer(labels, -logits) == pytest.approx(1 - eer)
    assert metrics.eer(1 - labels, -logits) == pytest.approx(eer)
    rates = [metrics.tpr_at_fpr(labels, logits, target) for target in (0, 0.01, 0.05, 0.5, 1)]
    assert rates == sorted(rates)
    assert rates[-1] == 1
    found = metrics.classification(labels, logits)
    assert all(0 <= value <= 1 for name, value in found.items() if name != "log_loss")


@settings(max_examples=60, deadline=None)
@given(predictions())
def test_eer_is_at_most_a_half_when_the_curve_is_above_the_diagonal(sample):
    labels, logits = sample
    points = metrics.roc_points(labels, logits)
    if (points["tpr"] >= points["fpr"]).all():
        assert metrics.eer(labels, logits) <= 0.5 + 1e-12


def test_roc_points_are_few_and_keep_the_curve():
    labels, logits = overlapping(20_000)
    points = metrics.roc_points(labels, logits)
    assert 100 < len(points) <= 200
    assert points.iloc[0][["fpr", "tpr"]].tolist() == [0, 0]
    assert points.iloc[-1][["fpr", "tpr"]].tolist() == [1, 1]
    assert reference.auc(points["fpr"], points["tpr"]) == pytest.approx(metrics.auc(labels, logits), abs=1e-4)
    # seen from the diagonal a curve is a function, also where it is vertical
    fpr, tpr, _ = reference.roc_curve(labels, logits, drop_intermediate=False)
    drawn = np.interp(fpr + tpr, points["fpr"] + points["tpr"], points["tpr"] - points["fpr"])
    assert np.abs(drawn - (tpr - fpr)).max() <= 2 / 199
    json.loads(points.to_json(), parse_constant=pytest.fail)
    for _, point in points.iterrows():
        assert np.mean(logits[labels == 1] >= point["threshold"]) == pytest.approx(point["tpr"])
        assert np.mean(logits[labels == 0] >= point["threshold"]) == pytest.approx(point["fpr"])


def test_a_short_roc_is_kept_whole():
    points = metrics.roc_points(LABELS, LOGITS)
    expected_fpr, expected_tpr, _ = reference.roc_curve(LABELS, LOGITS)
    assert points["fpr"].tolist() == expected_fpr.tolist()
    assert points["tpr"].tolist() == expected_tpr.tolist()


def test_confusion_counts():
    table = metrics.confusion(LABELS, LOGITS, threshold=0.0)
    assert table.loc["real"].to_dict() == {"real": 1, "fake": 1}
    assert table.loc["fake"].to_dict() == {"real": 1, "fake": 2}
    assert (table.index.name, table.columns.name) == ("actual", "predicted")


def test_a_sample_on_the_threshold_is_fake():
    assert metrics.confusion([0, 1], [0.0, 0.0], threshold=0.0)["fake"].sum() == 2


def test_source_auc_sets_each_source_against_all_reals():
    labels, logits = overlapping()
    sources = np.where(labels == 1, np.array(["b", "a", "c"])[np.arange(len(labels)) % 3], "wiki").astype(object)
    found = metrics.source_auc(labels, logits, sources)
    assert list(found) == ["a", "b", "c"]
    for source, value in found.items():
        rows = (labels == 0) | (sources == source)
        assert value == pytest.approx(reference.roc_auc_score(labels[rows], logits[rows]))
    # the sources' AUCs, weighted by their fakes, are the AUC of all
    sizes = [np.sum(sources == source) for source in found]
    assert np.average(list(found.values()), weights=sizes) == pytest.approx(metrics.auc(labels, logits))


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        ([1, 1], [0.0, 1.0], "no real sample among 2"),
        ([0, 0], [0.0, 1.0], "no fake sample among 2"),
        ([], [], "no real sample"),
        ([0, 1], [0.0, np.nan], "logit nan in row 1"),
        ([0, 1], [0.0, np.inf], "logit inf in row 1"),
        ([0, 2], [0.0, 1.0], "label .*2.* in row 1"),
        ([0, 1], [0.0], "shape"),
        ([[0, 1]], [[0.0, 1.0]], "shape"),
    ],
)
def test_undefined_inputs_are_named(labels, logits, message):
    with pytest.raises(InputError, match=message):
        metrics.classification(labels, logits)


def test_sources_must_match_the_labels():
    with pytest.raises(InputError, match="one source a sample"):
        metrics.source_auc([0, 1], [0.0, 1.0], ["a"])
