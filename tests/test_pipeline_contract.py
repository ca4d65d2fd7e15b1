"""What DVC cannot see: that dvc.yaml, the code and params.yaml name the same things."""

import ast
import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml
from pydantic import ValidationError

from conftest import ROOT, paths, stages
from deepfake import cli, config, layout, params
from deepfake.errors import InputError
from deepfake.loading import backends
from deepfake.studies import phases, plan, union

VALUES = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
STAGES = stages(VALUES)
SETTINGS = config.load(ROOT / "params.yaml")
KIND = {
    **dict.fromkeys(("train_ahead", "explore_ahead", "scale_ahead"), "ahead"),
    **dict.fromkeys(("explore", "custom", "transfer", "finetune"), "train"),
    "sample_away": "sample",
    **dict.fromkeys(("phase1", "phase2", "phase3", "phase4", "compare_custom"), "compare"),
    "rank": "decide",
}
"""The kind of code (`plan.STAGES`) behind each stage that is not named after it."""


def kind_of(name: str) -> str:
    stage = name.split("@")[0]
    return KIND.get(stage, stage)


# --- code


def test_every_stage_depends_on_the_digest_of_its_code_and_on_no_other():
    for name, stage in STAGES.items():
        declared = {path for path in paths(stage, "deps") if path.startswith(("data/plan/code", "src"))}
        # a table that the sample's code reads, and all code for the stage that makes the digests
        landmarks = {"src/deepfake/data/orl_landmarks.csv"}
        extra = landmarks if kind_of(name) == "sample" else set()
        expected = {"src/deepfake"} if name == "check" else extra | {str(layout.code(kind_of(name)))}
        assert declared == expected, name


def test_no_digest_is_made_for_nothing():
    assert {kind_of(name) for name in STAGES} - {"check"} == set(plan.STAGES)


def calls(command: str) -> set[str]:
    """Return the modules of the package that a command imports, and those of the functions beside it that it calls."""
    trees = [ast.parse(path.read_text("utf-8")) for path in Path(cli.__file__).parent.glob("*.py")]
    functions = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    found = set()
    waiting = [functions[command.replace("-", "_")]]
    while waiting:
        for node in ast.walk(waiting.pop()):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deepfake"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("_"):
                waiting.append(functions[node.func.id])
    return found


_APART = ("config", "console", "params", "runtime", "studies.doctor.gpu", "studies.pipeline", "tables")
APART = {f"deepfake.{name}" for name in _APART}
"""What a command imports to read its settings, to show how it gets on, to write; and the way without a name."""


@pytest.mark.parametrize("name", sorted({stage.split("@")[0] for stage in STAGES} - {"check"}))
def test_a_digest_covers_all_that_the_command_of_its_stage_imports(name, graph):
    command = next(stage for key, stage in STAGES.items() if key.split("@")[0] == name)["cmd"].split()[1]
    entries = plan.STAGES[kind_of(name)]
    covered = set(entries).union(*(graph.find_upstream_modules(entry) for entry in entries))
    called = {module for module in calls(command) if module in graph.modules} - APART
    assert called <= covered, f"{name}: {sorted(called - covered)}"
    assert set(entries) <= called


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("deepfake", cache_dir=None)


@pytest.mark.parametrize("entry", ["deepfake.data.splits", "deepfake.studies.selection", "deepfake.loading.views"])
def test_a_digest_covers_what_python_imports(entry, graph):
    """Against Python itself: what is loaded when the module is imported is among the files of the digest."""
    code = f"import sys, {entry}; print(*(m for m in sys.modules if m.startswith('deepfake.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {module_file(module) for module in done.stdout.split()} - {None}
    assert imported <= {f"src/deepfake/{path}" for path in plan.files(graph, [entry])}


def test_the_digest_covers_what_is_imported_by_name(graph):
    covered = plan.files(graph, ["deepfake.loading.views"])
    for module in backends.BACKENDS.values():
        assert f"{module.removeprefix('deepfake.').replace('.', '/')}.py" in covered


