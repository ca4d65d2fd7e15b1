"""What runs come to: values that decide them and nothing else, and names that must refer to something."""

import re
import sys
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from conftest import GONE, ROOT, changed
from deepfake import config, tables
from deepfake.config import params
from deepfake.datasets import catalog
from deepfake.errors import InputError
from deepfake.project import paths

VALUES = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
FIXED = yaml.safe_load("""
model: simple_cnn
dataset: sample
preset: quick
custom: {view: crop_low, fraction: small, augmentation: none, normalization: imagenet, pretrained: null, train: null}
presets.quick.folds: 3
presets.quick.val_ratio: 0.2
presets.quick.repeats: 2
presets.quick.epochs: {short: 4, base: 6, long: 12}
presets.quick.lr: {base: 0.001, low: 0.0003}
presets.quick.loader: dali
presets.quick.pretrained: false
presets.quick.top: 2
presets.quick.resolution: {low: 48, high: 64}
presets.quick.fraction: {small: 0.5, medium: 0.75, all: 1.0}
presets.quick.roles: {backbone: {model: mobilenetv2_100, train: head}}
presets.full.roles: {backbone: {model: resnet18, train: all}}
presets.full.top: 2
cache.oversampling: 1.25
faces.margin: 0.3
views:
  crop_low: {geometry: crop, face_crop: false, resolution: low}
  crop_high: {geometry: crop, face_crop: false, resolution: high}
  face_low: {geometry: crop, face_crop: true, resolution: low}
  face_high: {geometry: crop, face_crop: true, resolution: high}
  letterbox_low: {geometry: letterbox, face_crop: false, resolution: low}
studies:
  custom: {contrasts: {custom: {custom: plain}}}
  phase1:
    base: {view: crop_low, optimizer: {weight_decay: 0.5}}
    runs:
      plain: {model: simple_cnn}
      deep: {model: resnet18, optimizer: {lr: 0.002}}
      wide: {model: resnet18, view: crop_high, optimizer: {weight_decay: 0.25}}
    baselines: [plain, deep]
  phase2:
    base: {view: crop_high}
    runs:
      high: {model: resnet18}
      again: {kind: re-evaluated, of: high, view: letterbox_low}
    contrasts: {phase2b: {high: deep}, both: {high: [plain, deep]}}
  phase3:
    base: {view: best, augmentation: best}
    runs:
      first: {model: simple_cnn}
      large: {model: resnet50, presets: [full]}
      second: {model: resnet34, epochs: 7}
      guest: {model: resnet18, pretrained: true, ranked: false}
    baselines: [large, first]
  phase4: {fractions: [medium, all]}
  imbalance:
    ratio: 9.0
    thresholds: [0.5]
    base: {view: crop_low, loss: {type: focal, gamma: 3.0}}
    runs: {focal: {model: simple_cnn}, uneven: {model: simple_cnn, class_ratio: imbalanced}}
    detail: [focal]
  generalization:
    datasets: [other]
    union: [other]
    base: {view: crop_low}
    runs:
      home: {model: resnet18}
      joined: {model: resnet18, dataset: union}
      tuned: {kind: fine-tuned, start_from: home, model: resnet18, dataset: other}
      together: {kind: ensemble, members: [home, deep], weights: mean}
  shortcuts: {severity: {weak: 0.6, moderate: 0.7, severe: 0.9}, views: [crop_low], runs: [plain], caliper: 0.2}
  robustness: {runs: [plain], corruptions: {}}
""")
"""Values that tests name, whatever the committed study has; all others are the committed ones."""
RUNS = "studies.phase1.runs"


@pytest.fixture
def edited(tmp_path):
    """Give a function that loads the committed file with the fixed values, and some of these changed."""

    def load(changes: dict[str, Any] | None = None, values: dict | None = None) -> params.Params:
        file = tmp_path / "params.yaml"
        values = values or changed(VALUES, FIXED)
        file.write_text(yaml.safe_dump(changed(values, changes or {}), sort_keys=False), encoding="utf-8")
        return config.load(file)

    return load


@pytest.fixture
def resolved(edited):
    """Give a function that resolves a run of the fixed values, and some of these changed."""
    return lambda name, changes=None: config.resolve(edited(changes), name)


DECIDED = config.Decision(resolution="high", face_crop=True, augmentation="full")


def trained(settings: params.Params) -> dict[str, config.RunConfig]:
    """Return all runs that are trained, resolved."""
    kinds = {name: entry.run.kind for name, entry in config.entries(settings).items()}
    names = [name for name, kind in kinds.items() if kind in ("trained", "fine-tuned")]
    return {name: config.resolve(settings, name, DECIDED) for name in names}


# --- the committed file


