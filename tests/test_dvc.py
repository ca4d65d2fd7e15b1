"""The pipeline as DVC runs it, on a repository small enough for a test."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from conftest import ROOT, changed, paths, stages, tiny_params

pytestmark = pytest.mark.slow

TRAINED = {"train@simple_cnn_low", "train@resnet18_low", "custom"}
COMPARED = {"phase1", "compare_custom", "report"}

STUB = '''
"""Stands for every command: leaves the stage's outs, made of its deps and of the params that it declares."""
import hashlib, json, sys
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
    path.write_text(json.dumps({"made of": digest.hexdigest()}))
'''


def study(values: dict, without: tuple[str, ...] = ()) -> dict:
    """Return the committed pipeline without the sample's stage, some others, and what the values do not know.

    The sample of these tests is raw data that is already there.
    """
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
    for name, stage in list(pipeline["stages"].items()):
        command = stage.get("cmd", "").split()
        compares = command[1] == "compare" if command else False
        if name in ("sample", *without) or (compares and command[2] not in values["tables"]):
            del pipeline["stages"][name]
    known = {*values["experiments"], "custom"}
    tables = {*values["tables"], "faces"}

    def is_there(path: str) -> bool:
        experiment = re.match(r"(?:runs|reports/plots)/([^/$]+)", path)
        table = re.match(r"reports/tables/(\w+?)(?:_folds|_tests)?\.csv", path)
        if (experiment and experiment[1] not in known) or (table and table[1] not in tables):
            return False
        return path != "reports/figures/sample.png"

    for stage in pipeline["stages"].values():
        if "deps" in stage:
            stage["deps"] = [path for path in stage["deps"] if is_there(path)]
    for plot in pipeline["plots"]:
        for definition in plot.values():
            definition["y"] = {path: y for path, y in definition["y"].items() if path.split("/")[2] in known}
    return pipeline


@pytest.fixture
def repository(project, tmp_path, monkeypatch) -> Path:
    """A git and DVC repository without a pipeline."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name in (".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, project / name)
    (project / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(ROOT / ".dvc" / name, project / ".dvc" / name)
    shutil.copytree(ROOT / ".dvc/plots", project / ".dvc/plots")
    shutil.copytree(ROOT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    call("git", "init", "-q", "-b", "main")
    call("git", "config", "user.name", "test")
    call("git", "config", "user.email", "test@localhost")
    return project


def call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def commit(message: str) -> None:
    call("git", "add", "-A")
    call("git", "commit", "-q", "-m", message)


def write(path: str, values: dict) -> None:
    Path(path).write_text(yaml.safe_dump(values, sort_keys=False))


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


# --- which stages a change needs, told by the whole committed pipeline with a stub for every command


@pytest.fixture
def stubbed(repository):
    """A repository whose commands are stubs; a function that changes params and says which stages then run."""
    face = {"geometry": "crop", "face_crop": True, "resolution": "low"}
    values = changed(tiny_params(), {"views.face_low": face})
    pipeline = study(values)
    for name, stage in pipeline["stages"].items():
        body = stage.get("do", stage)
        body["cmd"] = f"{sys.executable} -S stub.py {name}{'@${key}' if 'do' in stage else ''}"
    write("dvc.yaml", pipeline)
    # without `site`, which would look for packages at every start, the path to YAML is given
    Path("stub.py").write_text(f"import sys\nsys.path.append({str(Path(yaml.__file__).parents[1])!r})\n{STUB}")

    def run(**changes) -> set[str]:
        nonlocal values
        values = changed(values, {path.replace("__", "."): value for path, value in changes.items()})
        write("params.yaml", values)
        plan = {
            name: {
                "params": sorted(stage.get("params", [])),
                "deps": sorted(paths(stage, "deps") - {"reports/figures/sample.png"}),
                "outs": sorted(paths(stage, "outs", "metrics")),
            }
            for name, stage in stages(values).items()
        }
        Path(".stages.json").write_text(json.dumps(plan))
        # in this process, because DVC takes longer to start than to run stubs
        with Repo() as repo:
            return {stage.addressing for stage in repo.reproduce()}

    return run


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own
def test_a_change_runs_what_it_decides_and_nothing_else(stubbed):
    everything = {"check", "ingest", "faces", "cache@crop_low", "cache@face_low", "split"} | TRAINED | COMPARED
    everything |= {"conditions"}
    assert stubbed() == everything
    commit("results")
    assert stubbed() == set()
    # what nothing reads yet, of an experiment alone, of the custom run alone
    assert stubbed(presets__full__epochs=3) == set()
    assert stubbed(experiments__resnet18_low__optimizer={"lr": 0.0002}) == {"train@resnet18_low", "phase1", "report"}
    assert stubbed(model="resnet10t") == {"custom", "compare_custom", "report"}
    assert stubbed(custom__augmentation="light") == {"custom", "compare_custom", "report"}
    assert stubbed(custom__view="face_low") == {"custom", "compare_custom", "report"}
    # a policy that the custom run has
    assert stubbed(augmentations__light__flip=0.25) == {"custom", "compare_custom", "report", "conditions"}
    # a view that no experiment is trained on but the custom one
    assert stubbed(views__face_low__resolution="high") == {"cache@face_low", "custom", "compare_custom", "report"}
    # what decides the faces decides all that may be cut out around them, but for the margin
    seen = {"cache@crop_low", "cache@face_low", "conditions"} | TRAINED | COMPARED
    assert stubbed(faces__confidence=0.5) == {"faces"} | seen
    assert stubbed(faces__margin=0.5) == seen
    assert stubbed(shared__loss="bce_balanced") == TRAINED | COMPARED
    assert stubbed(evaluation__bootstrap_replicates=300) == COMPARED


# --- the commands themselves


def test_the_pipeline_runs_under_dvc(repository):
    """The way to the custom run; the commands of the other stages run in tests/test_cli.py."""
    values = tiny_params() | {"experiments": {}, "tables": {}}
    write("params.yaml", values)
    write("dvc.yaml", study(values, without=("conditions", "report", "train")))
    commit("a project")
    assert stages_run(call("dvc", "repro")) == {"check", "ingest", "faces", "cache@crop_low", "split", "custom"}
    commit("results")

    conditions = ["custom.augmentation=full", "custom.normalization=real_training"]
    assert stages_run(call("dvc", "exp", "run", *(f"-S{change}" for change in conditions))) == {"custom"}
    changes = json.loads(call("dvc", "metrics", "diff", "--json"))
    assert set(changes) == {"reports/metrics/train/custom.json"}

    plots = call("dvc", "plots", "show", "-o", "plots")
    assert "plots/index.html" in plots
