"""The schema of params.yaml: what it takes, what it refuses and how it says so, and what editors make of it."""

import json
import re
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from conftest import GONE, ROOT, changed
from deepfake import cli
from deepfake.config import params
from deepfake.errors import InputError

VALUES = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
FOCAL = {"type": "focal", "gamma": 2.0, "minority_alpha": 0.75}


@pytest.fixture
def edited(tmp_path):
    """Give a function that loads the committed file with some values changed, added or taken away."""

    def load(changes: dict[str, Any]) -> params.Params:
        file = tmp_path / "params.yaml"
        file.write_text(yaml.safe_dump(changed(VALUES, changes)), encoding="utf-8")
        return params.load(file)

    return load


# --- mistakes


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("shared.epochz", 3, ": unknown key; did you mean shared.epochs?"),
        ("shared.optimizer.weight_decy", 0, ": unknown key; did you mean shared.optimizer.weight_decay?"),
        ("shared.lr", 0.1, ": unknown key; did you mean shared.optimizer.lr?"),
        ("presets.quick.fold", 3, ": unknown key; did you mean presets.<name>.folds?"),
        ("evaluaton", {}, ": unknown key; did you mean evaluation?"),
        ("studies.phase5", {}, ": unknown key; did you mean studies.phase4?"),
        ("studies.phase4.fraction", [], ": unknown key; did you mean studies.phase4.fractions?"),
        ("shared.zzz", 1, ": unknown key"),
        ("shared.seed", GONE, ": this key is missing"),
        ("presets.full.resolution.high", GONE, ": this key is missing"),
        ("shared.batch_size", 32.5, ": input should be a valid integer"),
        ("shared.optimizer", 3, ": "),
        ("imagenet.mean", [0.5, 0.5], ".2: "),
        ("imagenet.std", [0.2, 0.0, 0.2], "imagenet: every std must be greater than 0"),
        # what is a word or a number
        ("shared.optimizer.lr", -1e-4, ": input should be 'base' or 'low', or greater than 0"),
        ("shared.epochs", 0, ": input should be 'short', 'base' or 'long', or greater than or equal to 1"),
        ("shared.fraction", 1.5, ": input should be 'small', 'medium' or 'all', or less than or equal to 1"),
        ("views.crop_low.resolution", "medium", ": input should be 'low' or 'high', or a valid integer"),
        ("views.crop_low.resolution", 31, ": input should be 'low' or 'high', or greater than or equal to 32"),
        # ranges, and what goes together
        ("presets.quick.test_ratio", 0, ": input should be greater than 0"),
        ("presets.quick.repeats", 0, ": input should be greater than or equal to 1"),
        ("shared.repeats", 0, ": input should be greater than or equal to 1"),
        ("shared.test_ratio", 0.1, ": unknown key; did you mean presets.<name>.test_ratio?"),
        ("presets.quick.val_ratio", 1, ": input should be less than 1"),
        ("presets.quick.folds", 1, ": "),
        ("presets.quick.top", 0, ": "),
        ("presets.quick.fraction.medium", 0.1, "presets.quick.fraction: fractions must not decrease"),
        ("shared.loss", FOCAL | {"label_smoothing": 0.1}, ": focal loss is defined for hard labels"),
        ("shared.loss.minority_alpha", 1.5, ": input should be less than or equal to 1"),
        ("views.face_low.geometry", "letterbox", "views.face_low: a face crop is square already"),
        ("cache.oversampling", 0.9, ": "),
        ("faces.margin", -0.1, ": "),
        ("views.lfcc.bins", 0, ": input should be greater than or equal to "),
        ("views.crop_low.modality", "sound", ": input should be 'image' or 'video'"),
        ("views.sound", {"modality": "audio", "front_end": "stft"}, ".front_end: input should be 'log_mel' or 'lfcc'"),
        ("augmentations.light.flip", 1.5, ": input should be less than or equal to 1"),
        ("augmentations.light.jpeg", {"quality": {"min": 96, "max": 95}}, ".quality: min must not be greater than max"),
        ("augmentations.light.blur", {"sigma": {"min": 9.0, "max": 1.0}}, ".sigma: min must not be greater than max"),
        ("augmentations.light.scale.min", 0, "augmentations.light: scale must lie in (0, 1]"),
        ("augmentations.light.scale.max", 1.1, "augmentations.light: scale must lie in (0, 1]"),
        ("sample.jpeg_quality", {"min": 95, "max": 75}, ": min must not be greater than max"),
        ("studies.shortcuts.severity.weak", 0.95, "studies.shortcuts.severity: they must not decrease"),
        ("studies.shortcuts.severity.weak", 0.4, "studies.shortcuts.severity: they must not decrease"),
        ("studies.robustness.corruptions.jpeg", [90, 70], ".2: "),
        ("studies.custom.contrasts", {"custom": "simple_cnn_low"}, ".custom: "),
        # scikit-learn takes 32 bits: a larger seed would fail in the middle of the study
        ("shared.seed", 2**32, ": input should be less than 4294967296"),
        # numbers must be finite
        ("shared.optimizer.lr", float("inf"), ": input should be 'base' or 'low', or a finite number"),
        ("imagenet.mean", [float("nan")] * 3, ".0: input should be a finite number"),
        ("preset", "quik", ": unknown preset 'quik'; did you mean quick?"),
        ("preset", "zzz", ": unknown preset 'zzz'; known: full, quick, smoke"),
    ],
    ids=str,
)
def test_a_mistake_is_told_by_its_path(edited, tmp_path, path, value, message):
    with pytest.raises(InputError) as caught:
        edited({path: value})
    said = str(caught.value).removeprefix(f"{tmp_path / 'params.yaml'}: ")
    assert said.startswith(f"{path}{message}" if message[0] in ".:" else message)
    assert "\n" not in said


