"""What an experiment comes to: names that must refer to something, and values that decide it and nothing else."""

import re
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from conftest import GONE, ROOT, changed
from deepfake import config, layout, params, tables
from deepfake.data import catalog
from deepfake.errors import InputError

COMMITTED = ROOT / "params.yaml"
VALUES = yaml.safe_load(COMMITTED.read_text("utf-8"))
CUSTOM = {
    "view": "crop_low",
    "fraction": "small",
    "augmentation": "none",
    "normalization": "imagenet",
    "pretrained": None,
}
FIXED = {
    "model": "simple_cnn",
    "preset": "quick",
    "custom": CUSTOM,
    "presets.quick.loader": "dali",
    "presets.full.loader": "dali",
    "presets.quick.lr_scale": 10.0,
    "presets.quick.resolution": {"low": 48, "high": 64},
    "presets.quick.fraction": {"small": 0.5, "medium": 0.75, "all": 1.0},
    "cache.oversampling": 1.25,
    "faces.margin": 0.3,
    "views": {
        "crop_low": {"geometry": "crop", "face_crop": False, "resolution": "low"},
        "crop_high": {"geometry": "crop", "face_crop": False, "resolution": "high"},
        "letterbox_low": {"geometry": "letterbox", "face_crop": False, "resolution": "low"},
        "face_low": {"geometry": "crop", "face_crop": True, "resolution": "low"},
        "face_high": {"geometry": "crop", "face_crop": True, "resolution": "high"},
    },
    "experiments": {
        "simple_cnn_low": {"model": "simple_cnn", "view": "crop_low", "augmentation": "none"},
        "resnet18_low": {"model": "resnet18", "view": "crop_low", "augmentation": "none"},
    },
    "tables": {
        name: {"simple_cnn_low": [], other: ["simple_cnn_low"]}
        for name, other in (("phase1", "resnet18_low"), ("custom", "custom"))
    },
    "reevaluations": {"resnet18_again": {"experiment": "resnet18_low", "view": "letterbox_low"}},
    "candidates": {
        "resnet34": {"model": "resnet34", "ranked": True},
        "resnet50": {"model": "resnet50", "ranked": True},
        "guest": {"model": "resnet18", "ranked": False, "pretrained": True},
    },
    "presets.quick.top": 2,
    "presets.full.top": 2,
    "presets.quick.pretrained": False,
    "audit.views": ["crop_low"],
    "audit.experiments": ["simple_cnn_low"],
    "robustness.experiments": ["simple_cnn_low"],
    "balance.detail": ["simple_cnn_low"],
    "transfers": {
        "resnet18_other": {"dataset": "dff", "model": "resnet18", "view": "crop_low", "augmentation": "none"}
    },
    "finetunings": {
        "resnet18_on": {
            "dataset": "union",
            "start_from": "resnet18_low",
            "model": "resnet18",
            "view": "crop_low",
            "augmentation": "none",
        }
    },
    "ensembles": {"both": {"experiments": ["simple_cnn_low", "resnet18_low"], "weights": "mean"}},
    "cross_dataset": {"away": ["dff"], "union": ["dff"], "models": ["simple_cnn_low", "resnet18_other", "both"]},
}
"""Values that tests name, whatever the committed study has."""


@pytest.fixture
def edited(tmp_path):
    """Give a function that loads the committed file with the fixed values, and some of these changed."""

    def load(changes: dict[str, Any] | None = None) -> params.Params:
        file = tmp_path / "params.yaml"
        values = changed(changed(VALUES, FIXED), changes or {})
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        return config.load(file)

    return load


# --- the committed file


def test_every_committed_experiment_resolves():
    committed = config.load(COMMITTED)
    assert committed.experiments
    for name in [*committed.experiments, "custom"]:
        run = config.resolve(committed, name)
        assert (run.experiment, run.dataset, run.preset) == (name, committed.dataset, committed.preset)
        assert (run.view.dataset, run.view.loader) == (committed.dataset, committed.presets[committed.preset].loader)


