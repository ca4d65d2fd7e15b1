"""The words follow from the numbers: each case has the numbers that should, and should not, bring the words."""

import pandas as pd
import pytest
import yaml

from conftest import ROOT, changed
from deepfake import config, params
from deepfake.reports import wording

VALUES = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))


def run(**changes) -> config.RunConfig:
    """Return the custom run with some values changed, by dotted path with __ for the dot."""
    views = {
        name: {"geometry": geometry, "face_crop": face, "resolution": "low"}
        for name, geometry, face in [
            ("crop", "crop", False),
            ("letterbox", "letterbox", False),
            ("letterbox_real", "letterbox_real", False),
            ("resize", "resize", False),
            ("face", "crop", True),
        ]
    }
    plain = {"view": "crop", "fraction": "all", "augmentation": "none", "normalization": "imagenet"}
    plain["pretrained"] = None
    values = changed(VALUES, {"views": views, "custom": plain, "faces.margin": 0.3, "preset": "quick"})
    changes = {path.replace("__", "."): value for path, value in changes.items()}
    return config.resolve(params.Params.model_validate(changed(values, changes)), "custom")


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


def named(name: str, **changes) -> config.RunConfig:
    return run(**changes).model_copy(update={"experiment": name})


def test_conditions_are_called_identical_only_when_they_are():
    first = named("a", model="simple_cnn")
    assert wording.sameness([first, named("b", model="resnet18")]) == "Identical conditions for all:"
    text = wording.sameness([first, named("b", shared__optimizer__lr=0.5)])
    assert "Identical" not in text
    assert "lr: 0.001 in a, 5.0 in b" in text
    assert text.endswith("Those of a:")


@pytest.mark.parametrize(
    ("change", "key", "told"),
    [
        ({"custom__view": "letterbox"}, "view", "whole image, letterboxed in b"),
        ({"custom__view": "face"}, "view", "face crop with a margin of 30% (central square where there is no face)"),
        (
            {"custom__augmentation": "light"},
            "augmentation",
            "no augmentation in a, augmentation: flip 50%, crop 80% to",
        ),
        ({"custom__normalization": "real_training"}, "normalization", "by the fold's real training images in b"),
        ({"custom__fraction": "small", "presets__quick__fraction__small": 0.5}, "fraction", "1.0 in a, 0.5 in b"),
        (
            {"shared__loss__type": "bce_pos_weight"},
            "loss",
            "cross-entropy in a, cross-entropy, fakes weighed by reals over fakes in b",
        ),
        (
            {"shared__loss__type": "focal", "shared__loss__minority_alpha": 0.8},
            "loss",
            "focal loss (gamma 2, alpha 0.8 for the rarer class, 0.2 for the other) in b",
        ),
        ({"shared__loss__label_smoothing": 0.1}, "loss", "cross-entropy, labels smoothed by 0.1 in b"),
        ({"shared__class_ratio": "imbalanced"}, "class_ratio", "all samples in a, 9 fakes for each real in b"),
        ({"shared__sampler": "stratified"}, "sampler", "shuffled samples in a, stratified batches in b"),
        ({"shared__monitor": "f1"}, "monitor", "best epoch by auc in a, best epoch by f1 in b"),
        ({"shared__domain__column": "source"}, "domain", "no domain head in a, features made blind to the source"),
    ],
)
def test_the_condition_that_differs_is_told_in_words_and_no_other(change, key, told):
    text = wording.sameness([named("a"), named("b", **change)])
    listed = text[text.index("(") + 1 : text.rindex(")")]
    assert listed.startswith(f"{key}: ")
    assert told in listed
    assert "; " not in listed


@pytest.mark.parametrize(
    ("view", "told"),
    [
        ("crop", "48×48 px, central square"),
        ("letterbox", "48×48 px, whole image, letterboxed"),
        ("letterbox_real", "48×48 px, reals letterboxed, fakes' central square"),
        ("resize", "48×48 px, whole image squeezed into a square"),
        ("face", "48×48 px, face crop with a margin of 30% (central square where there is no face)"),
    ],
)
def test_a_view_in_words(view, told):
    assert wording.view(run(custom__view=view, presets__quick__resolution__low=48)) == told


def test_there_is_a_word_for_every_geometry():
    assert set(wording._GEOMETRY) == set(params.View.model_fields["geometry"].annotation.__args__)


