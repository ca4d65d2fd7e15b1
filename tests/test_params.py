import re
import shutil
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from conftest import GONE, ROOT, changed
from deepfake import params
from deepfake.errors import InputError
from deepfake.schema import Section

COMMITTED = ROOT / "params.yaml"
VALUES = yaml.safe_load(COMMITTED.read_text("utf-8"))


@pytest.fixture
def edited(tmp_path):
    """Give a function that loads the committed file with some values changed, added or taken away."""

    def load(changes: dict[str, Any]) -> params.Params:
        file = tmp_path / "params.yaml"
        file.write_text(yaml.safe_dump(changed(VALUES, changes)), encoding="utf-8")
        return params.load(file)

    return load


def sections(module):
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Section) and c is not Section]
    return sorted(classes, key=lambda c: c.__name__)


# --- mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shared.epochz": 3}, r"shared\.epochz: unknown key; did you mean shared\.epochs\?"),
        ({"shared.batchsize": 3}, r"shared\.batchsize: unknown key; did you mean shared\.batch_size\?"),
        ({"shared.optimizer.weight_decy": 0}, r"shared\.optimizer\.weight_decy: .* shared\.optimizer\.weight_decay\?"),
        ({"shared.lr": 0.1}, r"shared\.lr: unknown key; did you mean shared\.optimizer\.lr\?"),
        ({"presets.quick.fold": 3}, r"presets\.quick\.fold: unknown key; did you mean presets\.<name>\.folds\?"),
        ({"evaluaton": {}}, r"evaluaton: unknown key; did you mean evaluation\?"),
        ({"shared.zzz": 1}, r"shared\.zzz: unknown key$"),
        ({"shared.seed": GONE}, r"shared\.seed: this key is missing$"),
        ({"presets.full.resolution.high": GONE}, r"presets\.full\.resolution\.high: this key is missing$"),
        ({"model": GONE, "ingest": GONE}, r"model: this key is missing \(and 1 more\)"),
        ({"shared.batch_size": "many"}, r"shared\.batch_size: input should be a valid integer"),
        ({"shared.batch_size": 32.5}, r"shared\.batch_size: input should be a valid integer"),
        ({"shared.optimizer": 3}, r"shared\.optimizer: "),
        ({"experiments.simple_cnn_low": None}, r"experiments\.simple_cnn_low: "),
        ({"imagenet.mean": [0.5, 0.5]}, r"imagenet\.mean\.2: "),
        ({"shared.test_ratio": 0}, r"shared\.test_ratio: input should be greater than 0"),
        ({"presets.quick.val_ratio": 1}, r"presets\.quick\.val_ratio: input should be less than 1"),
        ({"shared.optimizer.lr": -1e-4}, r"shared\.optimizer\.lr: input should be greater than 0"),
        ({"shared.loss.type": "hinge"}, r"shared\.loss\.type: input should be 'bce'"),
        ({"shared.loss.minority_alpha": 1.5}, r"shared\.loss\.minority_alpha: input should be less than or equal to 1"),
        ({"shared.loss.gamma": -1.0}, r"shared\.loss\.gamma: input should be greater than or equal to 0"),
        ({"shared.loss.type": "focal", "shared.loss.label_smoothing": 0.1}, "focal loss is defined for hard labels"),
        ({"shared.domain.column": "camera"}, r"shared\.domain\.column: input should be 'none', 'dataset' or 'source'"),
        ({"balance.ratio": 0.0}, r"balance\.ratio: input should be greater than 0"),
        ({"views.crop_low.resolution": 128}, r"views\.crop_low\.resolution: input should be 'low' or 'high'"),
        ({"views.crop_low.geometry": "stretch"}, r"views\.crop_low\.geometry: input should be 'crop', 'letterbox'"),
        ({"views.crop_low.size": 3}, r"views\.crop_low\.size: unknown key"),
        (
            {"views.crop_low": {"geometry": "letterbox", "face_crop": True, "resolution": "low"}},
            r"views\.crop_low: .*a face crop is square already",
        ),
        ({"imagenet.std": [0.2, 0.0, 0.2]}, r"imagenet: .*every std must be greater than 0"),
        ({"shared.normalization": {"mean": [0.5] * 3}}, r"shared\.normalization: input should be 'imagenet' or "),
        ({"custom.normalization": "batch"}, r"custom\.normalization: input should be 'imagenet' or 'real_training'"),
        ({"custom.resolution": "high"}, r"custom\.resolution: unknown key"),
        ({"presets.full.loader": "pil"}, r"presets\.full\.loader: input should be 'dali', 'opencv' or 'torchvision'"),
        ({"cache.oversampling": 0.9}, r"cache\.oversampling: "),
        ({"cache.oversampling": 2.1}, r"cache\.oversampling: "),
        ({"faces.margin": -0.1}, r"faces\.margin: "),
        ({"faces.confidence": 1}, r"faces\.confidence: "),
        ({"faces.detection_size": 32}, r"faces\.detection_size: "),
        ({"augmentations.light.flip": 1.5}, r"augmentations\.light\.flip: input should be less than or equal to 1"),
        ({"augmentations.light.jpeg.quality.min": 0}, r"augmentations\.light\.jpeg\.quality\.min: "),
        ({"augmentations.light.jpeg.quality.min": 96}, r"augmentations\.light\.jpeg\.quality: .*min must not be"),
        ({"augmentations.light.blur.sigma.min": 9}, r"augmentations\.light\.blur\.sigma: .*min must not be greater"),
        ({"augmentations.light.noise.std.max": 0}, r"augmentations\.light\.noise\.std: .*min must not be greater"),
        ({"augmentations.light.scale.min": 0}, r"augmentations\.light: .*scale must lie in \(0, 1\]"),
        ({"augmentations.light.scale.max": 1.1}, r"augmentations\.light: .*scale must lie in \(0, 1\]"),
        ({"augmentations.light.brightness": 1}, r"augmentations\.light\.brightness: input should be less than 1"),
        ({"augmentations.light.rotation": 46}, r"augmentations\.light\.rotation: "),
        ({"augmentations.light.hue": 181}, r"augmentations\.light\.hue: "),
        ({"augmentations.light.cutout": 0.1}, r"augmentations\.light\.cutout: unknown key"),
        ({"presets.quick.fraction.medium": 0.1}, r"presets\.quick\.fraction: .*must not decrease"),
        ({"presets.quick.folds": 1}, r"presets\.quick\.folds: "),
        ({"tables.phase1": {}}, r"tables\.phase1: "),
        ({"tables.phase1.simple_cnn_low": "resnet18_low"}, r"tables\.phase1\.simple_cnn_low: "),
        ({"presets.quick.top": 0}, r"presets\.quick\.top: "),
        ({"custom.pretrained": "maybe"}, r"custom\.pretrained: "),
        ({"selection.standard_errors": -1}, r"selection\.standard_errors: "),
        ({"audit.severity.weak": 0.95}, r"audit\.severity: .*must not decrease"),
        ({"audit.severity.weak": 0.4}, r"audit\.severity: .*must not decrease"),
        ({"robustness.corruptions.jpeg": [90, 70]}, r"robustness\.corruptions\.jpeg\.2: "),
        ({"ingest.max_quarantined": 1}, r"ingest\.max_quarantined: "),
        ({"preset": "quik"}, r"preset: unknown preset 'quik'; did you mean quick\?"),
        ({"preset": "zzz"}, r"preset: unknown preset 'zzz'; known: full, quick"),
    ],
)
def test_a_mistake_is_told_by_its_path(edited, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        edited(changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"shared.optimizer.lr": float("inf")},
        {"shared.optimizer.lr": float("nan")},
        {"shared.optimizer.weight_decay": float("inf")},
        {"shared.grad_clip": float("inf")},
        {"imagenet.mean": [float("nan")] * 3},
        {"imagenet.std": [float("nan")] * 3},
        {"imagenet.std": [float("inf")] * 3},
        {"augmentations.full.blur.sigma.max": float("inf")},
        {"faces.margin": float("nan")},
        {"presets.quick.lr_scale": float("inf")},
    ],
)
def test_numbers_must_be_finite(edited, changes):
    with pytest.raises(InputError, match=re.escape(next(iter(changes)))):
        edited(changes)


