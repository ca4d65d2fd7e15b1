"""What README tells people to type, as far as it can be tried without computing anything."""

import itertools
import re
import shlex
import shutil

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from conftest import ROOT
from deepfake import cli, config
from deepfake.project import paths
from dvc_repository import write

README = (ROOT / "README.md").read_text("utf-8")
TYPED = re.sub(r"\\\n *", "", README)
CODE = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", TYPED) + re.findall(r"^(?:dvc|deepfake) .*", TYPED, re.MULTILINE)
"""Code in a line of text, and commands that have lines of their own."""
EXPERIMENTS = sorted({found for found in CODE if found.startswith("dvc exp run -S")})


@pytest.mark.parametrize("command", EXPERIMENTS)
def test_experiments_have_parameters_that_are_there(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / paths().params, paths().params)
    words = shlex.split(command, comments=True)
    values = [value for option, value in itertools.pairwise(words) if option == "-S"]
    apply_overrides(paths().params, values)
    before, after = config.load(ROOT / paths().params), config.load()
    assert before != after
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    assert len(words) - 3 - 2 * len(values) in (0, 1)
    assert words[-1] in (values[-1], *stages)


def test_an_experiment_is_one_entry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (shown,) = (found for found in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if found.startswith("studies:"))
    values = yaml.safe_load((ROOT / paths().params).read_text("utf-8"))
    values["studies"]["phase1"] = yaml.safe_load(shown)["studies"]["phase1"]
    write(str(paths().params), values)
    settings = config.load()
    run = config.resolve(settings, "convnext_low")
    assert (run.study, run.model, run.lr) == ("phase1", "convnext_tiny", 0.0003)
    assert config.table(settings, "phase1")["convnext_low"] == ("simple_cnn_low",)


def test_commands_are_there():
    found = {match for text in CODE for match in re.findall(r"(?:^|&& )deepfake ([a-z][a-z0-9-]+)", text)}
    assert len(found) > 20
    assert found <= set(cli.main.commands)
    assert [name for name in cli.main.commands if not re.search(rf"(?:deepfake |`){name}\b", README)] == []


def test_stages_are_there():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    named = {match for text in CODE for match in re.findall(r"dvc repro ([a-z]\w*)", text)}
    assert named
    assert named <= set(stages)


def test_its_first_screen_is_the_summary_s():
    rows = {
        name: [line for line in (ROOT / name).read_text("utf-8").splitlines() if re.match(r"\| \[.*\?\]\(", line)]
        for name in ("README.md", "reports/summary.md")
    }
    assert len(rows["README.md"]) == 14
    assert [line.replace("(reports/", "(") for line in rows["README.md"]] == rows["reports/summary.md"]
    (seen,) = re.findall(r"^With 80% power.*$", (ROOT / "reports/summary.md").read_text("utf-8"), re.MULTILINE)
    assert seen in (ROOT / "README.md").read_text("utf-8")