@pytest.mark.parametrize("content", [b"", b"- a\n- list\n", b"a: [1\n", b"just words", b"\xff\xfe\x00\x01"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content):
    file = tmp_path / "params.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(file))):
        params.load(file)


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="not found; run deepfake inside the project"):
        params.load(tmp_path / "params.yaml")


# --- policies


def test_a_policy_with_any_strength_changes_something(edited):
    policies = edited({}).augmentations
    assert {name for name, policy in policies.items() if policy.changes_nothing} == {"none"}
    for key in ("flip", "rotation", "brightness", "contrast", "saturation", "hue"):
        assert not params.Augmentation.model_validate({key: 0.01}).changes_nothing
    for key in ("blur", "noise", "jpeg"):
        assert not params.Augmentation.model_validate({key: {"probability": 0.01}}).changes_nothing
    for low, high in ((0.99, 1.0), (0.5, 0.5)):
        assert not params.Augmentation.model_validate({"scale": {"min": low, "max": high}}).changes_nothing


def test_what_never_happens_changes_nothing_however_strong():
    strong = {"blur": {"sigma": {"min": 5.0, "max": 9.0}}, "jpeg": {"quality": {"min": 1, "max": 2}}}
    assert params.Augmentation.model_validate(strong | {"noise": {"std": {"min": 50.0, "max": 90.0}}}).changes_nothing


# --- the schema


def test_values_are_frozen(edited):
    loaded = edited({})
    for section, key in [(loaded, "model"), (loaded.shared.optimizer, "lr"), (loaded.augmentations["full"].jpeg, "x")]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, key, 1)


def test_the_schema_for_editors_is_current():
    result = CliRunner().invoke(cli.main, ["check", "--schema"])
    assert (ROOT / "params.schema.json").read_text("utf-8") == result.output, (
        "run deepfake check --schema > params.schema.json"
    )


def complaints(values: dict) -> list[str]:
    """Return where an editor underlines params.yaml."""
    schema = json.loads((ROOT / "params.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(values)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shared.optimizer.lr": 3.0e-4, "shared.epochs": 30, "shared.fraction": 0.37, "views.crop_low.resolution": 64},
        {"studies.phase2.contrasts.phase2b.backbone_high": ["backbone_low", "simple_cnn_low"]},
        {"studies.phase1.base": {"view": "crop_low", "model": "resnet18"}, "studies.phase1.runs.backbone_low": {}},
        {"studies.imbalance.runs.balance_by_f1.kind": "trained"},
    ],
    ids=str,
)
def test_editors_do_not_complain_about_what_is_right(edited, changes):
    edited(changes)
    assert complaints(changed(VALUES, changes)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("shared.epochz", 3),
        ("shared.optimizer.lr", "bse"),
        ("shared.seed", GONE),
        ("presets.quick.folds", 1),
        ("studies.phase4", {}),
        ("studies.phase1.runs.backbone_low.kind", "traind"),
        ("studies.phase1.runs.backbone_low.model", 18),
        ("studies.phase2.runs.backbone_reals_letterboxed.of", GONE),
        ("studies.generalization.runs.ensemble_mean.weights", "mena"),
        ("studies.phase2.contrasts.phase2b.backbone_high", 3),
    ],
    ids=str,
)
def test_editors_complain_about_what_is_wrong(edited, path, value):
    with pytest.raises(InputError):
        edited({path: value})
    assert len(complaints(changed(VALUES, {path: value}))) == 1