def test_the_backends_that_params_allow_are_those_there_are():
    allowed = params.Preset.model_fields["loader"].annotation
    assert set(allowed.__args__) == set(backends.BACKENDS)


def module_file(module: str) -> str | None:
    """Return a module's file relative to the root, or None for a package's docstring-only `__init__`."""
    path = Path("src") / Path(*module.split("."))
    if (ROOT / path).is_dir():
        source = ROOT / path / "__init__.py"
        is_empty = len([line for line in source.read_text("utf-8").splitlines() if line.strip()]) <= 1
        return None if is_empty else str(path / "__init__.py")
    return f"{path}.py"


EXPERIMENTS = config.fixed_experiments(SETTINGS)
CANDIDATES = config.candidate_experiments(SETTINGS)


# --- data: what the stages leave is what tests/test_whole_study.py compares with dvc.yaml


def experiments_of(name: str) -> list[str]:
    """Return the experiments that a stage trains."""
    stage, _, key = name.partition("@")
    return {
        "train": [key],
        "transfer": [key],
        "finetune": [key],
        "custom": [layout.CUSTOM_EXPERIMENT],
        "explore": [f"{key}_best"],
        "scale": [f"{key}_best_medium", f"{key}_best_all"],
    }.get(stage, [])


TRAINING = [name for name in STAGES if experiments_of(name)]
DECIDABLE = {
    str(layout.view(SETTINGS.dataset, name)) for name, view in SETTINGS.views.items() if view.geometry == "crop"
}
"""The views that phase 2 may decide for."""


@pytest.mark.parametrize("name", TRAINING)
def test_a_training_depends_on_its_configuration_its_view_and_its_weights(name):
    stage, _, key = name.partition("@")
    deps = paths(STAGES[name], "deps")
    assert not STAGES[name].get("params"), "its configuration is a file"
    assert {path for path in deps if path.startswith("data/plan/") and "/code/" not in path} == {
        str(layout.plan(experiment)) for experiment in experiments_of(name)
    }
    views = {path for path in deps if "/views/" in path}
    if stage in ("explore", "scale"):
        assert views == DECIDABLE
        model = SETTINGS.candidates[key]["model"]
    else:
        run = config.resolve(SETTINGS, experiments_of(name)[0])
        assert views == {str(layout.view(run.dataset, run.view.view))}
        assert str(layout.manifest(run.dataset)) in deps
        model = run.model if stage != "custom" else layout.CUSTOM_EXPERIMENT
        parent = run.start_from
        before = [layout.checkpoints(parent), layout.config(parent), layout.predictions(parent)] if parent else []
        assert {path for path in deps if path.startswith("runs/")} == {str(path) for path in before}
    assert {path for path in deps if path.startswith("data/pretrained")} == {str(layout.pretrained(model))}
    gates = {str(layout.gate(key))} if stage == "scale" else set()
    assert {path for path in deps if path.startswith("reports/decisions")} == gates


@pytest.mark.parametrize("name", TRAINING)
def test_a_training_leaves_what_the_layout_says(name):
    expected = {
        str(place(experiment))
        for experiment in experiments_of(name)
        for place in (layout.checkpoints, layout.config, layout.predictions, layout.train_metrics, layout.plots)
    }
    assert paths(STAGES[name], "outs", "metrics") == expected


def test_every_experiment_of_the_study_is_trained_by_one_stage():
    trained = [experiment for name in TRAINING for experiment in experiments_of(name)]
    assert sorted(trained) == sorted([*EXPERIMENTS, *CANDIDATES])


@pytest.mark.parametrize("name", [name for name in STAGES if name.split("@")[0] in ("faces", "cache", "conditions")])
def test_what_reads_images_depends_on_them_and_on_their_table(name):
    needed = {layout.raw(SETTINGS.dataset), layout.samples(SETTINGS.dataset)}
    if not name.startswith("faces"):
        needed.add(layout.faces(SETTINGS.dataset))
    found = {path for path in paths(STAGES[name], "deps") if path.startswith("data/") and "/plan/" not in path}
    assert found == {str(path) for path in needed}