def test_a_seed_must_fit_the_generators_that_it_seeds(edited):
    # scikit-learn takes 32 bits: a larger seed would fail in the middle of the study
    edited({"shared.seed": 2**32 - 1})
    with pytest.raises(InputError, match=r"shared\.seed"):
        edited({"shared.seed": 2**32})


def test_a_range_of_quality_must_not_be_upside_down(edited):
    with pytest.raises(InputError, match=r"sample\.jpeg_quality"):
        edited({"sample.jpeg_quality": {"min": 95, "max": 75}})


@pytest.mark.parametrize("content", ["", "- a\n- list\n", "a: [1\n", "just words"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content):
    file = tmp_path / "params.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(str(file))):
        params.load(file)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match=re.escape(str(file))):
        params.load(file)


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="not found"):
        params.load(tmp_path / "params.yaml")


def test_exponents_as_people_write_them_are_numbers(tmp_path):
    # PyYAML reads 3e-4 (no point) as a string
    text = COMMITTED.read_text(encoding="utf-8")
    file = tmp_path / "params.yaml"
    file.write_text(re.sub(r"\blr: \S+", "lr: 3e-4", text), encoding="utf-8")
    assert params.load(file).shared.optimizer.lr == 3e-4


# --- policies


def test_the_policy_none_changes_nothing_and_the_others_do(edited):
    policies = edited({}).augmentations
    assert policies["none"].changes_nothing
    assert not policies["light"].changes_nothing
    assert not policies["full"].changes_nothing


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("flip", 0.1),
        ("scale.min", 0.99),
        ("scale", {"min": 0.5, "max": 0.5}),
        ("rotation", 0.5),
        ("blur.probability", 0.01),
        ("noise.probability", 0.01),
        ("brightness", 0.01),
        ("contrast", 0.01),
        ("saturation", 0.01),
        ("hue", 0.5),
        ("jpeg.probability", 0.01),
    ],
)
def test_a_policy_with_any_strength_changes_something(edited, key, value):
    assert not edited({f"augmentations.none.{key}": value}).augmentations["none"].changes_nothing


def test_what_never_happens_changes_nothing_however_strong(edited):
    strong = {
        "augmentations.none.blur.sigma": {"min": 5.0, "max": 9.0},
        "augmentations.none.noise.std": {"min": 50.0, "max": 90.0},
        "augmentations.none.jpeg.quality": {"min": 1, "max": 2},
    }
    assert edited(strong).augmentations["none"].changes_nothing


# --- the schema itself


@pytest.mark.parametrize("schema", sections(params), ids=lambda c: c.__name__)
def test_no_value_has_a_default_in_python(schema):
    optional = [name for name, field in schema.model_fields.items() if not field.is_required()]
    assert not optional
    assert schema.model_config["frozen"]
    assert schema.model_config["extra"] == "forbid"


def test_values_are_frozen(tmp_path):
    shutil.copy(COMMITTED, tmp_path)
    loaded = params.load(tmp_path / "params.yaml")
    for section, key in [
        (loaded, "model"),
        (loaded.shared.optimizer, "lr"),
        (loaded.augmentations["full"].jpeg, "probability"),
    ]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, key, 1)
