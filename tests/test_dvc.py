"""The pipeline as DVC runs it, on a repository small enough for a test."""

import json
import re
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from dvc.utils.serialize import _yaml
from ruamel.yaml import YAML

import synthetic_study
from conftest import ROOT, changed, paths, stages, tiny_params
from deepfake import config, layout, tables
from dvc_repository import call, commit, isolate, make_repository, write

pytestmark = pytest.mark.slow

TRAINED = {"train@simple_cnn_low", "train@resnet18_low", "custom"}
COMPARED = {"phase1", "compare_custom"}

STUB = '''
"""Stands for a command: leaves the stage's outs, made of its deps and of the params that it declares.

An out that lies below prepared/ is copied from there instead.
"""
import hashlib, json, shutil, sys
from pathlib import Path
import yaml

stage = json.loads(Path(".stages.json").read_text())[sys.argv[1]]
params = yaml.safe_load(Path("params.yaml").read_text())
digest = hashlib.sha256(sys.argv[1].encode())
for path in stage["params"]:
    value = params
    for key in path.split("."):
        value = value[key]
    digest.update(json.dumps([path, value]).encode())
for dep in sorted(stage["deps"]):
    files = [Path(dep)] if Path(dep).is_file() else sorted(f for f in Path(dep).rglob("*") if f.is_file())
    for file in files:
        digest.update(file.read_bytes())
for out in stage["outs"]:
    path = Path(out) if Path(out).suffix else Path(out) / "content"
    path.parent.mkdir(parents=True, exist_ok=True)
    if Path("prepared", path).exists():
        shutil.copy(Path("prepared", path), path)
    else:
        path.write_text(json.dumps({"made of": digest.hexdigest()}))
'''


def study(values: dict, *names: str) -> dict:
    """Return some stages of the committed pipeline, without the deps and outs of experiments that the values lack."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
    pipeline["stages"] = {name: pipeline["stages"][name] for name in names}
    runs = {*values["experiments"], *values["reevaluations"], "custom"}
    models = {entry["model"] for kind in ("experiments", "candidates") for entry in values[kind].values()} | {"custom"}
    for candidate in values["candidates"]:
        runs |= {f"{candidate}{suffix}" for suffix in ("_best", "_best_medium", "_best_all")}
    known = {
        r"(?:runs|reports/plots|data/plan)/([^/.$]+)": runs,
        r"data/pretrained/([^/.$]+)": models,
        r"reports/decisions/phase4/([^/.$]+)": set(values["candidates"]),
    }

    def is_there(entry: str | dict) -> bool:
        path = next(iter(entry)) if isinstance(entry, dict) else entry
        found = [(re.match(pattern, path), names) for pattern, names in known.items()]
        return path.startswith("data/plan/code") or all(match is None or match[1] in names for match, names in found)

    for stage in pipeline["stages"].values():
        body = stage.get("do", stage)
        for kind in ("deps", "outs"):
            body[kind] = [entry for entry in body.get(kind, []) if is_there(entry)]
    return {"stages": pipeline["stages"]}


@pytest.fixture
def repository(project, tmp_path, monkeypatch) -> Path:
    """A git and DVC repository without a pipeline."""
    isolate(tmp_path, monkeypatch)
    make_repository(project)
    shutil.copytree(ROOT / ".dvc/plots", project / ".dvc/plots")
    shutil.copytree(ROOT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return project


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


# --- which stages a change needs, told by committed stages with a stub for every command that takes long


def plain_yaml() -> YAML:
    """Return the reader and writer in C, which keeps no comments: a quarter less to compute than with DVC's own."""
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.Representer.add_representer(OrderedDict, yaml.Representer.represent_dict)
    return yaml