def test_the_committed_data_sets_are_in_the_catalog():
    committed = params.load(COMMITTED)
    known = catalog.load(ROOT / "data" / "catalog.yaml")
    assert {committed.dataset, *committed.cross_dataset.away} <= set(known)


def test_experiments_on_other_data_are_resolved_with_that_data(edited):
    settings = edited({"presets.quick.pretrained": True})
    other, on = (config.resolve(settings, name) for name in ("resnet18_other", "resnet18_on"))
    assert (other.dataset, other.view.dataset, other.start_from, other.pretrained) == ("dff", "dff", None, True)
    # what goes on from trained weights has no use for ImageNet's
    assert (on.dataset, on.view.dataset, on.start_from, on.pretrained) == ("union", "union", "resnet18_low", False)
    assert config.resolve(settings, "resnet18_low").dataset == settings.dataset


def test_the_committed_comparison_trains_the_same_architecture_on_other_data():
    """The plan's third question: architecture or data?"""
    committed = config.load(COMMITTED)
    baseline, other = (config.resolve(committed, name) for name in committed.cross_dataset.models[:2])
    union = config.resolve(committed, "simple_cnn_union")
    differing = {key for key, value in baseline.model_dump().items() if value != union.model_dump()[key]}
    assert differing == {"experiment", "dataset", "view", "sampler"}
    assert other.model != baseline.model and other.dataset == baseline.dataset


def test_no_two_committed_experiments_are_the_same_configuration():
    committed = params.load(COMMITTED)
    runs = [config.resolve(committed, name).model_copy(update={"experiment": ""}) for name in committed.experiments]
    assert len(runs) == len({run.model_dump_json() for run in runs})


def test_the_committed_custom_run_repeats_the_baseline():
    committed = params.load(COMMITTED)
    run = config.resolve(committed, "custom").model_copy(update={"experiment": "simple_cnn_low"})
    assert run == config.resolve(committed, "simple_cnn_low")


# The plan's numbers, from its text: phase, model, pixels, face crop, augmentation, normalisation, held-out source.
PLAN = {
    "simple_cnn_low": ("simple_cnn", 128, False, False, "imagenet", None),
    "resnet18_low": ("resnet18", 128, False, False, "imagenet", None),
    "simple_cnn_high": ("simple_cnn", 224, False, False, "imagenet", None),
    "resnet18_high": ("resnet18", 224, False, False, "imagenet", None),
    "resnet18_real_stats": ("resnet18", 224, False, False, "real", None),
    "resnet18_without_text2img": ("resnet18", 224, False, False, "imagenet", "text2img"),
    "resnet18_without_inpainting": ("resnet18", 224, False, False, "imagenet", "inpainting"),
    "resnet18_without_insight": ("resnet18", 224, False, False, "imagenet", "insight"),
    "simple_cnn_face": ("simple_cnn", 224, True, False, "imagenet", None),
    "resnet18_face": ("resnet18", 224, True, False, "imagenet", None),
    "simple_cnn_augmented": ("simple_cnn", 224, False, True, "imagenet", None),
    "resnet18_augmented": ("resnet18", 224, False, True, "imagenet", None),
    "simple_cnn_face_augmented": ("simple_cnn", 224, True, True, "imagenet", None),
    "resnet18_face_augmented": ("resnet18", 224, True, True, "imagenet", None),
}
COMMON = {
    "seed": 42,
    "val_ratio": 0.1,
    "batch_size": 32,
    "lr": 1e-4,
    "weight_decay": 1e-4,
    "epochs": 15,
    "early_stopping_patience": 5,
    "folds": 5,
    "num_workers": 4,
    "monitor": "auc",
    "sampler": "shuffle",
    "class_ratio": None,
}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.fixture
def full(tmp_path) -> params.Params:
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(VALUES | {"preset": "full"}))
    return config.load(file)


