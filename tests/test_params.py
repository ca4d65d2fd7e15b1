import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from deepfake import params
from deepfake.data import catalog
from deepfake.errors import InputError
from deepfake.schema import Section

ROOT = Path(__file__).parents[1]
COMMITTED = ROOT / "params.yaml"
GONE = object()


@pytest.fixture
def edited(tmp_path):
    """Give a function that loads the committed file with some values changed, added or taken away."""

    def load(changes: dict[str, Any] | None = None) -> params.Params:
        values = yaml.safe_load(COMMITTED.read_text(encoding="utf-8"))
        for path, value in (changes or {}).items():
            *above, last = path.split(".")
            section = values
            for key in above:
                section = section[key]
            if value is GONE:
                del section[last]
            else:
                section[last] = value
        file = tmp_path / "params.yaml"
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        return params.load(file)

    return load


def sections(module):
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Section) and c is not Section]
    return sorted(classes, key=lambda c: c.__name__)


# --- the committed file


def test_every_committed_experiment_resolves():
    committed = params.load(COMMITTED)
    assert committed.experiments
    for name in [*committed.experiments, "custom"]:
        run = params.resolve(committed, name)
        assert (run.experiment, run.dataset, run.preset) == (name, committed.dataset, committed.preset)


def test_the_committed_data_set_is_in_the_catalog():
    committed = params.load(COMMITTED)
    assert committed.dataset in catalog.load(ROOT / "data" / "catalog.yaml")


def test_no_two_committed_experiments_are_the_same_configuration():
    committed = params.load(COMMITTED)
    runs = [params.resolve(committed, name).model_copy(update={"experiment": ""}) for name in committed.experiments]
    assert len(runs) == len({run.model_dump_json() for run in runs})


def test_the_full_preset_is_the_plan(edited):
    plan = {
        "seed": 42,
        "val_ratio": 0.1,
        "batch_size": 32,
        "lr": 1e-4,
        "weight_decay": 1e-4,
        "epochs": 15,
        "early_stopping_patience": 5,
        "folds": 5,
        "fraction": 0.2,
        "resolution": 128,
        "num_workers": 4,
        "loss": "bce",
        "normalization": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    }
    full = edited({"preset": "full"})
    for name in ("simple_cnn_low", "resnet18_low"):
        run = params.resolve(full, name).model_dump()
        assert {key: run[key] for key in plan} == plan
    assert full.shared.test_ratio == 0.1
    assert full.shared.optimizer.type == "adamw"
    assert full.shared.scheduler.type == "cosine_annealing"
    assert full.presets["full"].resolution.model_dump() == {"low": 128, "high": 224}
    assert full.presets["full"].fraction.model_dump() == {"small": 0.2, "medium": 0.5, "all": 1.0}


# --- mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shared.epochz": 3}, r"shared\.epochz: unknown key; did you mean presets\.<name>\.epochs\?"),
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
        ({"shared.normalization.mean": [0.5, 0.5]}, r"shared\.normalization\.mean\.2: "),
        ({"shared.test_ratio": 0}, r"shared\.test_ratio: input should be greater than 0"),
        ({"presets.quick.val_ratio": 1}, r"presets\.quick\.val_ratio: input should be less than 1"),
        ({"shared.optimizer.lr": -1e-4}, r"shared\.optimizer\.lr: input should be greater than 0"),
        ({"shared.loss": "hinge"}, r"shared\.loss: input should be 'bce'"),
        ({"shared.resolution": 128}, r"shared\.resolution: input should be 'low' or 'high'"),
        ({"shared.normalization.std": [0.2, 0.0, 0.2]}, r"every std must be greater than 0"),
        ({"presets.quick.fraction.medium": 0.1}, r"presets\.quick\.fraction: .*must not decrease"),
        ({"presets.quick.folds": 1}, r"presets\.quick\.folds: "),
        ({"tables.phase1.experiments": []}, r"tables\.phase1\.experiments: "),
        ({"ingest.max_quarantined": 1}, r"ingest\.max_quarantined: "),
        ({"preset": "quik"}, r"preset: unknown preset 'quik'; did you mean quick\?"),
        ({"preset": "zzz"}, r"preset: unknown preset 'zzz'; known: full, quick"),
        (
            {"tables.phase1.experiments": ["simple_cnn_low", "resnet81_low"]},
            r"tables\.phase1\.experiments: unknown experiment 'resnet81_low'; did you mean resnet18_low",
        ),
        (
            {"tables.phase1.experiments": ["resnet18_low"]},
            r"tables\.phase1\.baseline: 'simple_cnn_low' is not one of its experiments",
        ),
        ({"experiments.custom": {"model": "resnet18"}}, r"experiments\.custom: the name is taken"),
        (
            {"experiments.simple_cnn_low.optimizer": {"lrr": 1}},
            r"experiments\.simple_cnn_low\.optimizer\.lrr: unknown key; did you mean optimizer\.lr\?",
        ),
        ({"experiments.simple_cnn_low.optimizer": {"lr": 0}}, r"experiments\.simple_cnn_low\.optimizer\.lr: "),
        ({"experiments.simple_cnn_low.optimizer": None}, r"experiments\.simple_cnn_low\.optimizer: "),
        ({"experiments.simple_cnn_low.zzz": 1}, r"experiments\.simple_cnn_low\.zzz: unknown key$"),
        ({"experiments.simple_cnn_low.model": GONE}, r"experiments\.simple_cnn_low\.model: give the name of a model"),
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
        {"shared.normalization.mean": [float("nan")] * 3},
        {"shared.normalization.std": [float("nan")] * 3},
        {"shared.normalization.std": [float("inf")] * 3},
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


