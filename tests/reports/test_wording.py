"""The words follow from the numbers: each case has the numbers that should, and should not, bring the words."""

import pandas as pd
import pytest

from conftest import ROOT
from deepfake import params
from deepfake.reports import wording


def row(name: str = "b", auc: float = 0.7, low: float = 0.6, high: float = 0.8) -> pd.Series:
    return pd.Series(
        {
            "experiment": name,
            "auc": auc,
            "auc_low": low,
            "auc_high": high,
            "fold_low": low,
            "fold_high": high,
            "learned": low > 0.5,
            "train_auc": 0.9,
            "train_val_gap": 0.2,
            "auc_insight": 0.6,
            "auc_text2img": 0.9,
        }
    )


def verdict(*, difference=0.1, low=0.05, high=0.15, bootstrap=0.001, ttest=0.01, learned=(True, True)) -> str:
    significant = max(bootstrap, ttest) <= 0.05
    test = pd.Series(
        {
            "baseline": "a",
            "experiment": "b",
            "difference": difference,
            "low": low,
            "high": high,
            "p_bootstrap_holm": bootstrap,
            "p_ttest_holm": ttest,
            "significant": significant,
        }
    )
    rows = pd.DataFrame([row("a", low=0.6 if learned[0] else 0.4), row("b", low=0.6 if learned[1] else 0.4)])
    return wording.difference(test, rows, 0.95, 0.05)


def test_learning_is_said_only_above_chance():
    assert "better than chance" in wording.learned(row(low=0.51), 0.95)
    assert "cannot be told from guessing" in wording.learned(row(low=0.49), 0.95)


def test_a_significant_difference_says_so_with_its_direction():
    assert "0.100 above a" in verdict()
    assert "significant at 0.05" in verdict()
    assert "not significant" not in verdict()
    assert "0.100 below a" in verdict(difference=-0.1, low=-0.15, high=-0.05)


def test_a_small_p_value_is_never_written_as_zero():
    assert "p < 0.001 by corrected t-test" in verdict(ttest=0.0)
    assert "p = 0.001 by bootstrap" in verdict(bootstrap=0.001)


def test_disagreeing_tests_are_not_significant():
    assert "the two tests do not agree" in verdict(ttest=0.3)
    assert "neither test tells it from noise" in verdict(bootstrap=0.4, ttest=0.3)


def test_conditions_are_called_identical_only_when_they_are():
    settings = params.load(ROOT / "params.yaml")
    first, second = (params.resolve(settings, name) for name in ("simple_cnn_low", "resnet18_low"))
    assert "Identical conditions" in wording.sameness([first, second])
    text = wording.sameness([first, second.model_copy(update={"lr": 0.5})])
    assert "Identical" not in text
    assert "lr: 0.001 in simple_cnn_low, 0.5 in resnet18_low" in text


def test_noise_is_not_ranked():
    assert "would rank noise" in verdict(learned=(False, False))
    assert "would rank noise" not in verdict(learned=(False, True))


def test_equal_predictions_are_called_equal():
    assert "the same predictions" in verdict(difference=0.0, low=0.0, high=0.0, bootstrap=1.0, ttest=1.0)


def test_sources_are_named_by_their_numbers():
    text = wording.sources(row(), ["auc_insight", "auc_text2img"])
    assert "text2img is the easiest source (AUC 0.900)" in text
    assert "insight the hardest (0.600)" in text


@pytest.mark.parametrize(
    ("preset", "dataset", "expected"),
    [("quick", "sample", 2), ("full", "sample", 1), ("quick", "mine", 1), ("full", "mine", 0)],
)
def test_the_scope_is_said_where_it_applies(preset, dataset, expected):
    assert wording.scope(preset, dataset).count("**") // 2 == expected