def test_the_full_preset_is_the_plan_in_phases_1_and_2(full):
    of_other_studies = ("balance_", *full.cross_dataset.models)
    assert {name for name in full.experiments if not name.startswith(of_other_studies)} == set(PLAN)
    for name, (model, pixels, face, augmented, normalization, holdout) in PLAN.items():
        run = config.resolve(full, name)
        values = run.model_dump()
        assert {key: values[key] for key in COMMON} == COMMON
        assert (run.loss.type, run.loss.label_smoothing, run.domain.column) == ("bce", 0, "none")
        assert (run.model, run.resolution, run.fraction, run.holdout) == (model, pixels, 0.2, holdout)
        assert (run.view.geometry, run.view.face_margin is not None) == ("crop", face)
        assert (run.augmentation is not None) == augmented
        assert values["normalization"] == (IMAGENET if normalization == "imagenet" else None)
        assert run.pretrained == (model != "simple_cnn")


BALANCE = {
    "balance_bce": {},
    "balance_pos_weight": {"loss": "bce_pos_weight"},
    "balance_focal": {"loss": "focal"},
    "balance_sampler": {"sampler": "weighted"},
    "balance_focal_sampler": {"loss": "focal", "sampler": "weighted"},
    "balance_by_f1": {"monitor": "f1"},
    "balance_domains": {"domain": "source"},
}
"""What each experiment of the class-balancing study changes."""


def test_the_balancing_study_is_the_plan_s_and_varies_one_thing_at_a_time(full):
    assert {name for name in full.experiments if name.startswith("balance_")} == set(BALANCE)
    assert full.tables["balance"] == {name: ("balance_bce",) if name != "balance_bce" else () for name in BALANCE}
    usual = {"loss": "bce", "sampler": "shuffle", "monitor": "auc", "domain": "none"}
    for name, changes in BALANCE.items():
        run = config.resolve(full, name)
        found = {"loss": run.loss.type, "sampler": run.sampler, "monitor": run.monitor, "domain": run.domain.column}
        assert found == usual | changes
        assert (run.class_ratio, run.fraction) == (9, 1)
        # values that are not in force are neutral
        focal = run.loss.type == "focal"
        assert (run.loss.gamma, run.loss.minority_alpha) == ((2, 0.75) if focal else (0, 0.5))
        assert (run.model, run.view.view, run.augmentation) == ("simple_cnn", "crop_high", full.augmentations["light"])


@pytest.mark.parametrize(
    "changes",
    [
        {"shared.loss.type": "focal"},
        {"shared.loss.label_smoothing": 0.1},
        {"shared.sampler": "weighted"},
        {"shared.monitor": "f1"},
        {"shared.domain.column": "source"},
    ],
)
def test_the_balancing_study_compares_what_its_names_say_whatever_is_shared(tmp_path, changes):
    """As `dvc exp run -S` changes them; the custom run follows."""
    before = config.load(COMMITTED)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed(VALUES, changes)))
    after = config.load(tmp_path / "params.yaml")
    for name in BALANCE:
        assert config.resolve(after, name) == config.resolve(before, name)
    assert config.resolve(after, "custom") != config.resolve(before, "custom")


@pytest.mark.parametrize("changes", [{"shared.loss.gamma": 5.0}, {"shared.domain.weight": 0.5}])
def test_what_a_run_does_not_use_is_no_change_of_it(tmp_path, changes):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed(VALUES, changes)))
    before, after = config.load(COMMITTED), config.load(tmp_path / "params.yaml")
    unchanged = [name for name in before.experiments if config.resolve(after, name) == config.resolve(before, name)]
    uses = {
        "shared.loss.gamma": {"balance_focal", "balance_focal_sampler"},
        "shared.domain.weight": {"balance_domains"},
    }
    assert set(before.experiments) - set(unchanged) == uses[next(iter(changes))]


def test_the_full_preset_is_the_plan_in_phases_3_and_4(full):
    extended = {
        "resnet34": "resnet34",
        "resnet50": "resnet50",
        "efficientnet_b0": "efficientnet_b0",
        "convnext_tiny": "convnext_tiny",
        "mobilenetv3_small": "mobilenetv3_small_100",
    }
    ranked = {name: entry["model"] for name, entry in full.candidates.items() if entry["ranked"]}
    assert ranked == {"simple_cnn": "simple_cnn", "resnet18": "resnet18", **extended}
    assert full.presets["full"].top in (3, 4)
    decision = config.Decision(resolution="high", face_crop=True, augmentation="full")
    for name in ranked:
        for suffix, fraction in (("_best", 0.2), ("_best_medium", 0.5), ("_best_all", 1.0)):
            run = config.resolve(full, f"{name}{suffix}", decision)
            values = run.model_dump()
            assert {key: values[key] for key in COMMON} == COMMON
            assert (run.fraction, run.resolution, run.view.view) == (fraction, 224, "face_high")
            assert run.augmentation == full.augmentations["full"]


