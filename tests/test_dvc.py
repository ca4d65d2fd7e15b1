"""The pipeline as DVC runs it, on a repository small enough for a test."""

import json
import re
import shutil
import sys
import time
from collections import OrderedDict
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from dvc.utils.serialize import _yaml
from ruamel.yaml import YAML

from conftest import ROOT, changed, declared_paths, stages, tiny_params
from deepfake import tables
from deepfake.project import paths
from dvc_repository import call, commit, isolate, make_repository, write

pytestmark = pytest.mark.slow

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


# --- which stages a change needs, told by the committed stages with a stub for every command


DATA = "sample", "sample_edited", "sample_resent"
STUDIES = {"custom", "phase1", "phase2", "phase3", "phase4", "final", "imbalance", "generalization", "audio", "video"}
OWN = {f"sample_of_own@{name}" for name in ("sample_audio", "sample_speech", "sample_video")}
OWN |= {"prepare@audio", "prepare@video", "prepare_others@sample_speech"}
"""What makes ready the data sets of the studies of sound and of clips."""
EXAMINED = {"probes", "shortcuts", "robustness", "explain", "eda"}
SHOWN = {"summary", "notebooks", "site"}
DECISION = '{"resolution": "low", "face_crop": %s, "augmentation": "none"}'


def of_each(*names: str) -> set[str]:
    """Return the stages of every data set."""
    first, *others = DATA
    return {f"{name}@{first}" for name in names} | {f"{name}_others@{other}" for name in names for other in others}


def plain_yaml() -> YAML:
    """Return the reader and writer in C, which keeps no comments: a quarter less to compute than with DVC's own."""
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.Representer.add_representer(OrderedDict, yaml.Representer.represent_dict)
    return yaml


class Pipeline:
    """The committed pipeline with stubs for its commands."""

    def __init__(self):
        self.values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
        committed = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
        # without what several stages share
        self.stages = json.loads(json.dumps(committed["stages"]))
        for name, stage in self.stages.items():
            body = stage.get("do", stage)
            each = {dict: "@${key}", list: "@${item}", str: "@${item}"}.get(type(stage.get("foreach")), "")
            body["cmd"] = f"{sys.executable} -S stub.py {name}{each}"
        write("dvc.yaml", {"stages": self.stages})
        # without `site`, which would look for packages at every start, the path to YAML is given
        Path("stub.py").write_text(f"import sys\nsys.path.append({str(Path(yaml.__file__).parents[1])!r})\n{STUB}")

    def __call__(self, **changes) -> set[str]:
        """Change params, by dotted path with __ for the dot; return the stages that then run."""
        self.values = changed(self.values, {path.replace("__", "."): value for path, value in changes.items()})
        write("params.yaml", self.values)
        plan = {
            name: {
                "params": sorted(stage.get("params", [])),
                "deps": sorted(declared_paths(stage, "deps")),
                "outs": sorted(declared_paths(stage, "outs", "metrics")),
            }
            for name, stage in stages(self.values, self.stages).items()
        }
        Path(".stages.json").write_text(json.dumps(plan))
        # in this process, because DVC takes longer to start than to run stubs; it writes dvc.lock after every stage
        with pytest.MonkeyPatch.context() as patch, Repo() as repo:
            patch.setattr(_yaml, "parse_yaml_for_update", _yaml.parse_yaml)
            patch.setattr(_yaml, "_get_yaml", plain_yaml)
            return {stage.addressing for stage in repo.reproduce()}


@pytest.fixture
def pipeline(repository) -> Pipeline:
    """The pipeline; weights and what phases decide are what lies below prepared/, whatever params say."""
    shutil.rmtree(paths().raw("sample"))
    shutil.copytree(ROOT / paths().external_predictions, paths().external_predictions)
    shutil.copytree(ROOT / "notebooks", "notebooks")
    prepare("data/weights/content", "weights")
    prepare(paths().decision, DECISION % "false")
    prepare(paths().finalists, '{"runs": ["backbone_best", "mobilenetv2_best"]}')
    return Pipeline()


