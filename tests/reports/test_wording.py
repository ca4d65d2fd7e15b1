"""The words follow from the numbers: each case has the numbers that should, and should not, bring the words."""

import pandas as pd
import pytest
import yaml

from conftest import ROOT, changed
from deepfake import config
from deepfake.config import params
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
    assert "guessing" not in wording.learned(row(low=0.51), 0.95)
    assert "guessing" in wording.learned(row(low=0.49), 0.95)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "0.100 above a"),
        ({"difference": -0.1, "low": -0.15, "high": -0.05}, "0.100 below a"),
        ({"ttest": 0.3}, "**not significant**"),
        ({"bootstrap": 0.4, "ttest": 0.3}, "**not significant**"),
        ({"ttest": 0.0}, "p < 0.001"),
        ({"learned": (False, False)}, "would rank noise"),
        ({"difference": 0.0, "low": 0.0, "high": 0.0, "bootstrap": 1.0, "ttest": 1.0}, "the same"),
    ],
)
def test_a_difference_is_told_with_its_direction_and_verdict(changes, told):
    text = verdict(**changes)
    assert told in text
    assert ("not significant" in text) == ("not significant" in told)
    assert ("would rank noise" in text) == (changes.get("learned") == (False, False))


def test_a_small_p_value_is_never_written_as_zero():
    assert [wording.p_value(value) for value in (0.0, 0.001)] == ["p < 0.001", "p = 0.001"]


def named(name: str, **changes) -> config.RunConfig:
    return run(**changes).model_copy(update={"experiment": name})


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"model": "resnet18"}, None),
        ({"shared__optimizer__lr": 0.5}, "lr"),
        ({"custom__view": "letterbox"}, "view"),
        ({"custom__view": "face"}, "view"),
        ({"custom__augmentation": "light"}, "augmentation"),
        ({"custom__normalization": "real_training"}, "normalization"),
        ({"custom__fraction": "small", "presets__quick__fraction__small": 0.5}, "fraction"),
        ({"shared__loss__type": "bce_pos_weight"}, "loss"),
        ({"shared__loss__type": "focal", "shared__loss__minority_alpha": 0.8}, "loss"),
        ({"shared__loss__label_smoothing": 0.1}, "loss"),
        ({"shared__class_ratio": "imbalanced"}, "class_ratio"),
        ({"shared__sampler": "stratified"}, "sampler"),
        ({"shared__monitor": "f1_macro"}, "monitor"),
        ({"shared__domain__column": "source"}, "domain"),
        # two views of one content are one condition
        ({"views__other": VALUES["views"]["crop_low"], "custom__view": "other"}, None),
    ],
)
def test_the_condition_that_differs_is_told_and_no_other(change, key):
    first, other = named("a"), named("b", **change)
    assert wording._differing([first, other]) == ([key] if key else [])
    assert wording.sameness([first, other]).startswith("Identical") is (key is None)
    if key:
        values = [wording._tell(key, each) for each in (first, other)]
        assert values[0] != values[1]
        assert f"{key}: {values[0]} in a, {values[1]} in b" in wording.sameness([first, other])
        assert f"{values[0]} → {values[1]}" in wording.varied([(first, other)])


def test_the_study_of_a_run_is_no_condition():
    assert wording._differing([run(), run().model_copy(update={"study": "phase2"})]) == []


def test_every_geometry_has_words_of_its_own():
    assert set(wording._GEOMETRY) == set(params.View.model_fields["geometry"].annotation.__args__)
    views = ("crop", "letterbox", "letterbox_real", "resize", "face")
    told = [wording.view(run(custom__view=view, presets__quick__resolution__low=48)) for view in views]
    assert len(set(told)) == len(views) and all("48×48" in each for each in told)


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


def test_a_policy_tells_what_it_does_and_nothing_else():
    assert list(STRONG) == list(params.Augmentation.model_fields)

    def told(policy: dict) -> str:
        return wording.augmentation(run(augmentations__mine=policy, custom__augmentation="mine"))

    single = [told(VALUES["augmentations"]["none"] | {key: STRONG[key]}).split(": ")[1] for key in STRONG]
    assert told(STRONG).split(": ")[1] == ", ".join(single)
    for key, number in zip(
        STRONG, ("50%", "80%", "10°", "1.5 px", "25%", "20%", "15%", "10%", "5°", "95"), strict=True
    ):
        assert number in single[list(STRONG).index(key)]
    weaker = STRONG | {"jpeg": {"probability": 0.5, "quality": {"min": 30, "max": 95}}}
    assert "50 to 95" in told(STRONG) and "30 to 95" in told(weaker)


def test_statistics_in_words():
    assert "0.485, 0.456, 0.406" in wording.statistics(run())
    assert "0." not in wording.statistics(run(custom__normalization="real_training"))


@pytest.mark.parametrize(("other", "warned"), [(96, False), (94, True)])
def test_missing_faces_are_a_warning_when_sources_differ(other, warned):
    rates = pd.DataFrame({"source": ["a", "b"], "samples": [1000, 100], "found": [1000, other]})
    text = wording.faces(rates.assign(share=rates["found"] / rates["samples"]))
    assert f"{1000 + other:,} of 1,100 images (a 100.0%, b {other}.0%)" in text
    assert ("differ" in text) is warned


@pytest.mark.parametrize(
    ("size", "low", "said"), [(0.2, 0.6, "by heart"), (0.05, 0.6, "no more than"), (0.2, 0.4, "not interpreted")]
)
def test_a_gap_is_read_only_where_something_was_learned(size, low, said):
    text = wording.gap(pd.Series({**row(low=low), "train_val_gap": size}), 0.05)
    assert "0.900" in text and f"{size:.3f}" in text
    told = ["by heart", "no more than", "not interpreted"]
    assert [words for words in told if words in text] == [said]


def test_a_condition_is_told_once_for_all_that_share_it():
    first, other = named("a", model="resnet18"), named("c", model="resnet18", custom__pretrained=True)
    text = wording.sameness([first, named("b", model="resnet18"), other])
    assert f"(pretrained: {wording.weights(first)} in a and b, {wording.weights(other)} in c)" in text


def test_what_varies_is_told_once_and_two_conditions_at_once_are_a_warning():
    crop, face = run(), run(custom__view="face")
    once = wording.varied([(crop, face), (crop, face)])
    assert once.count("→") == 1 and "**" not in once
    both = wording.varied([(crop, run(custom__view="face", shared__sampler="weighted"))])
    assert both.count("→") == 2 and "**2 conditions differ" in both
    held_out = run().model_copy(update={"holdout": "insight"})
    assert "insight" in wording.varied([(run(), held_out)])


@pytest.mark.parametrize(("names", "told"), [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")])
def test_lists_in_words(names, told):
    assert wording.listed(names) == told


@pytest.mark.parametrize(("count", "told"), [(1.0, "1 standard error"), (0.5, "0.5 standard errors")])
def test_standard_errors_in_words(count, told):
    assert wording.standard_errors(count) == told


def test_sources_are_named_by_their_numbers():
    text = wording.sources(row(), ["auc_insight", "auc_text2img"])
    assert text.index("text2img") < text.index("0.900") < text.index("insight") < text.index("0.600")


@pytest.mark.parametrize(
    ("preset", "dataset", "expected"),
    [("quick", "sample", 2), ("full", "sample", 1), ("quick", "mine", 1), ("full", "mine", 0)],
)
def test_the_scope_is_said_where_it_applies(preset, dataset, expected):
    assert wording.scope(preset, dataset).count("**") // 2 == expected