@pytest.mark.parametrize("preset", ["smoke", "quick", "full"])
def test_every_committed_run_resolves_under_every_preset_and_no_two_are_the_same(edited, preset):
    runs = trained(edited({"preset": preset}, VALUES))
    assert {run.preset for run in runs.values()} == {preset}
    # all that decides numbers: neither the name, nor which study it belongs to
    alike = {}
    for name, run in runs.items():
        same = run.model_copy(update={"experiment": "", "study": ""})
        alike.setdefault(same.model_dump_json(), set()).add(name)
    # what phase 2 decides is one of its own runs, and the custom run is where the user starts from
    repeated = [names for names in alike.values() if len(names) > 1]
    assert all(names & {"custom", "simple_cnn_best", "backbone_best"} for names in repeated), repeated


def test_the_committed_data_sets_are_in_the_catalog(edited):
    committed = edited({}, VALUES)
    known = catalog.load(ROOT / "data" / "catalog.yaml")
    assert {committed.dataset, *committed.studies.generalization.datasets} <= set(known)


@pytest.mark.parametrize("preset", ["smoke", "quick", "full"])
@pytest.mark.parametrize("typed", [3.0e-4, "3e-4"])
def test_the_learning_rate_that_is_typed_is_the_one_that_trains(edited, preset, typed):
    # PyYAML reads 3e-4 (no point) as a string
    runs = trained(edited({"preset": preset, "shared.optimizer.lr": typed}, VALUES))
    own = {"backbone_finetuned"}
    assert {run.lr for name, run in runs.items() if name not in own and run.train == "all"} == {0.0003}


# The design's numbers, from its text: model, pixels, face crop, augmentation, normalisation, held-out source.
DESIGN = {
    "simple_cnn_low": ("simple_cnn", 128, False, False, "imagenet", None),
    "backbone_low": ("resnet18", 128, False, False, "imagenet", None),
    "simple_cnn_high": ("simple_cnn", 224, False, False, "imagenet", None),
    "backbone_high": ("resnet18", 224, False, False, "imagenet", None),
    "backbone_resized": ("resnet18", 224, False, False, "imagenet", None),
    "backbone_real_stats": ("resnet18", 224, False, False, "real", None),
    "backbone_without_text2img": ("resnet18", 224, False, False, "imagenet", "text2img"),
    "backbone_without_inpainting": ("resnet18", 224, False, False, "imagenet", "inpainting"),
    "backbone_without_insight": ("resnet18", 224, False, False, "imagenet", "insight"),
    "simple_cnn_face": ("simple_cnn", 224, True, False, "imagenet", None),
    "backbone_face": ("resnet18", 224, True, False, "imagenet", None),
    "simple_cnn_augmented": ("simple_cnn", 224, False, True, "imagenet", None),
    "backbone_augmented": ("resnet18", 224, False, True, "imagenet", None),
    "simple_cnn_face_augmented": ("simple_cnn", 224, True, True, "imagenet", None),
    "backbone_face_augmented": ("resnet18", 224, True, True, "imagenet", None),
}
CANDIDATES = {"resnet34", "resnet50", "efficientnet_b0", "convnext_tiny", "mobilenetv3_small_100"}
"""What phase 3 adds to the two baselines."""
COMMON = {
    "seed": 42,
    "val_ratio": 0.1,
    "batch_size": 32,
    "lr": 1e-4,
    "weight_decay": 1e-4,
    "epochs": 15,
    "early_stopping_patience": 5,
    "folds": 5,
    "repeats": 1,
    "train": "all",
    "monitor": "auc",
    "sampler": "shuffle",
    "class_ratio": None,
}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.fixture
def full(edited) -> params.Params:
    return edited({"preset": "full"}, VALUES)


def test_the_full_preset_is_the_design_in_phases_1_and_2(full):
    runs = {name: run for name, run in trained(full).items() if run.study in ("phase1", "phase2")}
    assert set(runs) == set(DESIGN)
    assert full.presets["full"].test_ratio == 0.1
    for name, (model, pixels, face, augmented, normalization, holdout) in DESIGN.items():
        run = runs[name]
        values = run.model_dump()
        assert {key: values[key] for key in COMMON} == COMMON
        assert (run.loss.type, run.loss.label_smoothing, run.domain.column) == ("bce", 0, "none")
        assert (run.model, run.resolution, run.fraction, run.holdout) == (model, pixels, 0.2, holdout)
        geometry = "resize" if name == "backbone_resized" else "crop"  # what a crop is compared with
        assert (run.view.geometry, run.view.face_margin is not None) == (geometry, face)
        assert (run.augmentation is not None) == augmented
        assert values["normalization"] == (IMAGENET if normalization == "imagenet" else None)
        assert run.pretrained == (model != "simple_cnn")
    # the letterboxed reals are seen by the checkpoints of the same resolution
    again = full.studies.phase2.runs["backbone_reals_letterboxed"]
    view = config.resolve_view(full, again.view)
    assert (again.of, view.geometry, view.size) == ("backbone_high", "letterbox_real", 224)


