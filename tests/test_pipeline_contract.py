"""What DVC cannot see: that dvc.yaml, the code and params.yaml name the same things."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml
from pydantic import ValidationError

from conftest import ROOT, paths, stages
from deepfake import config, layout, params
from deepfake.errors import InputError
from deepfake.loading import backends

ENTRY_MODULES = {
    "check": "deepfake.data.catalog",
    "sample": "deepfake.data.sample",
    "ingest": "deepfake.data.ingest",
    "faces": "deepfake.studies.faces",
    "cache": "deepfake.loading.views",
    "split": "deepfake.data.splits",
    "conditions": "deepfake.studies.conditions",
    "train": "deepfake.studies.crossval",
    "custom": "deepfake.studies.crossval",
    "phase1": "deepfake.studies.comparison",
    "compare_custom": "deepfake.studies.comparison",
    "report": "deepfake.reports.document",
}


VALUES = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))


STAGES = stages(VALUES)
SETTINGS = config.load(ROOT / "params.yaml")


def test_every_stage_has_an_entry_module():
    assert {name.split("@")[0] for name in STAGES} == set(ENTRY_MODULES)


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("deepfake", cache_dir=None)


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_the_code_that_the_stage_imports_and_no_other(name, graph):
    entry = ENTRY_MODULES[name.split("@")[0]]
    modules = graph.find_upstream_modules(entry) | {entry}
    if "deepfake.loading.backends" in modules:
        # they are imported by name
        for backend in backends.BACKENDS.values():
            modules |= graph.find_upstream_modules(backend) | {backend}
    files = {module_file(module) for module in modules} - {None}
    declared = {path for path in paths(STAGES[name], "deps") if path.startswith("src/")}
    uncovered = {file for file in files if not any(file == path or file.startswith(f"{path}/") for path in declared)}
    code = {path for path in declared if not path.endswith(".csv")}
    idle = {path for path in code if not any(file == path or file.startswith(f"{path}/") for file in files)}
    assert not uncovered, f"{name}: dvc.yaml lacks {sorted(uncovered)}"
    assert not idle, f"{name}: not imported"


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


EXPERIMENTS = [*SETTINGS.experiments, layout.CUSTOM_EXPERIMENT]


def expected_outs(name: str) -> set[str]:
    """Return what layout.py says that a stage writes."""
    dataset = SETTINGS.dataset
    stage, _, key = name.partition("@")
    experiment = key or "custom"
    found = {
        "check": [layout.CHECKED],
        "sample": [layout.raw("sample"), layout.figure("sample")],
        "ingest": [layout.samples(dataset), layout.quarantine(dataset), layout.duplicates(dataset)],
        "faces": [layout.faces(dataset), layout.table("faces")],
        "cache": [layout.view(dataset, key)],
        "conditions": [layout.figure("views"), layout.figure("augmentation")],
        "split": [layout.manifest(dataset)],
        "phase1": comparison_outs("phase1"),
        "compare_custom": comparison_outs("custom"),
        "report": [layout.SUMMARY, *(layout.figure(f"phase1_{kind}") for kind in ("auc", "curves", "roc"))],
    }.get(stage) or [
        layout.checkpoints(experiment),
        layout.config(experiment),
        layout.predictions(experiment),
        layout.train_metrics(experiment),
        layout.plots(experiment),
    ]
    return {str(path) for path in found}


def comparison_outs(table: str) -> list[Path]:
    return [layout.table(f"{table}{suffix}") for suffix in ("", "_folds", "_tests")] + [layout.study_metrics(table)]


@pytest.mark.parametrize("name", STAGES)
def test_outs_are_those_of_the_layout(name):
    assert paths(STAGES[name], "outs", "metrics", "plots") == expected_outs(name)


def seen_by(name: str) -> str:
    """Return the view that an experiment is trained on."""
    return config.resolve(SETTINGS, name).view.view


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_training_depends_on_the_view_that_its_experiment_names(name):
    stage = STAGES["custom" if name == layout.CUSTOM_EXPERIMENT else f"train@{name}"]
    views = {path for path in paths(stage, "deps") if "/views/" in path}
    assert views == {str(layout.view(SETTINGS.dataset, seen_by(name)))}


@pytest.mark.parametrize("name", [name for name in STAGES if name.split("@")[0] in ("faces", "cache", "conditions")])
def test_what_reads_images_depends_on_them_and_on_their_table(name):
    needed = {layout.raw(SETTINGS.dataset), layout.samples(SETTINGS.dataset)}
    if not name.startswith("faces"):
        needed.add(layout.faces(SETTINGS.dataset))
    assert {path for path in paths(STAGES[name], "deps") if path.startswith("data/")} == {str(p) for p in needed}


@pytest.mark.parametrize(("stage", "table"), [("phase1", "phase1"), ("compare_custom", "custom")])
def test_a_comparison_depends_on_the_experiments_of_its_table(stage, table):
    expected = {
        str(path)
        for experiment in SETTINGS.tables[table].experiments
        for path in (layout.predictions(experiment), layout.config(experiment))
    }
    assert {path for path in paths(STAGES[stage], "deps") if path.startswith("runs/")} == expected


def test_the_report_depends_on_the_plots_that_it_shows():
    shown = {str(layout.plots(experiment)) for experiment in SETTINGS.tables["phase1"].experiments}
    assert {path for path in paths(STAGES["report"], "deps") if path.startswith("reports/plots")} == shown


def test_every_data_file_of_a_stage_is_made_by_another_or_committed():
    made = set().union(*(paths(stage, "outs", "metrics", "plots") for stage in STAGES.values()))
    for name, stage in STAGES.items():
        for path in paths(stage, "deps") - made:
            assert (ROOT / path).exists(), f"{name}: nothing makes {path}"


def test_no_metrics_or_plots_of_a_removed_experiment_are_left():
    assert {path.stem for path in (ROOT / layout.TRAIN_METRICS).glob("*.json")} <= set(EXPERIMENTS)
    assert {path.name for path in (ROOT / layout.plots("x").parent).iterdir()} <= set(EXPERIMENTS)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_resolves(experiment):
    assert config.resolve(SETTINGS, experiment).experiment == experiment


def searched_for(settings: params.Params) -> tuple:
    """Return what decides the faces that are found; how they are cut out is for the views to say."""
    return settings.faces.model_dump(exclude={"margin"}), settings.presets[settings.preset].loader


def shown(settings: params.Params) -> list[config.RunConfig]:
    """Return the experiments whose conditions the report tells."""
    return [config.resolve(settings, name) for name in (*settings.tables["phase1"].experiments, "custom")]


# Which values a command reads, found by changing each leaf of params.yaml and watching its inputs.
INPUTS = {
    "sample": lambda p: p.sample,
    "ingest": lambda p: p.ingest,
    "faces": searched_for,
    "cache": lambda p, view: config.resolve_view(p, view),
    "conditions": lambda p: (p.augmentations, p.cache.oversampling, p.faces.margin, p.shared.seed),
    "split": lambda p: (p.presets[p.preset].folds, p.shared.test_ratio, p.shared.seed),
    "train": lambda p, experiment: config.resolve(p, experiment),
    "custom": lambda p: config.resolve(p, "custom"),
    "phase1": lambda p: (p.tables["phase1"], p.dataset, p.evaluation, p.shared.seed),
    "compare_custom": lambda p: (p.tables["custom"], p.dataset, p.evaluation, p.shared.seed),
    "report": lambda p: (shown(p), p.evaluation, p.tables),
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
    **{"low": "high", "small": "all", "bce": "bce_balanced", "auto": "fp32", "imagenet": "real_training"},
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


def test_every_section_of_params_decides_some_stage():
    named = {path.split(".")[0] for stage in STAGES.values() for path in stage.get("params", [])}
    assert named == set(VALUES)