def test_the_full_preset_is_the_plan_in_what_all_share(full):
    assert full.shared.test_ratio == 0.1
    assert full.shared.optimizer.type == "adamw"
    assert full.shared.scheduler.type == "cosine_annealing"
    assert full.interpretation.source_specific == (0.05, 0.10)


def test_the_letterboxed_reals_are_seen_by_the_checkpoints_of_the_same_resolution(full):
    entry = full.reevaluations["resnet18_letterboxed"]
    view = config.resolve_view(full, entry.view)
    assert (entry.experiment, view.geometry, view.size) == ("resnet18_high", "letterbox_real", 224)


# --- candidates and what is decided


@pytest.mark.parametrize(
    ("decision", "view"),
    [
        (("low", False, "none"), "crop_low"),
        (("high", False, "none"), "crop_high"),
        (("low", True, "full"), "face_low"),
        (("high", True, "light"), "face_high"),
    ],
)
def test_a_candidate_is_trained_as_was_decided(edited, decision, view):
    settings = edited({"candidates.resnet34.optimizer": {"lr": 2e-4}})
    resolution, face_crop, augmentation = decision
    chosen = config.Decision(resolution=resolution, face_crop=face_crop, augmentation=augmentation)
    run = config.resolve(settings, "resnet34_best_medium", chosen)
    assert (run.model, run.view.view, run.fraction) == ("resnet34", view, 0.75)
    assert run.lr == pytest.approx(2e-3)
    assert (run.augmentation is None) == (augmentation == "none")
    assert config.resolve(settings, "guest_best", chosen).pretrained
    assert not run.pretrained


def test_names_of_candidates_experiments_lead_back_to_them(edited):
    settings = edited()
    names = config.candidate_experiments(settings)
    assert {name: config.candidate_of(settings, name) for name in names} == {
        f"{candidate}{suffix}": (candidate, fraction)
        for candidate in ("resnet34", "resnet50", "guest")
        for fraction, suffix in (("small", "_best"), ("medium", "_best_medium"), ("all", "_best_all"))
    }
    assert config.candidate_of(settings, "simple_cnn_low") is None
    assert config.candidate_of(settings, "resnet18_best") is None


def test_before_anything_is_decided_a_candidate_says_what_to_run(edited, tmp_path, monkeypatch):
    settings = edited()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"decisions/phase2\.json: not found; run deepfake decide, or dvc repro"):
        config.resolve(settings, "resnet34_best")
    with pytest.raises(InputError, match=r"decisions/phase4/resnet34\.json: not found; run deepfake rank"):
        config.read_gate("resnet34")


@pytest.mark.parametrize("text", ['{"resolution": "huge"}', "{}", "high", '{"open": true, "score": 0.9}'])
def test_a_decision_that_was_changed_by_hand_is_refused(tmp_path, text):
    file = tmp_path / "phase2.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"phase2\.json: .*; run deepfake decide again"):
        config.read_decision(file)


# --- mistakes