def test_the_full_preset_is_the_design_in_phases_3_and_4(full):
    candidates = config.candidates(full)
    runs = trained(full)
    ranked = {runs[name].model for name, run in candidates.items() if run.ranked}
    assert ranked == {"simple_cnn", "resnet18"} | CANDIDATES
    assert full.presets["full"].top in (3, 4)
    for name in candidates:
        for suffix, fraction in (("", 0.2), ("_medium", 0.5), ("_all", 1.0)):
            run = runs[f"{name}{suffix}"]
            values = run.model_dump()
            assert {key: values[key] for key in COMMON} == COMMON
            assert (run.model, run.fraction) == (runs[name].model, fraction)
            assert (run.resolution, run.view.view) == (224, "face_high")
            assert run.augmentation == full.augmentations["full"]


BALANCE = {
    "balance_bce": {},
    "balance_pos_weight": {"loss": "bce_pos_weight"},
    "balance_focal": {"loss": "focal"},
    "balance_sampler": {"sampler": "weighted"},
    "balance_focal_sampler": {"loss": "focal", "sampler": "weighted"},
    "balance_by_f1": {"monitor": "f1_macro"},
    "balance_domains": {"domain": "source"},
}
"""What each run of the study of class imbalance changes."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shared.loss": {"type": "focal", "gamma": 2.0, "minority_alpha": 0.75, "label_smoothing": 0.0}},
        {"shared.loss.label_smoothing": 0.1},
        {"shared.sampler": "weighted"},
        {"shared.monitor": "f1_macro"},
        {"shared.domain.column": "source"},
    ],
    ids=str,
)
def test_the_study_of_imbalance_varies_one_thing_at_a_time_whatever_is_shared(edited, changes):
    """As `dvc exp run -S` changes what is shared; the custom run follows. Frozen backbones refuse some of it."""
    runs = trained(edited({"preset": "full"} | changes, VALUES))
    assert {name for name, run in runs.items() if run.study == "imbalance"} == set(BALANCE)
    usual = {"loss": "bce", "sampler": "shuffle", "monitor": "auc", "domain": "none"}
    for name, own in BALANCE.items():
        run = runs[name]
        found = {"loss": run.loss.type, "sampler": run.sampler, "monitor": run.monitor, "domain": run.domain.column}
        assert found == usual | own
        assert (run.class_ratio, run.fraction, run.model) == (9, 1, "resnet18")
        # values that are not in force are neutral
        assert (run.loss.gamma, run.loss.minority_alpha) == ((2, 0.75) if run.loss.type == "focal" else (0, 0.5))
    custom = config.resolve(edited({"preset": "full"}, VALUES), "custom")
    assert (runs["custom"] == custom) == (not changes)


def test_the_committed_comparison_trains_the_same_detector_on_other_data(full):
    """The design's question: architecture or data?"""
    runs = trained(full)
    names = ("second_in_domain", "backbone_in_domain", "second_combined")
    in_domain, other, combined = (runs[name] for name in names)
    assert differences(in_domain, combined) == {"experiment", "dataset", "view.dataset", "sampler"}
    assert differences(in_domain, other) == {"experiment", "model", "pretrained"}


# --- runs and the tables that compare them


def test_a_study_s_base_lies_under_its_trained_runs_however_deep(edited):
    runs = trained(edited())
    assert {name: (runs[name].view.view, runs[name].lr, runs[name].weight_decay) for name in ("plain", "deep")} == {
        "plain": ("crop_low", 0.001, 0.5),
        "deep": ("crop_low", 0.002, 0.5),
    }
    assert (runs["wide"].view.view, runs["wide"].weight_decay) == ("crop_high", 0.25)
    assert (runs["tuned"].view.view, runs["focal"].loss.gamma) == ("crop_low", 3.0)
    # what is shared counts where neither says anything
    assert runs["focal"].loss.minority_alpha == VALUES["shared"]["loss"]["minority_alpha"]
    assert runs["custom"].weight_decay == VALUES["shared"]["optimizer"]["weight_decay"]


def test_what_is_not_trained_has_nothing_of_the_base(edited):
    runs = {name: entry.run for name, entry in config.entries(edited()).items()}
    assert runs["again"].model_dump() == {"presets": (), "kind": "re-evaluated", "of": "high", "view": "letterbox_low"}
    together = {"presets": (), "kind": "ensemble", "members": ("home", "deep"), "weights": "mean"}
    assert runs["together"].model_dump() == together


