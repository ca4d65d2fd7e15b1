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

from conftest import ROOT, tiny_params

pytestmark = pytest.mark.slow


@pytest.fixture
def repository(project, tmp_path, monkeypatch) -> Path:
    """A git and DVC repository with the committed pipeline; its sample is raw data that is already there."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
    del pipeline["stages"]["sample"]
    pipeline["stages"]["report"]["deps"].remove("reports/figures/sample.png")
    (project / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
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
    commit("a project")
    return project


def call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def commit(message: str) -> None:
    call("git", "add", "-A")
    call("git", "commit", "-q", "-m", message)


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


def test_the_pipeline_runs_only_what_a_change_needs(repository):
    everything = {"check", "ingest", "split", "train@simple_cnn_low", "train@resnet18_low", "custom"}
    everything |= {"phase1", "compare_custom", "report"}
    assert stages_run(call("dvc", "repro")) == everything
    assert (repository / "reports/summary.md").exists()
    commit("results")

    again = call("dvc", "repro")
    assert not stages_run(again)
    assert "up to date" in again

    values = tiny_params()
    values["experiments"]["resnet18_low"]["optimizer"] = {"lr": 0.0002}
    (repository / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    assert stages_run(call("dvc", "repro")) == {"train@resnet18_low", "phase1", "report"}
    commit("another learning rate")

    custom = call("dvc", "exp", "run", "-S", "model=resnet10t")
    assert stages_run(custom) == {"custom", "compare_custom", "report"}
    changes = json.loads(call("dvc", "metrics", "diff", "--json"))
    assert "auc" in changes["reports/metrics/train/custom.json"]
    assert "reports/metrics/train/simple_cnn_low.json" not in changes

    plots = call("dvc", "plots", "show", "-o", "plots")
    assert "plots/index.html" in plots
