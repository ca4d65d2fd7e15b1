"""What DVC cannot see: that dvc.yaml, the code and params.yaml name the same things."""

import re
from pathlib import Path

import grimp
import pytest
import yaml

from deepfake import layout, params

ROOT = Path(__file__).resolve().parents[1]
ENTRY_MODULES = {
    "check": "deepfake.data.catalog",
    "sample": "deepfake.data.sample",
    "ingest": "deepfake.data.ingest",
    "split": "deepfake.data.splits",
    "train": "deepfake.studies.crossval",
    "custom": "deepfake.studies.crossval",
    "phase1": "deepfake.studies.comparison",
    "compare_custom": "deepfake.studies.comparison",
    "report": "deepfake.reports.document",
}


def stages() -> dict[str, dict]:
    """Return every stage with templates filled in; a foreach stage appears once an item, as `name@item`."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    raw = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    found = {}
    for name, stage in raw.items():
        items = values["experiments"] if "foreach" in stage else [None]
        for item in items:
            text = yaml.safe_dump(stage.get("do", stage))
            names = {"dataset": values["dataset"], "preset": values["preset"], "key": item}
            text = re.sub(r"\$\{(\w+)\}", lambda match, names=names: str(names[match.group(1)]), text)
            found[f"{name}@{item}" if item else name] = yaml.safe_load(text)
    return found


STAGES = stages()
SETTINGS = params.load(ROOT / "params.yaml")


def paths(stage: dict, *kinds: str) -> set[str]:
    """Return the paths that a stage declares."""
    entries = [entry for kind in kinds for entry in stage.get(kind, [])]
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


def test_every_stage_has_an_entry_module():
    assert {name.split("@")[0] for name in STAGES} == set(ENTRY_MODULES)


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("deepfake", cache_dir=None)


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_the_code_that_the_stage_imports_and_no_other(name, graph):
    entry = ENTRY_MODULES[name.split("@")[0]]
    files = {module_file(module) for module in graph.find_upstream_modules(entry) | {entry}} - {None}
    declared = {path for path in paths(STAGES[name], "deps") if path.startswith("src/")}
    uncovered = {file for file in files if not any(file == path or file.startswith(f"{path}/") for path in declared)}
    idle = {path for path in declared if not any(file == path or file.startswith(f"{path}/") for file in files)}
    assert not uncovered, f"{name}: dvc.yaml lacks {sorted(uncovered)}"
    assert {path for path in idle if path.endswith(".py")} == set(), f"{name}: not imported"


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
    stage, _, experiment = name.partition("@")
    experiment = experiment or "custom"
    found = {
        "check": [layout.CHECKED],
        "sample": [layout.raw("sample"), layout.figure("sample")],
        "ingest": [layout.samples(dataset), layout.quarantine(dataset)],
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
    assert params.resolve(SETTINGS, experiment).experiment == experiment


# Which values a command reads, found by changing each leaf of params.yaml and watching its inputs.
INPUTS = {
    "sample": lambda p: p.sample,
    "ingest": lambda p: p.ingest,
    "split": lambda p: (p.presets[p.preset].folds, p.shared.test_ratio, p.shared.seed),
    "train": lambda p, experiment: params.resolve(p, experiment),
    "custom": lambda p: params.resolve(p, "custom"),
    "phase1": lambda p: (p.tables["phase1"], p.dataset, p.evaluation, p.shared.seed),
    "compare_custom": lambda p: (p.tables["custom"], p.dataset, p.evaluation, p.shared.seed),
}


def leaves(value, prefix=()):
    """Yield the path of every leaf."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield prefix
        return
    for key, below in items:
        yield from leaves(below, (*prefix, key))


def changed(values: dict, leaf: tuple):
    """Return a copy of the values in which one leaf differs, or None when no other value is allowed there."""
    import copy

    from pydantic import ValidationError

    for make in (
        lambda old: old + 1 if isinstance(old, int) else old * 0.9,
        lambda old: old - 1,
        lambda old: {"low": "high", "small": "all", "bce": "bce_balanced", "auto": "fp32"}[old],
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


@pytest.mark.parametrize("name", [name for name in STAGES if name.split("@")[0] in INPUTS])
def test_params_cover_every_value_that_decides_the_stage(name):
    stage, _, experiment = name.partition("@")
    read = INPUTS[stage]
    arguments = (experiment,) if experiment else ()
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    declared = set(STAGES[name].get("params", []))
    before = read(SETTINGS, *arguments)
    decisive = set()
    for leaf in leaves(values):
        if leaf[0] in ("preset", "dataset"):
            continue  # they pick the paths and the section that are named by template
        after = changed(values, leaf)
        if after is not None and read(after, *arguments) != before:
            decisive.add(".".join(map(str, leaf)))
    assert decisive, "the check itself found nothing"
    for path in decisive:
        assert any(path == key or path.startswith(f"{key}.") for key in declared), f"{name}: params lacks {path}"
    for key in declared - {"preset", "dataset"}:
        assert any(path == key or path.startswith(f"{key}.") for path in decisive), f"{name}: {key} decides nothing"