LOW = "experiments.simple_cnn_low"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tables.phase1.resnet81_low": []},
            r"tables\.phase1: unknown experiment 'resnet81_low'; did you mean resnet18_low",
        ),
        (
            {"tables.phase1": {"resnet18_low": ["simple_cnn_low"]}},
            r"tables\.phase1\.resnet18_low: its baseline 'simple_cnn_low' is no other experiment of the table",
        ),
        ({"cross_dataset.away": ["sample", "dff"]}, r"cross_dataset\.away: sample is the study's own data set"),
        ({"cross_dataset.union": ["mine"]}, r"cross_dataset: .*union: mine must stand in away, too"),
        ({"cross_dataset.away": ["dff", "dff"]}, r"away: dff stands there more than once"),
        ({"cross_dataset.models": ["simple_cnn_lo"]}, r"cross_dataset\.models: .*did you mean simple_cnn_low"),
        ({"cross_dataset.models": ["resnet34_best"]}, r"cross_dataset\.models: unknown experiment 'resnet34_best'"),
        ({"transfers.resnet18_other.dataset": "mine"}, r"transfers\.resnet18_other\.dataset: unknown data set 'mine'"),
        (
            {"transfers.resnet18_other.dataset": GONE},
            r"transfers\.resnet18_other\.dataset: give the name of a data set",
        ),
        ({"transfers.resnet18_other.start_from": "x"}, r"transfers\.resnet18_other\.start_from: unknown key"),
        ({"experiments.simple_cnn_low.dataset": "dff"}, r"experiments\.simple_cnn_low\.dataset: unknown key"),
        ({"finetunings.resnet18_on.start_from": "resnet"}, r"finetunings\.resnet18_on\.start_from: unknown experiment"),
        ({"finetunings.resnet18_on.start_from": GONE}, r"finetunings\.resnet18_on\.start_from: give the name of"),
        ({"ensembles.both.experiments": ["simple_cnn_low", "x"]}, r"ensembles\.both: unknown experiment 'x'"),
        ({"ensembles.both.experiments": ["simple_cnn_low"]}, r"ensembles\.both\.experiments: .*at least 2"),
        ({"ensembles.resnet18_again": {"experiments": ["a", "b"], "weights": "mean"}}, r"the name is taken"),
        (
            {"tables.phase1": {"resnet18_low": ["resnet18_low"]}},
            r"tables\.phase1\.resnet18_low: its baseline 'resnet18_low' is no other experiment of the table",
        ),
        (
            {"reevaluations.resnet18_again.experiment": "resnet81_low"},
            r"reevaluations\.resnet18_again\.experiment: unknown experiment 'resnet81_low'; did you mean resnet18_low",
        ),
        (
            {"reevaluations.resnet18_again.view": "letterbox"},
            r"reevaluations\.resnet18_again\.view: unknown view 'letterbox'; did you mean letterbox_low",
        ),
        ({"candidates.resnet34.view": "crop_low"}, r"candidates\.resnet34\.view: it is not a candidate's own"),
        ({"candidates.resnet34.fraction": "all"}, r"candidates\.resnet34\.fraction: it is not a candidate's own"),
        ({"candidates.resnet34.ranked": GONE}, r"candidates\.resnet34\.ranked: true or false"),
        ({"candidates.resnet34.optimizer": {"lrr": 1}}, r"candidates\.resnet34\.optimizer\.lrr: unknown key"),
        ({"candidates.resnet34.pretrained": "yes"}, r"candidates\.resnet34\.pretrained: true, false, or null"),
        ({"presets.quick.top": 3}, r"presets\.quick\.top: 3, but only 2 candidates are ranked"),
        (
            {"views.face_high": GONE},
            r"views: none with geometry: crop, resolution: high and face_crop: true, which phase 2 may decide for",
        ),
        ({"experiments.resnet34_best": {"model": "a"}}, r"experiments\.resnet34_best: the name is taken"),
        ({"experiments.resnet18_again": {"model": "a"}}, r"experiments\.resnet18_again: the name is taken"),
        ({"audit.experiments": ["resnet81_low"]}, r"audit\.experiments: unknown experiment 'resnet81_low'"),
        ({"audit.views": ["crop_lo"]}, r"audit\.views: unknown view 'crop_lo'; did you mean crop_low"),
        ({"robustness.experiments": ["zzz"]}, r"robustness\.experiments: unknown experiment 'zzz'"),
        ({f"{LOW}.view": "crop_lo"}, r"experiments\.simple_cnn_low\.view: unknown view 'crop_lo'; did you mean crop_l"),
        (
            {f"{LOW}.view": "zzz"},
            r"simple_cnn_low\.view: unknown view 'zzz'; known: crop_high, crop_low, face_high, face_low",
        ),
        ({f"{LOW}.view": GONE}, r"experiments\.simple_cnn_low\.view: give the name of a view \(see `views`\)"),
        ({f"{LOW}.view": {"geometry": "crop"}}, r"experiments\.simple_cnn_low\.view: give the name of a view"),
        ({f"{LOW}.augmentation": "ful"}, r"experiments\.simple_cnn_low\.augmentation: unknown policy 'ful'; .* full\?"),
        ({f"{LOW}.augmentation": GONE}, r"experiments\.simple_cnn_low\.augmentation: give the name of a policy"),
        ({f"{LOW}.augmentation": None}, r"experiments\.simple_cnn_low\.augmentation: give the name of a policy"),
        ({f"{LOW}.model": GONE}, r"experiments\.simple_cnn_low\.model: give the name of a model"),
        ({"custom.view": "crop"}, r"custom\.view: unknown view 'crop'; did you mean crop_"),
        ({"custom.augmentation": "hard"}, r"custom\.augmentation: unknown policy 'hard'; known: full, light, none"),
        ({"views": {}}, r"view: unknown view 'crop_low'"),
        ({"experiments.custom": {"model": "resnet18"}}, r"experiments\.custom: the name is taken"),
        ({f"{LOW}.optimizer": {"lrr": 1}}, rf"{LOW}\.optimizer\.lrr: unknown key; did you mean optimizer\.lr\?"),
        ({f"{LOW}.optimizer": {"lr": 0}}, rf"{LOW}\.optimizer\.lr: "),
        ({f"{LOW}.optimizer": None}, rf"{LOW}\.optimizer: "),
        ({f"{LOW}.normalization": "batch"}, rf"{LOW}\.normalization: input should be 'imagenet' or 'real_training'"),
        ({f"{LOW}.normalization": {"mean": [0.5] * 3}}, rf"{LOW}\.normalization: "),
        ({f"{LOW}.zzz": 1}, rf"{LOW}\.zzz: unknown key$"),
        ({f"{LOW}.resolution": "high"}, rf"{LOW}\.resolution: unknown key"),
        ({f"{LOW}.fractoin": "all"}, rf"{LOW}\.fractoin: unknown key; did you mean fraction\?"),
        # the test set is common to all experiments: an own test_ratio would be ignored
        ({f"{LOW}.test_ratio": 0.3}, rf"{LOW}\.test_ratio: all experiments share one test set"),
        # what `params.load` finds is found here too
        ({"preset": "quik"}, r"preset: unknown preset 'quik'; did you mean quick\?"),
    ],
)
def test_a_wrong_name_is_told_by_its_path_and_its_file(edited, tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        edited(changes)
    assert str(caught.value).startswith(f"{tmp_path / 'params.yaml'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [("resnet81_low", "did you mean resnet18_low"), ("custm", r"did you mean custom\?")],
)
def test_an_unknown_experiment_is_answered_with_the_nearest(edited, asked, message):
    with pytest.raises(InputError, match=rf"^experiments: unknown experiment '{asked}'; {message}"):
        config.resolve(edited(), asked)


def test_an_unknown_view_is_answered_with_the_nearest(edited):
    with pytest.raises(InputError, match=r"^views: unknown view 'letterbox_lwo'; did you mean letterbox_low"):
        config.resolve_view(edited(), "letterbox_lwo")


def test_exponents_as_people_write_them_are_numbers(tmp_path):
    # PyYAML reads 3e-4 (no point) as a string
    file = tmp_path / "params.yaml"
    file.write_text(re.sub(r"\blr: \S+", "lr: 3e-4", COMMITTED.read_text("utf-8")))
    settings = config.load(file)
    assert config.resolve(settings, "custom").lr == pytest.approx(3e-4 * settings.presets[settings.preset].lr_scale)


# --- resolving


def differences(a: config.RunConfig, b: config.RunConfig) -> set[str]:
    """Return the dotted keys in which two runs differ, except those inside a policy or statistics."""
    first, second = ({f"view.{k}": v for k, v in run.view.model_dump().items()} | dict(run) for run in (a, b))
    return {key for key in first if first[key] != second[key]} - {"view"}


@pytest.mark.parametrize(
    ("overlay", "key", "value"),
    [
        ({"optimizer": {"lr": 2e-4}}, "lr", 2e-3),
        ({"optimizer": {"weight_decay": 0.5}}, "weight_decay", 0.5),
        ({"batch_size": 8}, "batch_size", 8),
        ({"seed": 7}, "seed", 7),
        ({"early_stopping_patience": 2}, "early_stopping_patience", 2),
        ({"sampler": "weighted"}, "sampler", "weighted"),
        ({"grad_clip": 1.5}, "grad_clip", 1.5),
        ({"precision": "fp32"}, "precision", "fp32"),
        ({"num_workers": 2}, "num_workers", 2),
        ({"fraction": "all"}, "fraction", 1.0),
        ({"normalization": "real_training"}, "normalization", None),
        ({"holdout": "text2img"}, "holdout", "text2img"),
    ],
)
def test_an_overlay_changes_its_key_and_nothing_else(edited, overlay, key, value):
    plain = {"model": "simple_cnn", "view": "crop_low", "augmentation": "none"}
    chosen = edited({"experiments.other": plain | overlay})
    first, other = config.resolve(chosen, "simple_cnn_low"), config.resolve(chosen, "other")
    assert differences(first, other) == {"experiment", key}
    assert getattr(other, key) == (pytest.approx(value) if isinstance(value, float) else value)
    assert chosen.shared == edited().shared


VIEWED = {"view.view", "view.face_margin"}


@pytest.mark.parametrize(
    ("before", "change", "expected"),
    [
        ({}, {"model": "resnet18"}, {"model"}),
        ({}, {"custom.view": "crop_high"}, {"view.view", "view.size"}),
        ({}, {"custom.view": "letterbox_low"}, {"view.view", "view.geometry"}),
        ({}, {"custom.view": "face_low"}, VIEWED),
        ({}, {"custom.augmentation": "light"}, {"augmentation", "oversampling"}),
        ({}, {"custom.augmentation": "full"}, {"augmentation", "oversampling"}),
        ({"custom.augmentation": "light"}, {"custom.augmentation": "full"}, {"augmentation"}),
        ({}, {"custom.normalization": "real_training"}, {"normalization"}),
        ({}, {"custom.fraction": "all"}, {"fraction"}),
        ({}, {"presets.quick.loader": "torchvision"}, {"view.loader"}),
        ({}, {"presets.full.loader": "torchvision"}, set()),
        ({}, {"shared.monitor": "f1"}, {"monitor"}),
        ({}, {"shared.seed": 1}, {"seed"}),
        ({}, {"shared.optimizer.lr": 1.0}, {"lr"}),
        ({}, {"preset": "full"}, {"preset", "folds", "val_ratio", "epochs", "lr", "fraction", "view.size"}),
        # nobody has pretrained SimpleCNN
        ({}, {"custom.pretrained": True}, set()),
        ({"model": "resnet18"}, {"custom.pretrained": True}, {"pretrained"}),
        ({"model": "resnet18"}, {"presets.quick.pretrained": True}, {"pretrained"}),
        ({"model": "resnet18", "custom.pretrained": False}, {"presets.quick.pretrained": True}, set()),
        ({}, {"shared.holdout": "insight"}, {"holdout"}),
        # the custom run has these of its own
        ({}, {"shared.normalization": "real_training"}, set()),
        ({}, {"shared.fraction": "all"}, set()),
        # what decides nothing while it is not used, and something when it is
        ({}, {"cache.oversampling": 1.5}, set()),
        ({"custom.augmentation": "light"}, {"cache.oversampling": 1.5}, {"oversampling"}),
        ({}, {"faces.margin": 0.5}, set()),
        ({"custom.view": "face_low"}, {"faces.margin": 0.5}, {"view.face_margin"}),
        ({}, {"faces.confidence": 0.5}, set()),
        ({"custom.view": "face_low"}, {"faces.confidence": 0.5}, set()),
        ({}, {"imagenet.mean": [0.5, 0.5, 0.5]}, {"normalization"}),
        ({"custom.normalization": "real_training"}, {"imagenet.mean": [0.5, 0.5, 0.5]}, set()),
        ({}, {"augmentations.full.flip": 0.1}, set()),
        ({"custom.augmentation": "full"}, {"augmentations.full.flip": 0.1}, {"augmentation"}),
        ({}, {"augmentations.none.flip": 0.1}, {"augmentation", "oversampling"}),
        ({}, {"presets.quick.resolution.low": 40}, {"view.size"}),
        ({}, {"presets.quick.resolution.high": 80}, set()),
        ({}, {"presets.full.epochs.short": 99}, set()),
        ({}, {"experiments.simple_cnn_low.sampler": "weighted"}, set()),
    ],
    ids=str,
)
def test_a_condition_is_switched_by_params_alone(edited, before, change, expected):
    first, second = (config.resolve(edited(changes), "custom") for changes in (before, before | change))
    assert differences(first, second) == expected


def test_values_that_are_switched_arrive(edited):
    settings = edited(
        {
            "custom": CUSTOM | {"view": "face_low", "fraction": "medium", "augmentation": "full"},
            "model": "convnext_tiny",
            "presets.quick.loader": "torchvision",
        }
    )
    run = config.resolve(settings, "custom")
    assert run.view.model_dump() == {
        "dataset": settings.dataset,
        "view": "face_low",
        "geometry": "crop",
        "face_margin": 0.3,
        "size": 48,
        "loader": "torchvision",
    }
    assert (run.model, run.fraction, run.resolution, run.oversampling) == ("convnext_tiny", 0.75, 48, 1.25)
    assert run.augmentation == settings.augmentations["full"]
    assert run.normalization == settings.imagenet


def test_a_policy_that_changes_nothing_is_no_augmentation_by_whatever_name(edited):
    idle = VALUES["augmentations"]["none"] | {"blur": {"probability": 0.0, "sigma": {"min": 3.0, "max": 4.0}}}
    settings = edited({"augmentations.idle": idle, f"{LOW}.augmentation": "idle"})
    run = config.resolve(settings, "simple_cnn_low")
    assert (run.augmentation, run.oversampling) == (None, None)


def test_the_preset_scales_the_learning_rate(edited):
    assert config.resolve(edited({"presets.quick.lr_scale": 2.5}), "simple_cnn_low").lr == pytest.approx(2.5e-4)
    assert config.resolve(edited({"preset": "full"}), "simple_cnn_low").lr == 1e-4


def test_a_resolved_run_is_frozen_and_is_read_back_from_its_file(edited):
    for changes in ({}, {"custom.augmentation": "full", "custom.normalization": "real_training"}):
        run = config.resolve(edited(changes), "custom")
        assert config.RunConfig.model_validate_json(run.model_dump_json()) == run
        with pytest.raises(ValidationError, match="frozen"):
            run.seed = 1


@pytest.mark.parametrize("schema", [config.RunConfig, config.ViewConfig, config.Decision, config.Gate])
def test_no_value_has_a_default_in_python(schema):
    assert all(field.is_required() for field in schema.model_fields.values())
    assert schema.model_config["extra"] == "forbid"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3", "not the configuration of a run"),
        ("[1, 2]", "not the configuration of a run"),
        ("{}", "was skipped by the study"),
        ('{"folds": "4"}', 'folds is "4"'),
        ('{"folds": 0}', "folds is 0"),
    ],
)
def test_what_a_run_says_of_itself_is_told_when_it_is_damaged(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    tables.write_text(text, layout.config("run"))
    with pytest.raises(InputError) as error:
        config.facts_of("run")
    assert f"{layout.config('run')}: " in str(error.value)
    assert words in str(error.value)


def test_a_configuration_counts_under_its_own_name_alone(edited, tmp_path, monkeypatch):
    run = config.resolve(edited({}), "simple_cnn_low")
    monkeypatch.chdir(tmp_path)
    for name in ("simple_cnn_low", "copy"):
        tables.write_text(run.model_dump_json(), layout.config(name))
    assert config.config_of("simple_cnn_low") == run
    with pytest.raises(InputError, match="that of simple_cnn_low, copied or renamed"):
        config.config_of("copy")
