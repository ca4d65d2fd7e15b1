"""Every stage of dvc.yaml, in DVC's order, on a tiny project: what it opens and leaves is what it declares."""

import json
import re
import shutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pandas as pd
import pytest
import timm
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import save_file

import tracing
from conftest import AWAY, ROOT, declared_paths, make_project, stages, write_tiny_away, write_tiny_faces
from deepfake import cli, config, run_files
from deepfake.config.studies import TRAINED_KINDS
from deepfake.project import paths
from deepfake.reports import findings
from deepfake.studies.summary import page as summary

pytestmark = pytest.mark.slow

UNTRACKED = re.compile(r"\.scratch/|\.store/|data/[^/]+/cache/|(.*/)?__pycache__/")
"""What can be made again, or changes with every run."""
PLUMBING = re.compile(
    r"src/deepfake/(cli/.*|ops/verify/.*|(.*/)?__init__"
    r"|errors|limits|originals|progress|project|run_files|runtime)\.py$"
)
"""Code that decides no number: commands, paths, messages, checks."""
CONDITIONAL = ("data/raw/", "data/weights", "data/predictions", "data/prepared", "src/")
"""What only some studies read: files of images that are decoded already, weights and predictions of others where there
are any, what stands for the files whose hashes it holds; and code, which was imported before."""


TRUNKS = {"tf_efficientnet_lite0": "test_resnet", "tf_efficientnet_lite1": "test_efficientnet"}
TRUNKS |= {"mobilenetv2_100": "test_byobnet"}
"""Tiny models of timm for those whose frozen trunks the study uses."""


def small_params() -> dict:
    """Return the committed params with all studies and their heads, but sizes and models that take a second."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    small = {"fraction": {"small": 0.6, "medium": 0.8, "all": 1.0}, "repeats": 2}
    values["presets"]["quick"] |= values["presets"]["smoke"] | small
    values["presets"]["quick"]["roles"] = {"backbone": {"model": TRUNKS["tf_efficientnet_lite0"], "train": "head"}}
    values["shared"]["precision"] = "fp32"
    for study in values["studies"].values():
        runs = study.get("runs")
        for entry in runs.values() if isinstance(runs, dict) else ():
            if entry.get("train") == "head":
                entry["model"] = TRUNKS.get(entry["model"], entry["model"])
            elif "model" in entry and entry["model"] not in values["presets"]["quick"]["roles"]:
                # names of tables stay, and no two configurations become the same
                decay = {"weight_decay": 1e-4 * len(entry["model"])}
                entry |= {"optimizer": entry.get("optimizer", {}) | decay, "model": "simple_cnn"}
                entry.pop("pretrained", None)
    return values


def write_weights() -> None:
    """Write weights of the tiny trunks where those of ImageNet lie, drawn by chance."""
    for model in TRUNKS.values():
        torch.manual_seed(1)
        paths().weights(model).parent.mkdir(parents=True, exist_ok=True)
        save_file(timm.create_model(model).state_dict(), paths().weights(model))


def order(found: dict[str, dict]) -> list[str]:
    """Return the stages in an order in which each finds its deps, as DVC would run them."""
    maker = {path: name for name, stage in found.items() for path in declared_paths(stage, "outs", "metrics")}

    def makers(path: str) -> set[str]:
        return {name for out, name in maker.items() if is_below(path, out) or is_below(out, path)}

    graph = {name: set().union(*map(makers, declared_paths(stage, "deps"))) - {name} for name, stage in found.items()}
    return list(TopologicalSorter(graph).static_order())


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def files() -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}


def undeclared_reads(stage: dict, read: set[str]) -> set[str]:
    """Return what a stage opens and neither declares nor makes itself.

    Of other studies' runs, entries are looked at to find those of the same key, which may be taken: the results are the
    same bits as if they had been computed again.
    """
    declared = {"params.yaml", *declared_paths(stage, "deps", "outs", "metrics")}
    if "data/prepared" in declared:  # the hashes of all these
        datasets = [path.stem for path in (paths().root / "data/prepared").glob("*.json")]
        declared |= {folder for name in datasets for folder in (f"data/{name}", f"data/raw/{name}")}
    keys = {entry_key(path) for out in declared_paths(stage, "outs") for path in Path(out).glob(f"*/{run_files.ENTRY}")}

    def is_taken(path: str) -> bool:
        parts = Path(path).parts
        if parts[0] != "runs" or len(parts) < 4:
            return False
        return parts[3] == run_files.ENTRY or entry_key(Path(*parts[:3], run_files.ENTRY)) in keys

    return {
        path
        for path in read
        if not UNTRACKED.match(path) and not any(is_below(path, one) for one in declared) and not is_taken(path)
    }


def entry_key(path: Path) -> str:
    return json.loads(path.read_text())["key"]


def unread_deps(stage: dict, read: set[str]) -> set[str]:
    """Return what a stage declares and does not open; no view of this project's other data sets cuts out faces."""
    deps = {path for path in declared_paths(stage, "deps") if not path.startswith(CONDITIONAL)}
    unused = {f"data/{dataset}/faces.parquet" for dataset in AWAY} | {str(paths().links)}  # which only sets the order
    if stage["cmd"].startswith("deepfake faces "):
        unused |= {f"data/{dataset}/media.parquet" for dataset in AWAY}
    return {dep for dep in deps - unused if not any(is_below(path, dep) for path in read)}


