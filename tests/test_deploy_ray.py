"""The batch jobs on several machines: the manifest for KubeRay, and the scripts that start Ray on Slurm's nodes."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from conftest import ROOT, changed
from deepfake.project import paths
from test_deploy import IMAGE, README, programs, shellcheck, stand_in

__all__ = ["programs"]  # a fixture

SLURM = ROOT / "deploy/slurm"
RUN = ROOT / "deploy/ray-run.sh"
JOB, POLICY = yaml.safe_load((ROOT / "deploy/kubernetes/rayjob.yaml").read_text("utf-8"))["items"]
CLUSTER = JOB["spec"]["rayClusterSpec"]
GROUPS = {"head": CLUSTER["headGroupSpec"], **{group["groupName"]: group for group in CLUSTER["workerGroupSpecs"]}}


def test_scripts_pass_shellcheck():
    names = ("ray.sbatch", "in-image.sh", "ray-node.sh")
    shellcheck("--enable=all", "--exclude=SC2250", *(str(SLURM / name) for name in names), str(RUN))


# --- Kubernetes


@pytest.mark.parametrize("version", ["1.34", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("name", GROUPS)
def test_pods_follow_the_schema_of_kubernetes(name, version):
    """Of the pods alone: KubeRay's own schema is in its operator."""
    pod = {"apiVersion": "v1", "kind": "Pod"} | GROUPS[name]["template"]
    kubernetes_validate.validate(pod | {"metadata": pod["metadata"] | {"name": "pod"}}, version, strict=True)
    kubernetes_validate.validate(POLICY, version, strict=True)


def test_the_job_ends_is_tried_again_and_lets_nobody_in():
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    spec = JOB["spec"]
    assert spec["shutdownAfterJobFinishes"] and spec["ttlSecondsAfterFinished"] > 0
    assert spec["activeDeadlineSeconds"] > 0 and spec["backoffLimit"] == 3
    assert spec["entrypoint"] == f"cd /workspace && exec sh {RUN.relative_to(ROOT)} dvc repro"
    assert CLUSTER["authOptions"] == {"mode": "token"}
    lock = (ROOT / "requirements-ray.lock").read_text("utf-8")
    assert f"\nray=={CLUSTER['rayVersion']} " in lock
    labels = {tuple(group["template"]["metadata"]["labels"].items()) for group in GROUPS.values()}
    assert labels == {tuple(POLICY["spec"]["podSelector"]["matchLabels"].items())}


@pytest.mark.parametrize("name", GROUPS)
def test_pods_have_no_rights_and_write_nowhere_but_into_volumes(name):
    group = GROUPS[name]
    pod = group["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 1000)
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    assert container["image"] == IMAGE
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"/workspace", "/tmp", "/dev/shm"} == {mount["mountPath"] for mount in container["volumeMounts"]}
    # what Ray is told it has is what the pod has; the head has a GPU too
    limits, offered = container["resources"]["limits"], group["rayStartParams"]
    assert (limits["cpu"], limits["nvidia.com/gpu"]) == (offered["num-cpus"], offered["num-gpus"])
    (shm,) = (volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "shm")
    assert int(offered["object-store-memory"]) < int(shm["sizeLimit"].removesuffix("Gi")) << 30


# --- what runs on the head


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", str(RUN), *command], cwd=project, capture_output=True, text=True, check=False)