OTHERS = [name for name in STAGES if name.split("@")[0] in ("transfer", "finetune", "cross_dataset")]


@pytest.mark.parametrize("name", OTHERS)
def test_what_decodes_other_data_sets_depends_on_their_files(name):
    if name == "cross_dataset":
        needed = [SETTINGS.dataset, *SETTINGS.cross_dataset.away]
        left = (layout.checkpoints, layout.config, layout.predictions)
        expected = {str(place(run)) for run in SETTINGS.cross_dataset.models for place in left}
        assert {path for path in paths(STAGES[name], "deps") if path.startswith("runs/")} == expected
    else:
        dataset = config.resolve(SETTINGS, name.partition("@")[2]).dataset
        needed = union.members(SETTINGS) if dataset == layout.UNION else [dataset]
    assert {str(layout.raw(dataset)) for dataset in needed} <= paths(STAGES[name], "deps")


RANKED = [f"{name}_best" for name, entry in SETTINGS.candidates.items() if entry["ranked"]]
COMPARED = {
    **{f"compare_{phase}" if phase == "custom" else phase: names for phase, names in phases.PHASES.items()},
    "decide": ("phase2b", "phase2c", "phase2d", "phase2e"),
}


@pytest.mark.parametrize("name", [*COMPARED, "rank"])
def test_what_compares_depends_on_the_experiments_that_it_compares(name):
    compared = {experiment for table in COMPARED.get(name, ()) for experiment in SETTINGS.tables[table]}
    compared |= {"phase4": set(CANDIDATES), "rank": set(RANKED)}.get(name, set())
    expected = {str(place(experiment)) for experiment in compared for place in (layout.predictions, layout.config)}
    assert {path for path in paths(STAGES[name], "deps") if path.startswith("runs/")} == expected


def test_every_data_file_of_a_stage_is_made_by_another_or_committed():
    made = set().union(*(paths(stage, "outs", "metrics", "plots") for stage in STAGES.values()))
    for name, stage in STAGES.items():
        for path in paths(stage, "deps") - made:
            if any(out.startswith(f"{path}/") or path.startswith(f"{out}/") for out in made):
                continue  # a folder of what several stages make, or a part of what one makes
            assert (ROOT / path).exists(), f"{name}: nothing makes {path}"
            assert not path.startswith(("runs", "reports")), f"{name}: nothing makes {path}"


def test_no_metrics_or_plots_of_a_removed_experiment_are_left():
    known = {*EXPERIMENTS, *CANDIDATES}
    known |= {*SETTINGS.ensembles}
    orphans = {path.stem for path in (ROOT / layout.TRAIN_METRICS).glob("*.json")} - known - {*SETTINGS.reevaluations}
    assert not orphans, "remove these files, or name their experiments in params.yaml"
    assert {path.name for path in (ROOT / layout.plots("x").parent).iterdir()} <= known


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_resolves(experiment):
    assert config.resolve(SETTINGS, experiment).experiment == experiment


def searched_for(settings: params.Params) -> tuple:
    """Return what decides the faces that are found; how they are cut out is for the views to say."""
    return settings.faces.model_dump(exclude={"margin"}), settings.presets[settings.preset].loader


def compared(phase: str):
    """Return what decides a phase's tables and what is said of them."""

    def values(settings: params.Params) -> tuple:
        names = {name: settings.tables[name] for name in phases.PHASES[phase]}
        sizes = settings.presets[settings.preset]
        return (
            *(names, settings.dataset, settings.evaluation, settings.interpretation, settings.shared.seed),
            (sizes.resolution, sizes.fraction, sizes.folds) if phase != "custom" else None,
            settings.candidates if phase in ("phase3", "phase4") else None,
        )

    return values