def test_a_typo_in_an_experiment_is_answered_with_a_key_of_shared(edited):
    with pytest.raises(InputError, match=r"experiments\.resnet18_low\.resolutoin: .* did you mean resolution\?"):
        edited({"experiments.resnet18_low.resolutoin": "high"})


def test_a_mistake_in_an_experiment_names_the_file_that_was_read(edited, tmp_path):
    with pytest.raises(InputError, match="^" + re.escape(str(tmp_path / "params.yaml"))):
        edited({"experiments.simple_cnn_low.zzz": 1})


def test_an_experiment_cannot_override_what_its_run_does_not_read(edited):
    # the test set is common to all experiments: an own test_ratio would be ignored
    with pytest.raises(InputError, match=r"experiments\.simple_cnn_low\.test_ratio"):
        edited({"experiments.simple_cnn_low.test_ratio": 0.3})


def test_an_unknown_experiment_is_answered_with_the_nearest():
    committed = params.load(COMMITTED)
    with pytest.raises(InputError, match=r"unknown experiment 'resnet81_low'; did you mean resnet18_low"):
        params.resolve(committed, "resnet81_low")
    with pytest.raises(InputError, match=r"unknown experiment 'custm'; did you mean custom\?"):
        params.resolve(committed, "custm")


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


# --- resolving


def differences(a: params.RunConfig, b: params.RunConfig) -> set[str]:
    return {key for key, value in a.model_dump().items() if value != getattr(b, key) and key != "normalization"} | (
        {"normalization"} if a.normalization != b.normalization else set()
    )


@pytest.mark.parametrize(
    ("overlay", "key", "value"),
    [
        ({"optimizer": {"lr": 2e-4}}, "lr", 2e-3),
        ({"optimizer": {"weight_decay": 0.5}}, "weight_decay", 0.5),
        ({"batch_size": 8}, "batch_size", 8),
        ({"seed": 7}, "seed", 7),
        ({"early_stopping_patience": 2}, "early_stopping_patience", 2),
        ({"loss": "bce_balanced"}, "loss", "bce_balanced"),
        ({"grad_clip": 1.5}, "grad_clip", 1.5),
        ({"precision": "fp32"}, "precision", "fp32"),
        ({"num_workers": 2}, "num_workers", 2),
        ({"resolution": "high"}, "resolution", 64),
        ({"fraction": "all"}, "fraction", 1.0),
        (
            {"normalization": {"mean": [0.5, 0.5, 0.5]}},
            "normalization",
            params.Normalization(mean=(0.5, 0.5, 0.5), std=(0.229, 0.224, 0.225)),
        ),
    ],
)
def test_an_overlay_changes_its_key_and_nothing_else(edited, overlay, key, value):
    quick = {
        "preset": "quick",
        "presets.quick.lr_scale": 10.0,
        "presets.quick.resolution": {"low": 48, "high": 64},
        "presets.quick.fraction": {"small": 0.5, "medium": 0.75, "all": 1.0},
    }
    chosen = edited(quick | {"experiments.other": {"model": "simple_cnn", **overlay}})
    plain, other = params.resolve(chosen, "simple_cnn_low"), params.resolve(chosen, "other")
    assert differences(plain, other) == {"experiment", key}
    assert getattr(other, key) == (pytest.approx(value) if isinstance(value, float) else value)
    assert chosen.shared == edited(quick).shared


def test_the_preset_scales_the_learning_rate(edited):
    scaled = edited({"preset": "quick", "presets.quick.lr_scale": 2.5})
    assert params.resolve(scaled, "simple_cnn_low").lr == pytest.approx(2.5e-4)
    assert params.resolve(edited({"preset": "full"}), "simple_cnn_low").lr == 1e-4


def test_the_custom_run_follows_the_top_of_the_file(edited):
    chosen = edited({"model": "convnext_tiny", "custom": {"resolution": "high", "fraction": "medium"}})
    run, sizes = params.resolve(chosen, "custom"), chosen.presets[chosen.preset]
    assert (run.model, run.resolution, run.fraction) == ("convnext_tiny", sizes.resolution.high, sizes.fraction.medium)


def test_resolving_reads_the_chosen_preset_only(edited):
    quick = params.resolve(edited({"preset": "quick", "presets.full.epochs": 99}), "resnet18_low")
    assert quick == params.resolve(edited({"preset": "quick"}), "resnet18_low")
    assert quick.epochs != 99


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
        (params.resolve(loaded, "custom"), "seed"),
    ]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, key, 1)