class Pipeline:
    """Stages of the committed pipeline with stubs for their commands, except those that are named real."""

    def __init__(self, values: dict, names: list[str], real: set[str]):
        self.values = values
        pipeline = study(values, *names)
        for name in set(names) - real:
            stage = pipeline["stages"][name]
            stub = f"{sys.executable} -S stub.py {name}{'@${key}' if 'do' in stage else ''}"
            stage.get("do", stage)["cmd"] = stub
        write("dvc.yaml", pipeline)
        self.stages = pipeline["stages"]
        # without `site`, which would look for packages at every start, the path to YAML is given
        Path("stub.py").write_text(f"import sys\nsys.path.append({str(Path(yaml.__file__).parents[1])!r})\n{STUB}")

    def __call__(self, **changes) -> set[str]:
        """Change params, by dotted path with __ for the dot; return the stages that then run."""
        self.values = changed(self.values, {path.replace("__", "."): value for path, value in changes.items()})
        write("params.yaml", self.values)
        plan = {
            name: {
                "params": sorted(stage.get("params", [])),
                "deps": sorted(paths(stage, "deps")),
                "outs": sorted(paths(stage, "outs", "metrics")),
            }
            for name, stage in stages(self.values, self.stages).items()
        }
        Path(".stages.json").write_text(json.dumps(plan))
        # in this process, because DVC takes longer to start than to run stubs; it writes dvc.lock after every stage
        with pytest.MonkeyPatch.context() as patch, Repo() as repo:
            patch.setattr(_yaml, "parse_yaml_for_update", _yaml.parse_yaml)
            patch.setattr(_yaml, "_get_yaml", plain_yaml)
            return {stage.addressing for stage in repo.reproduce()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own
def test_a_change_runs_what_it_decides_and_nothing_else(repository):
    face = {"geometry": "crop", "face_crop": True, "resolution": "low"}
    prepared = ["check", "ingest", "faces", "cache", "split", "conditions", "weights"]
    names = [*prepared, "train", "custom", "phase1", "compare_custom"]
    pipeline = Pipeline(changed(tiny_params(), {"views.face_low": face}), names, real={"check", "weights"})
    everything = {*prepared, "cache@crop_low", "cache@face_low"} - {"cache"} | TRAINED | COMPARED
    assert pipeline() == everything
    commit("results")
    assert pipeline() == set()
    # the weights and the plan are looked at after every change; where nothing comes of it, nothing follows
    looked = {"check", "weights"}

    def after(**changes) -> set[str]:
        run = pipeline(**changes)
        assert looked <= run
        return run - looked

    custom = {"custom", "compare_custom"}
    # what nothing reads yet, of an experiment alone, of the custom run alone
    assert after(presets__full__epochs__short=3) == set()
    assert after(experiments__resnet18_low__optimizer={"lr": 0.0002}) == {"train@resnet18_low", "phase1"}
    assert after(model="resnet10t") == custom
    assert after(custom__augmentation="light") == custom
    assert after(custom__view="face_low") == custom
    # a policy that the custom run has, and one that nothing has
    assert after(augmentations__light__flip=0.25) == custom | {"conditions"}
    assert after(augmentations__full__flip=0.25) == {"conditions"}
    # a view that no experiment is trained on but the custom one
    assert after(views__face_low__resolution="high") == {"cache@face_low"} | custom
    # what decides the faces decides all that may be cut out around them, but for the margin
    seen = {"cache@crop_low", "cache@face_low", "conditions"} | TRAINED | COMPARED
    assert after(faces__confidence=0.5) == {"faces"} | seen
    assert after(shared__loss__type="focal") == {"train@simple_cnn_low", "custom"} | COMPARED
    assert after(evaluation__bootstrap_replicates=300) == COMPARED


# --- decisions: files that hold the decision and nothing else


PAIRS = {
    "phase2b": ("simple_cnn_low", "simple_cnn_high"),
    "phase2c": ("simple_cnn_high", "simple_cnn_face"),
    "phase2d": ("simple_cnn_high", "simple_cnn_augmented"),
    "phase2e": ("simple_cnn_face", "simple_cnn_face_augmented"),
}
CANDIDATES = ("simple_cnn", "resnet18", "resnet34", "resnet50")
DECISIONS = ["check", "train", "decide", "resolve", "explore", "rank", "scale"]


def decision() -> tuple:
    return tuple(json.loads(layout.DECISION.read_text()).values())


def open_gates() -> set[str]:
    return {name for name in CANDIDATES if config.read_gate(name).open}


@pytest.fixture
def decisions(repository):
    """The stages that decide, whose commands are real, between trainings that leave predictions of chosen quality."""
    committed = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values = tiny_params() | {key: committed[key] for key in ("views", "selection")}
    wanted = {name for pair in PAIRS.values() for name in pair}
    values["experiments"] = {name: committed["experiments"][name] for name in wanted}
    values["candidates"] = {name: committed["candidates"][name] for name in CANDIDATES}
    values["tables"] = {table: {first: [], other: [first]} for table, (first, other) in PAIRS.items()}
    values["presets"]["quick"] |= {"top": 2, "folds": 4}
    values["audit"]["views"] = ["crop_low", "crop_high", "face_high"]
    write("params.yaml", values)
    settings = config.load()
    manifest = synthetic_study.write_manifest(settings)
    synthetic_study.write_audit(settings)
    names = config.candidate_experiments(settings)

    def predict(**quality: float) -> None:
        """Prepare what training leaves, for some experiments of a quality other than before."""
        for name, value in quality.items():
            synthetic_study.write_run(settings, name, manifest, value, own=0.0, plots=False)
            for path in (layout.predictions(name), layout.config(name)):
                Path("prepared", path).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(path, Path("prepared", path))

    predict(**dict.fromkeys(values["experiments"], 1.0))
    # the decision only names views and policies in their configurations, which nothing here reads
    tables.write_text('{"resolution": "low", "face_crop": false, "augmentation": "none"}', layout.DECISION)
    predict(**dict.fromkeys(names, 0.5) | {"resnet34_best": 1.5, "resnet50_best": 2.0})
    layout.DECISION.unlink()
    # stages that prepare the data are left out; what they would leave is raw data here
    pipeline = Pipeline(values, DECISIONS, real={"check", "decide", "resolve", "rank"})
    for name in CANDIDATES:
        tables.write_text("{}", layout.pretrained(values["candidates"][name]["model"]))
    for view in values["views"]:
        tables.write_text("{}", layout.view_facts("sample", view))
    return pipeline, predict


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own
def test_only_a_decision_that_changes_re_runs_what_follows_from_it(decisions):
    pipeline, predict = decisions
    trained = {f"train@{name}" for name in pipeline.values["experiments"]}
    explored, scaled = ({f"{stage}@{name}" for name in CANDIDATES} for stage in ("explore", "scale"))
    assert pipeline() == {"check", "decide", "resolve", "rank"} | trained | explored | scaled
    assert decision() == ("low", False, "none")
    assert open_gates() == {"resnet34", "resnet50"}
    commit("results")
    assert pipeline() == set()

    # another result of phase 2, the same decision: whatever is looked at again, nothing is trained
    predict(simple_cnn_augmented=0.9)
    looked = {"check", "resolve"}  # they read params.yaml, where the change comes from
    assert pipeline(experiments__simple_cnn_augmented__seed=1) == looked | {"train@simple_cnn_augmented", "decide"}
    assert decision() == ("low", False, "none")

    # the decision flips: phase 3 and what follows, and nothing above it
    predict(simple_cnn_face=3.0, simple_cnn_face_augmented=3.0)
    run = pipeline(experiments__simple_cnn_face__seed=1, experiments__simple_cnn_face_augmented__seed=1)
    flipped = {"train@simple_cnn_face", "train@simple_cnn_face_augmented"}
    # the stubs of phase 3 leave the same predictions again, so nobody has to be ranked anew
    assert run == looked | flipped | {"decide"} | explored | scaled
    assert decision() == ("low", True, "none")
    assert pipeline() == set()

    # other ranks among the best: no gate changes, so phase 4 stays as it is
    predict(resnet34_best=2.5)
    assert pipeline(candidates__resnet34__seed=1) == looked | {"explore@resnet34", "rank", "scale@resnet34"}
    assert open_gates() == {"resnet34", "resnet50"}

    # one of the best falls behind: its gate closes, another one opens, and only these two run in phase 4
    predict(resnet50_best=0.1, resnet18_best=2.0)
    run = pipeline(candidates__resnet50__seed=1, candidates__resnet18__seed=1)
    assert open_gates() == {"resnet34", "resnet18"}
    assert run & scaled == {"scale@resnet50", "scale@resnet18"}


# --- the commands themselves


def test_the_pipeline_runs_under_dvc(repository):
    """The way to the custom run; the commands of the other stages run in tests/test_cli.py."""
    values = tiny_params()
    values |= {"experiments": {}, "tables": {}, "model": "simple_cnn"}
    write("params.yaml", values)
    names = ["check", "ingest", "faces", "cache", "split", "weights", "custom"]
    pipeline = study(values, *names)
    plotted = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["plots"]
    for plot in plotted:
        for definition in plot.values():
            definition["y"] = {path: y for path, y in definition["y"].items() if path.split("/")[2] == "custom"}
    write("dvc.yaml", pipeline | {"plots": plotted})
    commit("a project")
    assert stages_run(call("dvc", "repro")) == {*names, "cache@crop_low"} - {"cache"}
    commit("results")

    conditions = ["custom.augmentation=full", "custom.normalization=real_training"]
    run = stages_run(call("dvc", "exp", "run", *(f"-S{change}" for change in conditions)))
    assert run == {"check", "weights", "custom"}
    changes = json.loads(call("dvc", "metrics", "diff", "--json"))
    assert set(changes) == {"reports/metrics/train/custom.json"}

    plots = call("dvc", "plots", "show", "-o", "plots")
    assert "plots/index.html" in plots


def test_compiled_code_beside_the_code_is_no_change_of_it(repository):
    write("dvc.yaml", {"stages": {"count": {"cmd": "echo done > out", "deps": ["src/deepfake"], "outs": ["out"]}}})
    call("dvc", "repro", "-q")
    compiled = Path("src/deepfake/cli/__pycache__/study.cpython-311.pyc")
    compiled.parent.mkdir(parents=True)
    compiled.write_bytes(b"compiled")
    assert stages_run(call("dvc", "repro")) == set()
    Path("src/deepfake/cli/study.py").write_text("")
    assert stages_run(call("dvc", "repro")) == {"count"}
