"""What a detector loses elsewhere, and in what data sets differ, against scikit-learn, SciPy and figures by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import spearmanr
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score

from deepfake.errors import InputError
from deepfake.evaluation import bootstrap, decisions, statistics, transfer
from deepfake.evaluation.transfer import Scored

DRAWS = {"replicates": 400, "seed": 3, "confidence": 0.95}


def predictions(
    quality: float, *, seed: int, groups: int = 6, folds: int = 3, own: float = 1.0, prefix: str = "g"
) -> pd.DataFrame:
    """Predictions of samples in groups: two reals and six fakes of each; what a group adds is common to all seeds."""
    generator = np.random.default_rng(seed)
    shared = np.random.default_rng(99)
    rows = []
    for fold in range(folds):
        for group in range(groups):
            strength = quality + shared.normal()
            for number in range(8):
                label = int(number >= 2)
                rows.append(
                    (fold, "held_out", f"{prefix}{fold}_{group}", label, label * strength + own * generator.normal())
                )
                rows.append((fold, "validation", f"{prefix}v{group}", label, 100.0))
    return pd.DataFrame(rows, columns=["fold", "subset", "group", "label", "logit"])


def scored(quality: float, *, cut: float = 0.3, **facts) -> Scored:
    return Scored.of(predictions(quality, **facts), dict.fromkeys(range(3), cut))


def test_folds_figures_are_those_of_scikit_learn():
    of = scored(1.0, seed=1)
    for metric, reference in (
        ("auc", lambda rows: roc_auc_score(of.labels[rows], of.logits[rows])),
        ("balanced_accuracy", lambda rows: balanced_accuracy_score(of.labels[rows], of.logits[rows] >= 0.3)),
        ("recall_fake", lambda rows: recall_score(of.labels[rows], of.logits[rows] >= 0.3)),
    ):
        expected = [reference(of.folds == fold) for fold in range(3)]
        assert_allclose(transfer.by_fold(of, metric), expected, rtol=1e-12)
    assert len(of.labels) == 3 * 6 * 8  # the inner validation takes no part


@pytest.mark.parametrize("metric", ["auc", "balanced_accuracy", "recall_fake"])
def test_a_gap_is_home_minus_away(metric):
    home, away = scored(2.0, seed=1), scored(0.5, seed=2)
    found = transfer.gap(home, away, metric, **DRAWS)
    assert found.estimate == pytest.approx(
        transfer.by_fold(home, metric).mean() - transfer.by_fold(away, metric).mean()
    )
    assert 0 < found.low < found.estimate < found.high and found.p_value < 0.05
    turned = transfer.gap(away, home, metric, **DRAWS)
    assert_allclose([turned.estimate, turned.low, turned.high], [-found.estimate, -found.high, -found.low])
    assert turned.p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize("metric", ["auc", "balanced_accuracy"])
def test_a_data_set_compared_with_itself_has_no_gap_at_all(metric):
    of = scored(1.0, seed=1)
    found = transfer.gap(of, of, metric, **DRAWS)
    assert (found.estimate, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert transfer.over_folds(of, of, metric).p_value == 1


def test_on_the_same_samples_gaps_are_the_paired_comparisons_of_two_detectors():
    first, second = predictions(2.0, seed=1), predictions(0.5, seed=2)
    sides = [Scored.of(each, dict.fromkeys(range(3), 0.3)) for each in (first, second)]
    of = sides[0]
    reference = bootstrap.paired_auc_difference(
        of.labels, sides[1].logits, of.logits, of.groups, of.folds, 400, 3, 0.95
    )
    found = transfer.gap(*sides, "auc", **DRAWS)
    assert_allclose(
        [found.estimate, found.low, found.high, found.p_value],
        [reference.estimate, reference.low, reference.high, reference.p_value],
    )
    decided = [decisions.decided(each, dict.fromkeys(range(3), 0.3)) for each in (second, first)]
    reference = decisions.difference(*decided, "balanced_accuracy", 400, 3, confidence=0.95)
    found = transfer.gap(*sides, "balanced_accuracy", **DRAWS)
    assert_allclose(
        [found.estimate, found.low, found.high, found.p_value],
        [reference.estimate, reference.low, reference.high, reference.p_value],
    )


def test_groups_that_both_have_are_drawn_together():
    home, away = scored(1.0, seed=1, own=0.1), scored(1.0, seed=2, own=0.1)
    strangers = Scored(away.labels, away.logits, away.called, np.char.add("x", away.groups.astype(str)), away.folds)
    assert transfer.same_groups(home, away) and not transfer.same_groups(home, strangers)
    paired, apart = (transfer.gap(home, other, "auc", **DRAWS) for other in (away, strangers))
    assert paired.estimate == apart.estimate
    # what makes a group easy is common to both: drawn together it cancels
    assert paired.high - paired.low < 0.6 * (apart.high - apart.low)


def test_the_same_group_in_another_fold_is_not_drawn_together():
    home, away = scored(1.0, seed=1), scored(1.0, seed=2)
    moved = Scored(away.labels, away.logits, away.called, away.groups, (away.folds + 1) % 3)
    assert not transfer.same_groups(home, moved)


def test_a_gap_over_folds_is_the_corrected_t_test_of_each_folds_own():
    home, away = scored(1.5, seed=1), scored(0.5, seed=2)
    differences = transfer.by_fold(home, "auc") - transfer.by_fold(away, "auc")
    expected = statistics.corrected_resampled_ttest(differences, 1 / 2)
    assert transfer.over_folds(home, away, "auc") == expected


def test_a_fold_without_reals_is_named():
    rows = predictions(1.0, seed=1)
    rows = rows[(rows["fold"] != 1) | (rows["label"] == 1)]
    of = Scored.of(rows, dict.fromkeys(range(3), 0.3))
    for metric in ("auc", "recall_fake"):
        with pytest.raises(InputError, match="fold 1: no real sample"):
            transfer.gap(of, of, metric, **DRAWS)


def test_shifts_by_hand():
    home = pd.DataFrame({"width": [1, 2, 3, 4], "exif": 0, "format": ["JPEG"] * 4})
    away = pd.DataFrame({"width": [3.5, 5, 6], "exif": 0, "format": ["PNG", "PNG", "JPEG"]})
    rows = transfer.shifts(home, away).set_index("feature")
    assert list(rows.index) == ["width", "exif", "format"]
    assert rows.loc["width", ["home_median", "away_median"]].tolist() == [2.5, 5]
    assert rows.loc["width", "separability"] == pytest.approx(2 * 11 / 12 - 1)  # 3.5 is below 4 alone
    assert rows.loc["exif", "separability"] == 0
    assert rows.loc["format", ["home_value", "home_share", "away_value"]].tolist() == ["JPEG", 1, "PNG"]
    assert rows.loc["format", ["away_share", "separability"]].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert rows.loc["width", ["home_value", "home_share"]].isna().all() and pd.isna(rows.loc["format", "home_median"])


def test_a_feature_that_falls_separates_as_well_as_one_that_rises():
    sides = pd.DataFrame({"size": [1.0, 2, 3]}), pd.DataFrame({"size": [5.0, 6, 7]})
    assert (
        transfer.shifts(*sides)["separability"].tolist()
        == transfer.shifts(*sides[::-1])["separability"].tolist()
        == [1]
    )


def features(of: Scored) -> pd.DataFrame:
    generator = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "follows": of.logits + 0.5 * generator.normal(size=len(of.logits)),
            "against": np.round(-of.logits + generator.normal(size=len(of.logits))),  # with ties
            "label": of.labels.astype(float) + of.folds,
            "noise": generator.normal(size=len(of.logits)),
        }
    )


def test_correlations_are_scipys_within_folds_and_classes():
    of = scored(1.0, seed=1)
    values = features(of)
    rows = transfer.follows(of, values, **DRAWS).set_index("feature")
    for name in ("follows", "against", "noise"):
        inside = [(of.folds == fold) & (of.labels == label) for fold in range(3) for label in (0, 1)]
        expected = np.mean([spearmanr(of.logits[rows], values[name][rows])[0] for rows in inside])
        assert rows.loc[name, "correlation"] == pytest.approx(expected, abs=1e-12)
        assert rows.loc[name, "low"] <= expected <= rows.loc[name, "high"]
    assert rows.loc["follows", "low"] > 0 and rows.loc["follows", "p_value"] == pytest.approx(2 / 401)
    assert rows.loc["against", "high"] < 0
    assert rows.loc["noise", "low"] < 0 < rows.loc["noise", "high"] and rows.loc["noise", "p_value"] > 0.05
    # it goes with the label and the fold, which take no part
    assert rows.loc["label"].isna().all()


def test_a_feature_that_varies_in_some_folds_is_followed_there():
    of = scored(1.0, seed=1)
    values = pd.DataFrame({"some": np.where(of.folds == 0, of.logits, 7.0)})
    row = transfer.follows(of, values, **DRAWS).iloc[0]
    assert (row["correlation"], row["low"], row["high"]) == pytest.approx((1, 1, 1))


def test_samples_that_resemble_each_other_do_not_count_as_many():
    of = scored(1.0, seed=1)
    repeated = np.tile(np.arange(len(of.labels)), 4)
    many = Scored(*(getattr(of, name)[repeated] for name in ("labels", "logits", "called", "groups", "folds")))
    values = features(of)[["follows"]]
    once, fourfold = (
        transfer.follows(each, frame, **DRAWS).iloc[0] for each, frame in ((of, values), (many, values.iloc[repeated]))
    )
    assert fourfold[["correlation", "low", "high"]].tolist() == pytest.approx(
        once[["correlation", "low", "high"]].tolist(), abs=1e-9
    )