# Which values a command reads, found by changing each leaf of params.yaml and watching its inputs.
INPUTS = {
    "sample": lambda p: p.sample,
    "ingest": lambda p: p.ingest,
    "faces": searched_for,
    "cache": lambda p, view: config.resolve_view(p, view),
    "conditions": lambda p: (p.augmentations, p.cache.oversampling, p.faces.margin, p.shared.seed),
    "split": lambda p: (p.presets[p.preset].folds, p.shared.test_ratio, p.shared.seed),
    "decide": lambda p: (
        *([p.tables[name] for name in COMPARED["decide"]], p.selection, p.views, p.experiments, p.audit.views),
    ),
    "rank": lambda p: (p.candidates, p.presets[p.preset].top, p.selection),
}


def leaves(value, prefix=()) -> Iterator[tuple]:
    """Yield the path of every leaf."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield prefix
        return
    for key, below in items:
        yield from leaves(below, (*prefix, key))


OTHER = {
    **{"low": "high", "small": "all", "bce": "bce_pos_weight", "auto": "fp32", "imagenet": "real_training"},
    **{"crop": "letterbox", "letterbox": "crop", "letterbox_real": "crop", "resize": "crop"},
    **{"dali": "torchvision", "opencv": "torchvision", "torchvision": "dali"},
}
"""Another allowed value for those that stand for a choice."""


def changed(values: dict, leaf: tuple) -> params.Params | None:
    """Return the values with one leaf different, or None when no other value is allowed there."""
    for make in (
        lambda old: old + 1 if isinstance(old, int) else old * 0.9 or 0.5,
        lambda old: old - 1,
        lambda old: OTHER[old],
        lambda old: f"{old}x",
    ):
        copied = copy.deepcopy(values)
        place = copied
        for key in leaf[:-1]:
            place = place[key]
        try:
            place[leaf[-1]] = make(place[leaf[-1]])
            return params.Params.model_validate(copied)
        except (TypeError, KeyError, ValidationError):
            continue
    return None


def everything_used() -> dict:
    """Return the committed values with all that an experiment can read in use.

    A stage of a foreach names what can decide any of its members: a margin matters only with a face crop,
    oversampling only with augmentation, ImageNet's statistics only without those of the real training images.
    """
    values = copy.deepcopy(VALUES)
    for view in values["views"].values():
        view |= {"geometry": "crop", "face_crop": True}
    values["augmentations"] = {name: copy.deepcopy(VALUES["augmentations"]["full"]) for name in VALUES["augmentations"]}
    for experiment in (*values["experiments"].values(), values["custom"], values["shared"]):
        experiment["normalization"] = "imagenet"
    return values


@pytest.fixture(scope="module")
def variants() -> list[tuple[params.Params, dict[str, params.Params]]]:
    """Return the committed settings, and those with everything in use, each with every leaf changed in turn."""
    found = []
    for values in (VALUES, everything_used()):
        # preset and dataset pick the paths and the section that are named by template
        each = {leaf: changed(values, leaf) for leaf in leaves(values) if leaf[0] not in ("preset", "dataset")}
        after = {".".join(map(str, leaf)): settings for leaf, settings in each.items() if settings is not None}
        found.append((params.Params.model_validate(values), after))
    return found


def read(stage: str, settings: params.Params, *key: str) -> Any:
    """Return what a stage reads; a name that refers to nothing any more is another input, too."""
    try:
        return INPUTS[stage](settings, *key)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("name", [name for name in STAGES if name.split("@")[0] in INPUTS])
def test_params_cover_every_value_that_decides_the_stage(name, variants):
    stage, *key = name.split("@")
    declared = set(STAGES[name].get("params", []))
    decisive = {
        path
        for before, after in variants
        for path, settings in after.items()
        if read(stage, settings, *key) != read(stage, before, *key)
    }
    assert decisive, "the check itself found nothing"
    for path in decisive:
        assert any(path == key or path.startswith(f"{key}.") for key in declared), f"{name}: params lacks {path}"
    for key in declared - {"preset", "dataset"}:
        assert any(path == key or path.startswith(f"{key}.") for path in decisive), f"{name}: {key} decides nothing"


def test_what_trainings_depend_on_is_looked_at_whenever_params_change():
    for name in ("check", "resolve", "weights"):
        assert str(layout.PARAMS) in paths(STAGES[name], "deps")