def prepare(path: str | Path, text: str) -> None:
    """Decide what a stage will leave."""
    tables.write_text(text, Path("prepared", path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own
def test_a_change_runs_what_it_decides_and_nothing_else(pipeline):
    everything = STUDIES | EXAMINED | SHOWN | OWN | {"raw", "sample", "conditions", "weights", "union"}
    everything |= of_each("ingest", "faces", "views", "features")
    everything |= {f"{name}@{other}" for name in ("sample_derived", "split_others") for other in DATA[1:]} | {"split"}
    assert pipeline() == everything
    commit("results")
    assert pipeline() == set()

    def after(**changes) -> set[str]:
        """Return what runs, but for the weights, which any run's model may change, and what shows all."""
        run = pipeline(**changes)
        assert {"summary", "site"} <= run or not run & (STUDIES | EXAMINED)
        # no notebook shows the custom run
        assert "notebooks" in run or not run & (STUDIES | EXAMINED) - {"custom"}
        return run - SHOWN - {"weights"}

    # what nothing reads yet
    assert after(presets__full__epochs__short=3) == set()
    # the custom run alone
    assert after(model="resnet10t") == {"custom"}
    assert after(custom__augmentation="light") == {"custom"}
    # a run of a study: whoever reads its runs runs too, and takes its own from the store
    studies = "studies__{}__runs__{}__optimizer"
    phase2 = {"phase2", "shortcuts", "robustness", "explain"}
    assert after(**{studies.format("phase1", "backbone_low"): {"lr": 0.0002}}) == {"phase1", "custom"} | phase2
    # the statistics of real images are those of phase 2's runs
    assert after(**{studies.format("phase2", "simple_cnn_high"): {"lr": 0.0002}}) == {"eda"} | phase2
    follow = {"phase3", "phase4", "final", "explain"}
    assert after(**{studies.format("phase3", "resnet34_best"): {"lr": 0.0002}}) == follow
    assert after(**{studies.format("imbalance", "balance_bce"): {"seed": 1}}) == {"imbalance"}
    # which views of their data sets are made ready depends on the runs of these studies
    run = after(**{studies.format("audio", "audio_lcnn"): {"lr": 0.0002}})
    assert {"audio", "prepare@audio", "prepare_others@sample_speech"} <= run
    assert not run & {"prepare@video", "phase1", "phase2", "phase3", "phase4", "imbalance"}
    # how figures are reported: no data is prepared again
    assert after(evaluation__confidence=0.9) <= STUDIES | EXAMINED


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own
def test_only_a_decision_that_changes_re_runs_what_follows_from_it(pipeline):
    pipeline()
    commit("results")
    follow, reads = {"phase3", "phase4", "final"}, {"shortcuts", "robustness", "explain", "eda"}
    # another result of phase 2, the same decision
    run = pipeline(studies__phase2__runs__simple_cnn_face__seed=1)
    assert run & ({"phase2"} | follow) == {"phase2"}
    # the decision flips: phase 3 and what follows, and nothing above it
    prepare(paths().decision, DECISION % "true")
    run = pipeline(studies__phase2__runs__simple_cnn_face__seed=2)
    assert run & (STUDIES | EXAMINED) == {"phase2"} | reads | follow
    assert pipeline() == set()
    # others go on
    prepare(paths().finalists, '{"runs": ["backbone_best", "simple_cnn_best"]}')
    assert pipeline(studies__phase3__runs__resnet50_best__seed=1) & (STUDIES | EXAMINED) == {"explain"} | follow


# --- the lanes of `make repro`


MAKEFILE = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
LANES = {name: targets.split() for name, targets in re.findall(r"^LANE_(\w+) := (.+)$", MAKEFILE, re.MULTILINE)}
FIRST = re.findall(r"^\tdvc repro --quiet (.+)$", MAKEFILE, re.MULTILINE)[0].split()
PAIRS = re.findall(r"-j\$\(LANES\) lane-(\w+) lane-(\w+)$", MAKEFILE, re.MULTILINE)


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def overlap(paths: set[str], others: set[str]) -> set[str]:
    return {path for path in paths for other in others if is_below(path, other) or is_below(other, path)}


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_lanes_side_by_side_touch_nothing_that_the_other_writes(preset):
    found = stages(yaml.safe_load((ROOT / "params.yaml").read_text("utf-8")) | {"preset": preset})
    read = {name: declared_paths(stage, "deps") for name, stage in found.items()}
    written = {name: declared_paths(stage, "outs", "metrics") for name, stage in found.items()}

    def items(targets: list[str]) -> list[str]:
        """Return stages in the order in which DVC takes them."""
        return [name for target in targets for name in found if name.split("@")[0] == target]

    done = items(FIRST)
    assert sorted(LANES) == sorted(lane for pair in PAIRS for lane in pair)
    for pair in PAIRS:
        lanes = [items(LANES[lane]) for lane in pair]
        for own, other in (lanes, lanes[::-1]):
            made = set().union(*(written[name] for name in own))
            touched = set().union(*(read[name] | written[name] for name in other))
            assert not overlap(touched, made), pair
            # each stage comes after all that make what it reads
            for place, name in enumerate(own):
                makers = {one for one in found if one != name and overlap(written[one], read[name])}
                assert makers <= {*done, *own[:place]}, name
        done += [name for lane in lanes for name in lane]
    assert sorted(done) == sorted(found)


# --- the commands themselves


def test_the_pipeline_runs_under_dvc(repository):
    """The way to the custom run; the commands of the other stages run in tests/test_whole_study.py."""
    write("params.yaml", tiny_params() | {"model": "simple_cnn"})
    names = ["raw", "ingest", "faces", "views", "split", "weights", "phase1", "custom"]
    committed = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
    # raw data lies here already
    write("dvc.yaml", committed | {"stages": {name: committed["stages"][name] for name in names}})
    commit("a project")
    run = {"raw", "ingest@sample", "faces@sample", "views@sample", "split", "weights", "phase1", "custom"}
    assert stages_run(call("dvc", "repro")) == run
    commit("results")

    conditions = ["custom.augmentation=full", "custom.normalization=real_training"]
    assert stages_run(call("dvc", "exp", "run", *(f"-S{change}" for change in conditions))) == {"weights", "custom"}
    changes = json.loads(call("dvc", "metrics", "diff", "--json"))
    assert set(changes) == {"reports/metrics/custom.json"}
    assert "runs.custom.auc" in changes["reports/metrics/custom.json"]

    assert "plots/index.html" in call("dvc", "plots", "diff", "HEAD", "-o", "plots")
    shown = plots(Path("plots/index.html").read_text())
    assert set(shown) == {"AUC on the inner validation", "ROC on the held-out folds", "decisions on the held-out folds"}
    for title, plot in shown.items():
        rows = plot["data"]["values"]
        assert {row["rev"] for row in rows} == {"HEAD", "workspace"}, title
        assert {row["experiment"] for row in rows} == {"simple_cnn_low", "backbone_low", "custom"}, title
    lines = shown["ROC on the held-out folds"]
    parts = [lines["facet"], lines["spec"]["encoding"]["color"], *lines["spec"]["encoding"]["detail"]]
    # a line is one curve: its points never go back
    curves: dict[tuple, list[float]] = {}
    for row in lines["data"]["values"]:
        curves.setdefault(tuple(row[part["field"]] for part in parts), []).append(row["fpr"])
    assert len(curves) == 2 * 2 * 4  # revisions, folds, rows of both tables
    assert all(points == sorted(points) for points in curves.values())
    # Vega-Lite puts the panels of an unsorted facet below the names of others
    facets = [lines["facet"], *shown["decisions on the held-out folds"]["facet"].values()]
    assert all(facet["sort"] == {"field": "order", "op": "min"} for facet in facets)


def test_queued_experiments_find_linked_raw_data_and_share_what_they_train(repository, tmp_path):
    """Two workers in two copies of a workspace in which nothing has been run yet."""
    raw = tmp_path / "elsewhere"
    shutil.move(paths().raw("sample"), raw)
    catalog = yaml.safe_load(paths().catalog.read_text("utf-8"))
    write(str(paths().catalog), catalog | {"mine": catalog["sample"] | {"title": "mine"}})
    paths().raw("mine").symlink_to(raw)
    write("params.yaml", tiny_params() | {"dataset": "mine", "model": "simple_cnn"})
    names = ["raw", "ingest", "faces", "views", "split", "weights", "phase1", "custom"]
    committed = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
    write("dvc.yaml", committed | {"stages": {name: committed["stages"][name] for name in names}})
    commit("a project")
    for policy in ("full", "light"):
        call("dvc", "exp", "run", "--queue", "--name", policy, "-S", f"custom.augmentation={policy}")
    try:
        call("dvc", "queue", "start", "-j", "2")
        ended = time.monotonic() + 300
        while len(experiments()) < 2 and time.monotonic() < ended:
            time.sleep(1)
        logs = {policy: call("dvc", "queue", "logs", policy) for policy in ("full", "light")}
        assert set(experiments()) == {"full", "light"}, logs
    finally:
        call("dvc", "queue", "stop", "--kill")
    # what both need is trained by one of them, and each has it in its results
    for run, times in {"simple_cnn_low": 1, "backbone_low": 1, "custom": 2}.items():
        assert sum(log.count(f"{run}: fold 0,") for log in logs.values()) == times
    metrics = [
        json.loads(call("git", "show", f"{ref}:reports/metrics/custom.json"))["runs"]["custom"]["auc"]
        for ref in experiments().values()
    ]
    assert set(call("dvc", "exp", "list", "--name-only").split()) == {"full", "light"}
    assert len(set(metrics)) == 2
    # and the workspace trains it no more: the store has it
    output = call("dvc", "repro", "phase1")
    assert "fold 0," not in output and paths().predictions("simple_cnn_low").exists()


def experiments() -> dict[str, str]:
    """Return the experiments that have ended well, by name; their refs in git are those that `dvc exp show` lists."""
    refs = call("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return {Path(ref).name: ref for ref in refs if Path(ref).name in ("full", "light")}


def plots(page: str) -> dict[str, dict]:
    """Return what each plot of a page of DVC is made of, by its title."""
    found = (json.loads(text) for text in re.findall(r"var spec = (\{.*\});", page))
    return {plot["title"]["text"]: plot for plot in found}


def test_compiled_code_beside_the_code_is_no_change_of_it(repository):
    write("dvc.yaml", {"stages": {"count": {"cmd": "echo done > out", "deps": ["src/deepfake"], "outs": ["out"]}}})
    call("dvc", "repro", "-q")
    compiled = Path("src/deepfake/cli/__pycache__/study.cpython-311.pyc")
    compiled.parent.mkdir(parents=True)
    compiled.write_bytes(b"compiled")
    assert stages_run(call("dvc", "repro")) == set()
    Path("src/deepfake/cli/study.py").write_text("")
    assert stages_run(call("dvc", "repro")) == {"count"}