def test_a_command_runs_where_params_send_jobs_to_the_cluster(project):
    (project / ".dvc/tmp").mkdir(parents=True)
    (project / ".dvc/tmp/rwlock").touch()
    done = run(project, "echo", "begun")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "deepfake: params.yaml: set execution.backend to ray and execution.address to auto\n"
    values = yaml.safe_load(paths().params.read_text("utf-8"))
    wanted = changed(values, {"execution.backend": "ray", "execution.address": "auto"})
    paths().params.write_text(yaml.safe_dump(wanted))
    done = run(project, "sh", "-c", "echo begun; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "begun\n", "")
    assert not (project / ".dvc/tmp/rwlock").exists()
    paths().params.write_text(yaml.safe_dump(changed(wanted, {"execution.backend": "rai"})))
    done = run(project, "echo", "begun")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "execution.backend" in done.stderr


# --- Slurm


@pytest.fixture
def cluster(tmp_path, programs, monkeypatch) -> Path:
    """An allocation of three nodes whose Apptainer runs what it is given, with a Ray that writes down what it does."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "deploy", root / "deploy")
    monkeypatch.chdir(root)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.delenv("DEEPFAKE_IMAGE", raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "123456")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "node[1-3]")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", "2")
    stand_in(programs, "scontrol", '[ "$1" = show ] && printf "node1\\nnode2\\nnode3\\n" || echo "$*" >> "$LOG"')
    # as Slurm: a signal goes to what it has started, and it ends when that has ended
    stand_in(
        programs,
        "srun",
        'echo "srun $*" >> "$LOG"; while [ "${1#--}" != "$1" ]; do shift; done\n'
        '"$@" & inside=$!; trap "kill -TERM $inside" TERM; wait $inside; code=$?\n'
        'trap "" TERM; wait $inside 2>/dev/null; exit $code',
    )
    stand_in(
        programs,
        "apptainer",
        'echo "apptainer $*" >> "$LOG"; while [ "$1" != /opt/deepfake/deploy/entrypoint.sh ]; do shift; done; shift\n'
        'exec "$@"',
    )
    stand_in(
        programs,
        "ray",
        'echo "$RAY_AUTH_MODE $RAY_AUTH_TOKEN" > "$LOG-token"\n'
        '[ "$1" = health-check ] && exec test -e "$LOG-head"\n'
        'echo "ray $*" >> "$LOG"; case "$*" in *--head*) touch "$LOG-head";; *) echo >> "$LOG-workers";; esac\n'
        'trap "echo ray stopped >> $LOG; kill \\$!; exit 143" TERM; sleep 600 & wait $!',
    )
    # in place of the check of params.yaml, which has a test of its own
    (root / "deploy/ray-run.sh").write_text('exec "$@"\n')
    return root


def submit(*command: str) -> subprocess.CompletedProcess[str]:
    """Run the batch script as Slurm would on the first node."""
    script = ["bash", "deploy/slurm/ray.sbatch", *command]
    return subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)


def log(root: Path) -> list[str]:
    return (root.parent / "log").read_text().splitlines()


COMMAND = 'until [ -s "$LOG-workers" ]; do sleep 0.1; done; echo "command $RAY_ADDRESS" >> "$LOG"; exit 5'


def test_ray_starts_on_all_nodes_and_the_command_on_the_first(cluster):
    done = subprocess.run(
        ["bash", "deploy/slurm/ray.sbatch", "sh", "-c", COMMAND],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 5, done.stderr  # the command's
    lines = log(cluster)
    head, others = sorted((line for line in lines if line.startswith("srun")), key=lambda line: "--exclude" in line)
    assert {"--nodes=1", "--ntasks=1", "--nodelist=node1", "head", "node1:23456"} <= set(head.split())
    assert {"--nodes=2", "--ntasks=2", "--exclude=node1", "worker", "node1:23456"} <= set(others.split())
    starts = sorted(line for line in lines if line.startswith("ray start"))
    limits = "--num-cpus=8 --num-gpus=2 --object-store-memory=1000000000"
    assert starts == [
        f"ray start --block --address=node1:23456 {limits}",
        f"ray start --block --head --port=23456 --include-dashboard=false {limits}",
    ]
    assert "command node1:23456" in lines
    # nobody enters without the token of this very job
    mode, token = (cluster.parent / "log-token").read_text().split()
    assert mode == "token" and re.fullmatch("[0-9a-f]{64}", token)
    assert not any(token in line for line in lines)
    # what was started is stopped, each on a /tmp of its own that is gone
    assert lines.count("ray stopped") == 2
    images = [line for line in lines if line.startswith("apptainer")]
    temporary = {re.search(r"--bind (\S+):/tmp ", line)[1] for line in images}  # pyright: ignore[reportOptionalSubscript]
    assert len(temporary) == 2
    assert all(f"exec --nv --bind {cluster}:/workspace" in line and "deepfake.sif" in line for line in images)
    assert not list((cluster.parent / "temporary").iterdir())


def test_without_a_command_it_is_the_study(cluster, programs):
    stand_in(programs, "dvc", 'echo "dvc $*" >> "$LOG"')
    done = submit()
    assert done.returncode == 0, done.stderr
    assert "dvc repro" in log(cluster)


def test_a_job_that_meets_the_time_limit_is_queued_again(cluster):
    command = 'trap "echo command stopped >> $LOG; kill \\$!; exit 143" TERM; touch "$LOG-begun"; sleep 600 & wait $!'
    with subprocess.Popen(["bash", "deploy/slurm/ray.sbatch", "sh", "-c", command], start_new_session=True) as job:
        try:
            deadline = time.monotonic() + 60
            while not (cluster.parent / "log-begun").exists() or not (cluster.parent / "log-workers").exists():
                assert time.monotonic() < deadline and job.poll() is None
                time.sleep(0.1)
            job.send_signal(signal.SIGUSR1)
            assert job.wait(timeout=60) == 0
        finally:
            os.killpg(job.pid, signal.SIGKILL)
    lines = log(cluster)
    assert lines[-1] == "requeue 123456"
    assert lines.count("ray stopped") == 2
    assert lines.index("command stopped") < lines.index("ray stopped")
    text = (SLURM / "ray.sbatch").read_text()
    assert "#SBATCH --signal=B:USR1@" in text and "#SBATCH --requeue" in text


def test_the_readme_says_how(project):
    for name in ("deploy/kubernetes/rayjob.yaml", "deploy/slurm/ray.sbatch", "--build-arg EXTRAS=ray"):
        assert name in README