def test_only_what_is_trained_can_be_resolved(edited):
    settings = edited()
    for name, kind in (("again", "re-evaluated"), ("together", "ensemble")):
        with pytest.raises(InputError, match=rf"^studies\.\w+\.runs\.{name}: {kind}, it is not trained"):
            config.resolve(settings, name)


def test_runs_on_other_data_are_resolved_with_that_data(resolved):
    home, joined, tuned = (resolved(name, {"presets.quick.pretrained": True}) for name in ("home", "joined", "tuned"))
    assert (home.dataset, home.view.dataset, home.start_from, home.pretrained) == ("sample", "sample", None, True)
    assert (joined.dataset, joined.view.dataset, joined.pretrained) == ("union", "union", True)
    # what goes on from trained weights has no use for ImageNet's
    assert (tuned.dataset, tuned.view.dataset, tuned.start_from, tuned.pretrained) == ("other", "other", "home", False)


def test_a_run_may_belong_to_some_presets(edited):
    assert "large" not in config.entries(edited())
    settings = edited({"preset": "full"})
    assert {"large", "large_medium", "large_all"} <= set(config.entries(settings))
    assert config.table(settings, "phase3")["second"] == ("large", "first")


def test_phase_4_has_every_run_of_phase_3_on_each_of_its_shares(edited):
    settings = edited({"studies.phase4.fractions": ["medium", 0.8, "all"]})
    entries = config.entries(settings)
    found = {name: entry.run for name, entry in entries.items() if entry.study == "phase4"}
    shares = {"medium": 0.75, "0.8": 0.8, "all": 1.0}
    assert set(found) == {f"{name}_{share}" for name in ("first", "second", "guest") for share in shares}
    assert config.shares(settings) == ["small", "medium", 0.8, "all"]
    for share, size in shares.items():
        scaled, own = (config.resolve(settings, name, DECIDED) for name in (f"second_{share}", "second"))
        assert differences(scaled, own) == {"experiment", "study", "fraction"}
        assert (scaled.fraction, scaled.epochs) == (size, 7)


def test_baselines_of_a_study_test_every_run_against_those_before_it(edited):
    settings = edited()
    assert config.table(settings, "phase1") == {"plain": (), "deep": ("plain",), "wide": ("plain", "deep")}
    # large is no run of this preset
    assert config.table(settings, "phase3") == {"first": (), "second": ("first",), "guest": ("first",)}


def test_contrasts_name_one_baseline_or_several_also_of_other_studies(edited):
    settings = edited()
    assert config.table(settings, "phase2b") == {"deep": (), "high": ("deep",)}
    assert config.table(settings, "both") == {"plain": (), "deep": (), "high": ("plain", "deep")}
    assert config.table(settings, "custom") == {"plain": (), "custom": ("plain",)}
    with pytest.raises(InputError, match=r"^studies: no table of contrasts is called phase2; add it to the contrasts"):
        config.table(settings, "phase2")


def test_a_contrast_counts_in_the_presets_that_have_both_of_its_runs(edited):
    changes = {f"{PHASE2}.contrasts.both": {"large": "deep", "high": ["large", "plain"]}}
    assert config.table(edited(changes), "both") == {"plain": (), "high": ("plain",)}
    here = config.table(edited(changes | {"preset": "full"}), "both")
    assert here == {"deep": (), "large": ("deep",), "plain": (), "high": ("large", "plain")}


# --- roles and repeats


def test_a_role_is_what_the_preset_says(edited):
    changes = {f"{RUNS}.cast": {"model": "backbone"}}
    quick, full = (config.resolve(edited(changes | {"preset": preset}), "cast") for preset in ("quick", "full"))
    assert (quick.model, quick.train, quick.pretrained) == ("mobilenetv2_100", "head", True)
    assert quick.probe is not None
    assert (full.model, full.train, full.probe) == ("resnet18", "all", None)
    # what a run says itself counts
    changes[f"{RUNS}.cast"]["train"] = "all"
    own = config.resolve(edited(changes), "cast")
    assert (own.model, own.train, own.probe) == ("mobilenetv2_100", "all", None)


def test_a_run_is_repeated_as_often_as_its_preset_says_or_less(edited):
    settings = edited({f"{RUNS}.once": {"model": "simple_cnn", "repeats": 1}})
    plain, once = (config.resolve(settings, name) for name in ("plain", "once"))
    assert (plain.folds, plain.repeats, plain.trainings) == (3, 2, 6)
    assert (once.folds, once.repeats, once.trainings) == (3, 1, 3)


# --- what phase 2 decides