STRENGTHS = {
    "flip": "flip 50%",
    "scale": "crop 80% to 100% of the side",
    "rotation": "rotation ±10°",
    "blur": "blur 30% (sigma 0.5 to 1.5 px)",
    "noise": "noise 25% (std 2 to 8 of 255)",
    "brightness": "brightness ±20%",
    "contrast": "contrast ±15%",
    "saturation": "saturation ±10%",
    "hue": "hue ±5°",
    "jpeg": "JPEG 50% (quality 50 to 95)",
}
STRONG = {
    "flip": 0.5,
    "scale": {"min": 0.8, "max": 1.0},
    "rotation": 10.0,
    "blur": {"probability": 0.3, "sigma": {"min": 0.5, "max": 1.5}},
    "noise": {"probability": 0.25, "std": {"min": 2.0, "max": 8.0}},
    "brightness": 0.2,
    "contrast": 0.15,
    "saturation": 0.1,
    "hue": 5.0,
    "jpeg": {"probability": 0.5, "quality": {"min": 50, "max": 95}},
}


@pytest.mark.parametrize("key", STRENGTHS)
def test_a_policy_tells_what_it_does_and_nothing_else(key):
    policy = VALUES["augmentations"]["none"] | {key: STRONG[key]}
    told = wording.augmentation(run(augmentations__mine=policy, custom__augmentation="mine"))
    assert told == f"augmentation: {STRENGTHS[key]}"


def test_a_policy_with_everything_tells_everything():
    assert list(STRONG) == list(params.Augmentation.model_fields)
    told = wording.augmentation(run(augmentations__mine=STRONG, custom__augmentation="mine"))
    assert told == f"augmentation: {', '.join(STRENGTHS.values())}"
    assert wording.augmentation(run()) == "no augmentation"


def test_statistics_in_words():
    assert wording.statistics(run()) == "normalised by fixed statistics (mean 0.485, 0.456, 0.406)"
    real = run(custom__normalization="real_training")
    assert wording.statistics(real) == "normalised by the fold's real training images"


@pytest.mark.parametrize(("other", "warned"), [(96, False), (94, True)])
def test_missing_faces_are_a_warning_when_sources_differ(other, warned):
    rates = pd.DataFrame({"source": ["a", "b"], "samples": [1000, 100], "found": [1000, other]})
    text = wording.faces(rates.assign(share=rates["found"] / rates["samples"]))
    assert f"{1000 + other:,} of 1,100 images (a 100.0%, b {other}.0%)" in text
    assert ("give away a source" in text) is warned


@pytest.mark.parametrize(
    ("size", "low", "said"),
    [(0.2, 0.6, "learned by heart"), (0.05, 0.6, "no more than 0.05"), (0.2, 0.4, "the gap is not interpreted")],
)
def test_a_gap_is_read_only_where_something_was_learned(size, low, said):
    text = wording.gap(pd.Series({**row(low=low), "train_val_gap": size}), 0.05)
    assert text.startswith(f"**b** scores 0.900 on its own training samples, a gap of {size:.3f}")
    told = ["learned by heart", "no more than 0.05", "the gap is not interpreted"]
    assert [words for words in told if words in text] == [said]


def test_a_condition_is_told_once_for_all_that_share_it():
    first = named("a", model="resnet18")
    other = named("c", model="resnet18", custom__pretrained=True)
    text = wording.sameness([first, named("b", model="resnet18"), other])
    assert "(pretrained: trained from scratch in a and b, from ImageNet weights in c)" in text


def test_what_varies_is_told_and_two_conditions_at_once_are_a_warning():
    size = {"presets__quick__resolution__low": 48}
    crop, face = run(**size), run(custom__view="face", **size)
    told = "Varied: 48×48 px, central square → 48×48 px, face crop with a margin of 30% (central square where there is "
    assert wording.varied([(crop, face), (crop, face)]) == f"{told}no face)."
    both = wording.varied([(crop, run(custom__view="face", shared__sampler="weighted", **size))])
    assert "shuffled samples → samples drawn with replacement, both classes as likely" in both
    assert "**2 conditions differ, so a difference is not due to one of them.**" in both


def test_sources_that_were_left_out_are_told():
    held_out = run().model_copy(update={"holdout": "insight"})
    assert wording.varied([(run(), held_out)]) == "Varied: trained on all sources → trained without insight."


@pytest.mark.parametrize(("names", "told"), [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")])
def test_lists_in_words(names, told):
    assert wording.listed(names) == told


@pytest.mark.parametrize(("count", "told"), [(1.0, "1 standard error"), (0.5, "0.5 standard errors")])
def test_standard_errors_in_words(count, told):
    assert wording.standard_errors(count) == told


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


def test_two_views_of_one_content_are_one_condition():
    other = run(views__other=VALUES["views"]["crop_low"], custom__view="other")
    assert wording.sameness([run(), other]).startswith("Identical")


def test_what_differs_is_told_apart():
    strong = {"augmentations__mine": STRONG, "custom__augmentation": "mine"}
    weaker = STRONG | {"jpeg": {"probability": 0.5, "quality": {"min": 30, "max": 95}}}
    told = wording.sameness([run(**strong), run(**(strong | {"augmentations__mine": weaker}))])
    assert "quality 50 to 95" in told
    assert "quality 30 to 95" in told