def run_here(command: list[str], log: Path) -> tracing.Opened:
    """Run a command in this process, which has torch already."""
    tracing.install(log)
    result = CliRunner().invoke(cli.main, command)
    tracing.install(Path("/dev/null"))
    assert result.exit_code == 0, f"{command}: {result.output}"
    log.with_suffix(".err").write_text(result.stderr)
    return tracing.opened(log, Path.cwd())


def run_alone(command: list[str], log: Path) -> tracing.Opened:
    """Run a command in a process of its own, which imports all the code that it needs."""
    done = subprocess.run(
        [sys.executable, tracing.__file__, str(log), *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    project, code = tracing.opened(log, Path.cwd()), tracing.opened(log, ROOT)
    modules = {re.sub(r"__pycache__/(\w+)\.[\w.-]+\.pyc$", r"\1.py", path) for path in code.read}
    return project._replace(read=project.read | {path for path in modules if path.startswith("src/deepfake/")})


@pytest.fixture(scope="module")
def traced(tmp_path_factory, tiny_raw, imported_before_the_fork):
    """The project, all stages as they are declared, and what each of them opened and left."""
    folder = tmp_path_factory.mktemp("whole")
    root = make_project(folder / "project", tiny_raw)
    write_tiny_away(root)
    shutil.copytree(ROOT / paths().external_predictions, root / paths().external_predictions)
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    values = small_params()
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    found, seen, trained = stages(values), {}, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_weights()
        for name in order(found):
            kind = name.split("@")[0]
            if kind in ("sample", "sample_derived"):  # the raw data of this project is there
                continue
            before, log = files(), folder / f"{name.replace('/', '_')}.log"
            command = found[name]["cmd"].split()[1:]
            if kind == "faces":  # what it finds is tested with images that show some
                write_tiny_faces()
                opened = tracing.Opened(set(), set())
            elif "src/deepfake" in declared_paths(found[name], "deps"):
                with pytest.MonkeyPatch.context() as kernels:
                    if kind == "notebooks":
                        kernels.setenv("PYTHONPATH", tracing.in_processes(folder / "startup", log))
                    opened = run_here(command, log)
                trained += log.with_suffix(".err").read_text().count("fold 0,")
            else:
                opened = run_alone(command, log)
            changed = {path for path, time in files().items() if before.get(path) != time}
            undeclared = set() if kind == "faces" else undeclared_reads(found[name], opened.read)
            unread = set() if kind == "faces" else unread_deps(found[name], opened.read)
            seen[name] = (changed, undeclared, unread)
    return root, found, seen, trained


def test_no_stage_reads_what_it_does_not_declare(traced):
    _, _, seen, _ = traced
    undeclared = {
        name: sorted(path for path in found if not PLUMBING.match(path)) for name, (_, found, _) in seen.items()
    }
    assert {name: found for name, found in undeclared.items() if found} == {}


def test_no_stage_declares_what_it_does_not_read(traced):
    _, _, seen, _ = traced
    assert {name: sorted(found) for name, (_, _, found) in seen.items() if found} == {}


def test_every_stage_leaves_what_it_declares_and_nothing_else(traced):
    root, found, seen, _ = traced
    for name, (changed, _, _) in seen.items():
        declared = declared_paths(found[name], "outs", "metrics")
        strange = {
            path for path in changed if not UNTRACKED.match(path) and not any(is_below(path, out) for out in declared)
        }
        assert not strange, f"{name} leaves what it does not declare"
        assert not {path for path in declared if not (root / path).exists()}, f"{name} declares what it does not leave"


def test_as_many_trainings_as_there_are_configurations(traced, monkeypatch):
    root, _, _, trained = traced
    monkeypatch.chdir(root)
    settings = config.load()
    decision, finalists = config.read_decision(), config.read_finalists()
    kept = {config.scaled(name, share) for name in finalists for share in settings.studies.phase4.fractions}
    names = [
        name
        for name, entry in config.entries(settings).items()
        if entry.run.kind in TRAINED_KINDS and (entry.study != "phase4" or name in kept)
    ]
    decided = [config.resolve(settings, name, decision) for name in names]
    configurations = {run.model_dump_json(exclude={"experiment", "study"}) for run in decided}
    # the name of a view is part of a configuration, and here none shows the same as another
    assert len(configurations) < len(names), "the check itself: nothing trains once for two names"
    assert trained == len(configurations)


def test_the_final_model_alone_sees_the_test_set(traced):
    root, *_ = traced
    unseen = set()
    for path in (root / "data").glob("*/manifest.parquet"):
        manifest = pd.read_parquet(path)
        unseen |= set(manifest.loc[manifest["split"] == "test", "sample_id"])
    predictions = sorted((root / "runs").rglob("predictions.parquet"))
    assert len(predictions) > 30
    for path in predictions:
        assert not unseen & set(pd.read_parquet(path)["sample_id"]), path
    own = pd.read_parquet(root / "data/sample/manifest.parquet")
    final = pd.read_csv(root / "reports/final/final_test.csv").set_index("metric")
    assert final.loc["AUC", "samples"] == (own["split"] == "test").sum()


def test_pages_leave_no_hole_and_the_summary_shows_at_most_fourteen_findings(traced, monkeypatch):
    root, *_ = traced
    monkeypatch.chdir(root)
    pages = {path.stem: path.read_text() for path in paths().reports.glob("*.md")}
    assert set(pages) == {*summary.PAGES, "summary"}
    for name, text in pages.items():
        for line in text.splitlines():
            assert not re.search(r"\b(None|nan)\b|[{}]", re.sub(r"\]\([^)]*\)|`[^`]*`", "", line)), f"{name}: {line}"
    first = pages["summary"].split("\n\n![")[0]
    questions = [one.question for name in summary.KEY for one in findings.read(name).key[: summary.KEY[name]]]
    assert re.findall(r"^\| \[(.*?)\]\(\w+\.md\) \|", first, re.MULTILINE) == questions
    assert len(questions) <= 14


def test_links_of_the_pages_lead_somewhere(traced):
    root, *_ = traced
    for page in (root / paths().reports).glob("*.md"):
        text = page.read_text()
        headings = {re.sub(r"[^a-z0-9]+", "-", line.lower()) for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
        for link in re.findall(r"\]\(([^):]+)\)", text):
            if link.startswith("#"):
                assert link[1:] in headings
                continue
            there = (page.parent / link).exists() or (ROOT / "reports" / link).resolve().is_relative_to(ROOT / "docs")
            assert link.startswith("photographs/sample") or there, f"{page.name}: {link}"


def test_the_check_itself_finds_a_dependency_that_is_taken_out(traced, monkeypatch):
    root, found, _, _ = traced
    monkeypatch.chdir(root)
    stage = found["phase2"] | {"deps": [dep for dep in found["phase2"]["deps"] if dep != "runs/phase1"]}
    read = {"runs/phase1/simple_cnn_low/predictions.parquet"}
    assert undeclared_reads(stage, read) == read
    assert undeclared_reads(found["phase2"], read) == set()