@pytest.mark.parametrize(
    ("decision", "view"),
    [
        (("low", False, "none"), "crop_low"),
        (("high", False, "none"), "crop_high"),
        (("low", True, "full"), "face_low"),
        (("high", True, "light"), "face_high"),
    ],
)
def test_the_best_is_what_was_decided(edited, decision, view):
    settings = edited()
    resolution, face_crop, augmentation = decision
    chosen = config.Decision(resolution=resolution, face_crop=face_crop, augmentation=augmentation)
    for name in ("second", "second_medium"):
        run = config.resolve(settings, name, chosen)
        assert (run.model, run.view.view) == ("resnet34", view)
        assert run.augmentation == (settings.augmentations[augmentation] if augmentation != "none" else None)
    # the only one that says so itself
    assert (config.resolve(settings, "guest", chosen).pretrained, run.pretrained) == (True, False)


def test_before_anything_is_decided_the_best_says_what_to_run(resolved, tmp_path, monkeypatch):
    for name in ("second", "second_all"):
        with pytest.raises(InputError, match=rf"{name}: nothing has been decided yet; run deepfake phase2"):
            resolved(name)
    monkeypatch.chdir(tmp_path)
    for read, command in ((config.read_decision, "phase2"), (config.read_finalists, "phase3")):
        with pytest.raises(InputError, match=rf"decisions/{command}\.json: not found; run deepfake {command}"):
            read()


@pytest.mark.parametrize("text", ['{"resolution": "huge"}', "{}", "high", '{"runs": "all"}'])
def test_a_decision_that_was_changed_by_hand_is_refused(tmp_path, text):
    file = tmp_path / "changed.json"
    file.write_text(text)
    for read, command in ((config.read_decision, "phase2"), (config.read_finalists, "phase3")):
        with pytest.raises(InputError, match=rf"changed\.json: .*; run deepfake {command} again"):
            read(file)


def test_resolving_reads_no_file(edited, tmp_path, monkeypatch):
    settings = edited()
    monkeypatch.chdir(tmp_path / "..")
    opened: list[str] = []
    watched = [True]

    def watch(event: str, arguments: tuple) -> None:
        if watched and event in ("open", "os.listdir", "os.scandir", "glob.glob"):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)  # it cannot be taken away again
    try:
        runs = trained(settings)
    finally:
        watched.clear()
    assert len(runs) > 10 and not opened


# --- mistakes

