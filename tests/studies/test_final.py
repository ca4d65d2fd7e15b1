"""The figures of the test set: values against scikit-learn, intervals against a jackknife written out."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from scipy.special import expit, logit
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from deepfake.studies.final import analysis
from deepfake.tables import results
from repeated_predictions import between_auc

THRESHOLD, GROUPS = 0.7, 9


def samples(strength: float = 1.5) -> pd.DataFrame:
    """Return a test set of persons of unequal numbers of samples."""
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(GROUPS), rng.integers(6, 12, GROUPS))
    label = rng.integers(0, 2, len(group))
    source = np.where(label == 0, "wiki", np.where(rng.random(len(group)) < 0.5, "a", "b"))
    noise = rng.normal(size=len(group)) + rng.normal(0, 0.4, GROUPS)[group]
    frame = {"label": label, "source": source, "group": group.astype(str), "logit": strength * label + noise}
    return pd.DataFrame(frame).assign(fold=0)


TEST = samples()


def between(rows: pd.DataFrame) -> float:
    return between_auc(rows.assign(subset="held_out"))


def of_source(name: str):
    return lambda rows: between(rows[(rows["label"] == 0) | (rows["source"] == name)])


def ece(rows: pd.DataFrame) -> float:
    """Return the calibration error over 15 bins of equal width, bin by bin."""
    probability = expit(rows["logit"])
    bins = np.ceil(probability * 15).clip(1, 15)
    shares = [
        abs(probability[bins == b].mean() - rows["label"][bins == b].mean()) * (bins == b).mean() for b in set(bins)
    ]
    return float(sum(shares))


def eer(rows: pd.DataFrame) -> float:
    """Return where both error rates meet, between the two thresholds where the greater one changes."""
    fpr, tpr, _ = roc_curve(rows["label"], rows["logit"], drop_intermediate=False)
    gap = fpr - (1 - tpr)
    after = int(np.argmax(gap >= 0))
    part = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(fpr[after - 1] + part * (fpr[after] - fpr[after - 1]))


def called(rows: pd.DataFrame) -> pd.Series:
    return (rows["logit"] >= THRESHOLD).astype(int)


FIGURES = {
    "AUC": between,
    "AUC, all pairs": lambda rows: roc_auc_score(rows["label"], rows["logit"]),
    "AUC, a": of_source("a"),
    "AUC, b": of_source("b"),
    "average precision": lambda rows: average_precision_score(rows["label"], rows["logit"]),
    "EER": eer,
    "Brier": lambda rows: brier_score_loss(rows["label"], expit(rows["logit"])),
    "ECE": ece,
    "balanced accuracy": lambda rows: balanced_accuracy_score(rows["label"], called(rows)),
    "recall (fake)": lambda rows: recall_score(rows["label"], called(rows)),
    "recall (real)": lambda rows: recall_score(rows["label"], called(rows), pos_label=0),
}


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    return analysis.measure(TEST, THRESHOLD, 0.95).set_index("metric")


def test_all_figures_are_there_and_fit_their_table(measured, tmp_path, monkeypatch):
    assert list(measured.index) == list(FIGURES)
    monkeypatch.chdir(tmp_path)
    results.write(measured.reset_index(), "final_test")
    assert len(results.read("final_test")) == len(FIGURES)


def test_curves_of_the_test_set_agree_with_its_figures(measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    analysis.write_curves("a_model", TEST, THRESHOLD, 0.95)
    band = results.read("final_roc_band")
    assert np.trapezoid(band["tpr"], band["fpr"]) == pytest.approx(measured.loc["AUC, all pairs", "value"], abs=0.02)
    counts = results.read("final_confusion").pivot(index="actual", columns="predicted", values="count")
    expected = confusion_matrix(TEST["label"], called(TEST))
    assert counts.loc[["real", "fake"], ["real", "fake"]].to_numpy().tolist() == expected.tolist()
    wrong = results.read("final_aurc").loc[0, "risk_100"]
    assert wrong == pytest.approx(1 - np.trace(expected) / expected.sum())
    bins = results.read("final_reliability")
    distance = (bins["fakes"] - bins["probability"]).abs()
    assert np.average(distance, weights=bins["samples"]) == pytest.approx(measured.loc["ECE", "value"])
    assert results.read("final_chosen").loc[0, "probability"] == pytest.approx(expit(THRESHOLD))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_and_its_interval_are_those_of_a_jackknife_over_groups(measured, name):
    figure, row = FIGURES[name], measured.loc[name]
    value = figure(TEST)
    assert row["value"] == pytest.approx(value)
    without = np.array([figure(TEST[TEST["group"] != group]) for group in TEST["group"].unique()])
    error = np.sqrt((GROUPS - 1) / GROUPS * ((without - without.mean()) ** 2).sum())
    reach = scipy.stats.t.ppf(0.975, GROUPS - 1) * error / (value * (1 - value))
    assert [row["low"], row["high"]] == pytest.approx([expit(logit(value) - reach), expit(logit(value) + reach)])
    source = name.removeprefix("AUC, ")
    used = TEST if source not in ("a", "b") else TEST[TEST["source"].isin(["wiki", source])]
    assert (row["samples"], row["groups"]) == (len(used), used["group"].nunique())


def test_chance_is_tested_where_it_is_one_half_and_nowhere_else(measured):
    tested = measured["p"].notna()
    assert list(measured.index[tested]) == ["AUC", "AUC, all pairs", "AUC, a", "AUC, b", "balanced accuracy"]
    assert (measured.loc[tested, "p"] < 0.05).all()
    assert "logit 0.70" in measured.loc["recall (fake)", "note"] and "by chance" in measured.loc["ECE", "note"]


@pytest.mark.parametrize(("strength", "verdict"), [(1.5, "above_chance"), (0.0, "undecided"), (-1.5, "undecided")])
def test_the_verdict_is_that_of_the_interval(strength, verdict):
    auc = analysis.measure(samples(strength), THRESHOLD, 0.95).set_index("metric").loc["AUC"]
    assert analysis._verdict(auc) == verdict


def test_two_groups_are_too_few_for_an_interval():
    few = TEST[TEST["group"].isin(["0", "1"])]
    auc = analysis.measure(few, THRESHOLD, 0.95).set_index("metric").loc["AUC"]
    assert pd.isna(auc["low"]) and analysis._verdict(auc) == "undecided"