TWO = {"kind": "ensemble", "weights": "mean"}
PHASE2 = "studies.phase2"
OTHERS = "studies.generalization"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        # a run's own keys, of each kind
        (f"{RUNS}.x", {}, ".model: this key is missing"),
        (f"{RUNS}.ensemble", {}, ".model: this key is missing"),
        ("studies.phase1.base.view", GONE, f"{RUNS}.plain.view: this key is missing (and 1 more)"),
        (f"{RUNS}.x", {"kind": "trainde"}, ".kind: unknown kind 'trainde'; did you mean trained?"),
        (f"{RUNS}.x", {"kind": None}, ".kind: unknown kind 'None'; known: ensemble, fine-tuned, re-evaluated, trained"),
        (f"{RUNS}.x", {"kind": "fine-tuned", "model": "a"}, ".start_from: this key is missing"),
        (f"{RUNS}.x", {"model": "a", "start_from": "deep"}, ".start_from: unknown key"),
        (f"{RUNS}.x", {"kind": "re-evaluated", "of": "deep"}, ".view: this key is missing"),
        (f"{RUNS}.x", {"kind": "re-evaluated", "off": "deep"}, f".off: unknown key; did you mean {RUNS}.<name>.of?"),
        (f"{RUNS}.x", TWO | {"members": ["deep"]}, ".members: tuple should have at least 2 items"),
        (f"{RUNS}.x", TWO | {"members": ["deep", "deep"]}, ".members: deep stands there more than once"),
        (f"{RUNS}.x", TWO | {"members": ["deep", "plain"], "model": "a"}, ".model: unknown key"),
        # what it overrides
        (f"{RUNS}.plain.epochz", 3, ": unknown key; did you mean epochs?"),
        (f"{RUNS}.plain.trained", 3, ": unknown key"),
        (f"{RUNS}.plain.epochs", "medium", ": input should be 'short', 'base' or 'long', or a valid integer"),
        (f"{RUNS}.plain.repeats", 0, ": input should be greater than or equal to 1"),
        (f"{RUNS}.plain.repeats", 3, ": 3, but presets.quick has 2; raise that one"),
        (f"{RUNS}.plain.train", "head", ": head needs a pretrained trunk; choose a timm backbone, or train: all"),
        ("custom.train", "head", ": head needs a pretrained trunk; choose a timm backbone, or train: all"),
        ("presets.quick.repeats", 0, ": input should be greater than or equal to 1"),
        ("presets.quick.loader", "torchvision", ": torchvision is no loader any more; use opencv on a CPU, or dali on"),
        ("presets.quick.loader", "pil", ": input should be 'dali' or 'opencv'"),
        ("presets.quick.roles", {"x": {"model": "resnet18"}}, ".x.train: this key is missing"),
        (f"{RUNS}.plain.optimizer", {"lr": 0}, ".lr: input should be 'base' or 'low', or greater than 0"),
        (f"{RUNS}.plain.optimizer", {"lrr": 1}, ".lrr: unknown key; did you mean optimizer.lr?"),
        (f"{RUNS}.plain.optimizer", None, ": input should be a valid dictionary"),
        (f"{RUNS}.plain.test_ratio", 0.3, ": all runs share one test set; change presets.quick.test_ratio"),
        ("studies.phase1.base.kind", "ensemble", "studies.phase1.base: a kind is each run's own"),
        # names of runs and tables
        (f"{RUNS}.a/b", {"model": "a"}, f"{RUNS}: 'a/b' cannot name a run's folder"),
        (f"{RUNS}.custom", {"model": "a"}, ": custom has a run of this name"),
        (f"{RUNS}.high", {"model": "a"}, f"{PHASE2}.runs.high: phase1 has a run of this name"),
        (f"{PHASE2}.runs.deep", {"model": "resnet18", "view": "crop_low"}, ": phase1 has a run of this name"),
        (f"{RUNS}.second_all", {"model": "a"}, "studies.phase4.runs.second_all: phase1 has a run of this name"),
        (RUNS, {}, ": a study without runs; name at least one"),
        (RUNS, GONE, ": this key is missing"),
        (f"{PHASE2}.contrasts.phase1", {"high": "deep"}, ": phase1 has a table called phase1"),
        ("studies.phase3.contrasts", {"both": {"first": "plain"}}, ".both: phase2 has a table called both"),
        # what refers to runs
        (f"{PHASE2}.contrasts.both", {"hgih": "deep"}, ": unknown run 'hgih'; did you mean high?"),
        (f"{PHASE2}.contrasts.both.high", "depe", ": unknown run 'depe'; did you mean deep?"),
        (f"{PHASE2}.contrasts.both.high", "high", ": it is its own baseline; name another run"),
        (f"{PHASE2}.contrasts.both.high", ["deep", "high"], ": it is its own baseline"),
        ("studies.phase1.baselines", ["plian"], ": unknown run 'plian'; did you mean plain?"),
        ("studies.phase1.baselines", ["high"], ": unknown run 'high'; known: deep, plain, wide"),
        (f"{RUNS}.plain.presets", ["ful"], ": unknown preset 'ful'; did you mean full?"),
        (f"{RUNS}.x", TWO | {"members": ["deep", "plian"]}, ".members: unknown run 'plian'; did you mean plain?"),
        (f"{RUNS}.x", TWO | {"members": ["deep", "together"]}, ".members: unknown run 'together'"),
        (f"{PHASE2}.runs.again.of", "hihg", ": unknown run 'hihg'; did you mean high?"),
        (f"{PHASE2}.runs.again.of", "together", ": unknown run 'together'"),
        (f"{OTHERS}.runs.tuned.start_from", "hoem", ": unknown run 'hoem'; did you mean home?"),
        (f"{OTHERS}.runs.tuned.start_from", "tuned", ": unknown run 'tuned'"),
        (f"{OTHERS}.runs.tuned.start_from", "first", ": unknown run 'first'"),
        ("studies.shortcuts.runs", ["plian"], ": unknown run 'plian'; did you mean plain?"),
        ("studies.shortcuts.runs", ["again"], ": unknown run 'again'"),
        ("studies.robustness.runs", ["together"], ": unknown run 'together'"),
        ("studies.imbalance.detail", ["plain"], ": unknown run 'plain'; known: focal, uneven"),
        # what refers to the rest of the file
        (f"{RUNS}.plain.view", "crop_lo", ": unknown view 'crop_lo'; did you mean crop_low"),
        (f"{RUNS}.plain.view", "best", ": best is for runs of phase 3"),
        (f"{RUNS}.plain.augmentation", "ful", ": unknown policy 'ful'; did you mean full?"),
        ("custom.view", "crop_lo", ": unknown view 'crop_lo'"),
        ("custom.augmentation", "best", ": best is for runs of phase 3"),
        ("custom.augmentation", "hard", ": unknown policy 'hard'; known: full, light, none"),
        (f"{PHASE2}.runs.again.view", "letterbox", ": unknown view 'letterbox'; did you mean letterbox_low?"),
        ("studies.shortcuts.views", ["crop_lo"], ": unknown view 'crop_lo'; did you mean crop_low"),
        ("augmentations.best", {}, ": the word for what phase 2 decides; choose another name"),
        ("views.face_high", GONE, "views: none with geometry: crop, resolution: high and face_crop: true"),
        (f"{RUNS}.plain.dataset", "mine", ": unknown data set 'mine'; known: other, sample, union"),
        (f"{OTHERS}.datasets", ["sample", "other"], ": sample is the study's own data set; name others"),
        (f"{OTHERS}.datasets", ["other", "other"], ": other stands there more than once"),
        (f"{OTHERS}.union", ["mine"], f"{OTHERS}: union: mine must stand in datasets, too"),
        # phases 3 and 4
        ("presets.quick.top", 3, ": 3, but only 2 runs of phase 3 are ranked"),
        ("studies.phase4.fractions", ["small"], ": small is the share of phase 3's own runs"),
        ("studies.phase4.fractions", ["all", "all"], ": all stands there more than once"),
        ("studies.phase4.fractions", ["all", "medium"], ": small (0.5), all (1.0), medium (0.75) must not decrease"),
        # what `params.load` finds is found here, too
        ("preset", "quik", ": unknown preset 'quik'; did you mean quick?"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_that_names_its_file_and_path(edited, tmp_path, path, value, message):
    with pytest.raises(InputError) as caught:
        edited({path: value})
    said = str(caught.value).removeprefix(f"{tmp_path / 'params.yaml'}: ")
    assert said.startswith(f"{path}{message}" if message[0] in ".:" else message)
    assert not re.search(r"\n|tag|literal\[", said)


def test_an_unknown_name_is_answered_with_the_nearest(edited):
    settings = edited()
    with pytest.raises(InputError, match=r"^studies: unknown run 'plian'; did you mean plain\?"):
        config.resolve(settings, "plian")
    with pytest.raises(InputError, match=r"^views: unknown view 'letterbox_lwo'; did you mean letterbox_low"):
        config.resolve_view(settings, "letterbox_lwo")


# --- resolving


def differences(a: config.RunConfig, b: config.RunConfig) -> set[str]:
    """Return the dotted keys in which two runs differ, except those inside a policy or statistics."""
    first, second = ({f"view.{k}": v for k, v in run.view.model_dump().items()} | dict(run) for run in (a, b))
    return {key for key in first if first[key] != second[key]} - {"view"}


@pytest.mark.parametrize(
    ("overlay", "key", "value"),
    [
        ({"optimizer": {"lr": 2e-4}}, "lr", 2e-4),
        ({"optimizer": {"lr": "low"}}, "lr", 3e-4),
        ({"optimizer": {"weight_decay": 0.7}}, "weight_decay", 0.7),
        ({"epochs": "long"}, "epochs", 12),
        ({"epochs": "short"}, "epochs", 4),
        ({"repeats": 1}, "repeats", 1),
        ({"epochs": 30}, "epochs", 30),
        ({"fraction": "all"}, "fraction", 1.0),
        ({"fraction": 0.37}, "fraction", 0.37),
        ({"batch_size": 8}, "batch_size", 8),
        ({"seed": 7}, "seed", 7),
        ({"early_stopping_patience": 2}, "early_stopping_patience", 2),
        ({"sampler": "weighted"}, "sampler", "weighted"),
        ({"class_ratio": "imbalanced"}, "class_ratio", 9.0),
        ({"grad_clip": 1.5}, "grad_clip", 1.5),
        ({"precision": "fp32"}, "precision", "fp32"),
        ({"num_workers": 2}, "num_workers", 2),
        ({"normalization": "real_training"}, "normalization", None),
        ({"holdout": "text2img"}, "holdout", "text2img"),
    ],
    ids=str,
)
def test_what_a_run_says_itself_changes_its_key_and_nothing_else(edited, overlay, key, value):
    settings = edited({f"{RUNS}.other": {"model": "simple_cnn"} | overlay})
    plain, other = config.resolve(settings, "plain"), config.resolve(settings, "other")
    assert differences(plain, other) == {"experiment", key}
    assert getattr(other, key) == value
    assert settings.shared == edited().shared


OF_PRESET = {"preset", "folds", "repeats", "val_ratio", "view.size"}


@pytest.mark.parametrize(
    ("before", "change", "expected"),
    [
        ({}, {"model": "resnet18"}, {"model"}),
        ({}, {"custom.view": "crop_high"}, {"view.view", "view.size"}),
        ({}, {"custom.view": "letterbox_low"}, {"view.view", "view.geometry"}),
        ({}, {"custom.view": "face_low"}, {"view.view", "view.face_margin"}),
        ({}, {"custom.augmentation": "light"}, {"augmentation", "oversampling"}),
        ({"custom.augmentation": "light"}, {"custom.augmentation": "full"}, {"augmentation"}),
        ({}, {"custom.normalization": "real_training"}, {"normalization"}),
        ({}, {"custom.fraction": 0.37}, {"fraction"}),
        ({}, {"presets.quick.loader": "opencv"}, {"view.loader"}),
        ({}, {"preset": "full"}, {*OF_PRESET, "epochs", "lr", "fraction"}),
        # a number is the same under every preset
        ({"shared.optimizer.lr": 0.1, "shared.epochs": 9, "custom.fraction": 0.37}, {"preset": "full"}, OF_PRESET),
        # nobody has pretrained SimpleCNN
        ({}, {"custom.pretrained": True}, set()),
        ({"model": "resnet18"}, {"custom.pretrained": True}, {"pretrained"}),
        ({"model": "resnet18"}, {"presets.quick.pretrained": True}, {"pretrained"}),
        ({"model": "resnet18", "custom.pretrained": False}, {"presets.quick.pretrained": True}, set()),
        # the custom run has these of its own
        ({}, {"shared.normalization": "real_training"}, set()),
        ({}, {"shared.fraction": "all"}, set()),
        # what decides nothing while it is not used, and something when it is
        ({}, {"shared.loss.gamma": 5.0}, set()),
        ({"shared.loss.type": "focal"}, {"shared.loss.gamma": 5.0}, {"loss"}),
        ({}, {"shared.domain.weight": 0.5}, set()),
        ({"shared.domain.column": "source"}, {"shared.domain.weight": 0.5}, {"domain"}),
        ({}, {"studies.imbalance.ratio": 4.0}, set()),
        ({}, {"cache.oversampling": 1.5}, set()),
        ({"custom.augmentation": "light"}, {"cache.oversampling": 1.5}, {"oversampling"}),
        ({}, {"faces.margin": 0.5}, set()),
        ({"custom.view": "face_low"}, {"faces.margin": 0.5}, {"view.face_margin"}),
        ({}, {"imagenet.mean": [0.5, 0.5, 0.5]}, {"normalization"}),
        ({"custom.normalization": "real_training"}, {"imagenet.mean": [0.5, 0.5, 0.5]}, set()),
        ({}, {"augmentations.full.flip": 0.1}, set()),
        ({"custom.augmentation": "full"}, {"augmentations.full.flip": 0.1}, {"augmentation"}),
        ({}, {"presets.quick.resolution.high": 80}, set()),
    ],
    ids=str,
)
def test_a_condition_is_switched_by_params_alone(resolved, before, change, expected):
    first, second = (resolved("custom", changes) for changes in (before, before | change))
    assert differences(first, second) == expected


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_a_view_may_give_its_side_in_pixels(resolved, preset):
    pixels = {"geometry": "resize", "face_crop": False, "resolution": 64}
    run = resolved("custom", {"preset": preset, "views.small": pixels, "custom.view": "small"})
    assert (run.view.view, run.view.geometry, run.resolution) == ("small", "resize", 64)


def test_a_policy_that_changes_nothing_is_no_augmentation_by_whatever_name(resolved):
    idle = {"blur": {"probability": 0.0, "sigma": {"min": 3.0, "max": 4.0}}}
    run = resolved("plain", {"augmentations.idle": idle, f"{RUNS}.plain.augmentation": "idle"})
    assert (run.augmentation, run.oversampling) == (None, None)


def test_a_resolved_run_is_frozen_and_is_read_back_from_its_file(resolved):
    for changes in ({}, {"custom.augmentation": "full", "custom.normalization": "real_training"}):
        run = resolved("custom", changes)
        assert config.RunConfig.model_validate_json(run.model_dump_json()) == run
        with pytest.raises(ValidationError, match="frozen"):
            run.seed = 1


# --- what a finished run says


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "not found; run deepfake train run"),
        ("{", "not JSON"),
        ("[1, 2]", "not the configuration of a run"),
        ("{}", "folds is null"),
        ('{"folds": "4"}', 'folds is "4"'),
        ('{"folds": 0}', "folds is 0"),
    ],
)
def test_what_a_run_says_of_itself_is_told_when_it_is_damaged(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    (paths().study("custom") / "run").mkdir(parents=True)
    if text is not None:
        tables.write_text(text, paths().config("run"))
    with pytest.raises(InputError) as error:
        config.facts_of("run")
    assert str(error.value).startswith("runs/custom/run/config.json: ")
    assert words in str(error.value)


def test_a_configuration_counts_under_its_own_name_alone(resolved, tmp_path, monkeypatch):
    run = resolved("plain")
    monkeypatch.chdir(tmp_path)
    for name in ("plain", "copy"):
        (paths().study("phase1") / name).mkdir(parents=True)
        tables.write_text(run.model_dump_json(), paths().config(name))
    assert config.config_of("plain") == run
    with pytest.raises(InputError, match="that of plain, copied or renamed"):
        config.config_of("copy")
    tables.write_text('{"folds": 3}', paths().config("plain"))
    with pytest.raises(InputError, match="written by another version; run deepfake train plain again"):
        config.config_of("plain")
