"""The container: the real Dockerfile, built and run; without PyTorch unless DEEPFAKE_IMAGE=full (`make container`)."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, changed, tiny_params
from container_image import FULL, HARDENED, IMAGE, OWNER, REVISION, build, facts, podman, run

pytestmark = [pytest.mark.container, pytest.mark.slow]
full = pytest.mark.skipif(not FULL, reason="trains, and PyTorch is not in the light image: make container")

STAGES = ("raw", "ingest", "faces", "views", "split", "weights", "phase1", "custom")


@pytest.fixture(scope="module", autouse=True)
def image(tmp_path_factory) -> None:
    build(tmp_path_factory.mktemp("podman"))


# --- the image itself


def test_it_tells_what_it_is_and_runs_as_nobody_special():
    config = facts()["Config"]
    assert config["User"] == "1000:1000"
    assert config["WorkingDir"] == "/workspace"
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert labels["revision"] == REVISION
    assert {"title", "description", "licenses"} <= set(labels)
    variables = dict(entry.split("=", 1) for entry in config["Env"])
    assert variables["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert set(variables["NVIDIA_DRIVER_CAPABILITIES"].split(",")) == {"compute", "utility", "video"}


def test_nothing_of_the_machine_that_built_it_is_in_it():
    history = podman("history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE).stdout
    assert str(ROOT) not in history
    found = run("bash", "-c", "cd /opt/deepfake && find . -type f")[1].split()
    assert "./src/deepfake/cli/__init__.py" in found
    committed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # what is not committed yet may be there, what git ignores may not
    ignored = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        cwd=ROOT,
        input="\n".join(found),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout == ""
    assert {f"./{name}" for name in committed.split() if name.startswith("src/")} <= set(found)


@pytest.mark.parametrize("user", [OWNER, None])
def test_help_needs_nothing(user):
    code, output = run("--help", user=user)
    assert code == 0
    assert "deepfake detectors" in output
    assert "working on a copy" not in output


def test_the_doctor_finds_a_project_to_work_on():
    code, output = run("doctor")
    assert "ok       project    /tmp/workspace" in output
    assert "docker run --gpus all" in output
    # in the light image PyTorch is what is missing
    assert code == (0 if FULL else 1), output


def test_a_job_that_is_stopped_ends_at_once():
    script = "import time; print('started', flush=True); time.sleep(100)"
    name = podman("run", "--detach", *HARDENED, IMAGE, "python", "-c", script).stdout.strip()
    try:
        deadline = time.monotonic() + 30
        while "started" not in podman("logs", name).stdout:
            assert time.monotonic() < deadline, "the container does not start"
            time.sleep(0.1)
        podman("stop", "--time=60", name)
        assert podman("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "143"
    finally:
        podman("rm", "--force", name)


# --- nothing mounted, or an empty folder


@pytest.mark.parametrize("user", [OWNER, None])
def test_with_nothing_mounted_it_works_on_its_own_project(user):
    code, output = run("check", user=user)
    assert code == 0, output
    assert "no project mounted: working on a copy of the image's own in /tmp/workspace" in output


def test_without_a_place_to_write_it_says_so():
    flags = tuple(flag for flag in HARDENED if not flag.startswith("--tmpfs"))
    done = podman("run", "--rm", *flags, "--read-only-tmpfs=false", IMAGE, "check", check=False)
    assert done.returncode == 2
    assert "--tmpfs /tmp" in done.stderr.splitlines()[-1]


def test_an_empty_folder_becomes_a_project_of_its_owner(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    give(empty)
    code, output = run("check", flags=mounted(empty))
    assert code == 0, output
    assert "results stay in the folder mounted there" in output
    assert (empty / "params.yaml").exists()
    assert owners(empty) == {OWNER}


# --- a repository


def call(*arguments: str, cwd: Path) -> str:
    environment = os.environ | {"DVC_SITE_CACHE_DIR": str(cwd.parent / "site"), "HOME": str(cwd.parent)}
    done = subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def give(folder: Path) -> None:
    """Make everything in a folder the caller's."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *OWNER, follow_symlinks=False)


def owners(folder: Path) -> set[tuple[int, int]]:
    stats = [path.lstat() for path in folder.rglob("*")]
    return {(stat.st_uid, stat.st_gid) for stat in stats}


def mounted(folder: Path, options: str = "") -> tuple[str, ...]:
    return (f"--volume={folder}:/workspace{options}",)


@pytest.fixture
def repository(tmp_path, tiny_raw) -> Path:
    """A clone of a repository with a versioned data set, which a remote has that was named at /storage."""
    origin = tmp_path / "origin"
    (origin / "data/raw").mkdir(parents=True)
    shutil.copytree(tiny_raw, origin / "data/raw/mine")
    catalog = yaml.safe_load((ROOT / "data/catalog.yaml").read_text("utf-8"))
    catalog["mine"] = catalog["sample"] | {"title": "a data set of one's own"}
    (origin / "data/catalog.yaml").write_text(yaml.safe_dump(catalog))
    shutil.copytree(ROOT / "src", origin / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in (".gitignore", ".dvcignore", "requirements.lock"):
        shutil.copy(ROOT / name, origin / name)
    values = changed(tiny_params(), {"dataset": "mine", "model": "simple_cnn"})
    (origin / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    committed = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    pipeline = {"stages": {name: committed[name] for name in STAGES}}
    (origin / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    (origin / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", origin / ".dvc/config")
    shutil.copy(ROOT / ".dvc/.gitignore", origin / ".dvc/.gitignore")
    call("git", "init", "-q", "-b", "main", cwd=origin)
    call("git", "config", "user.name", "test", cwd=origin)
    call("git", "config", "user.email", "test@localhost", cwd=origin)
    call("dvc", "remote", "modify", "-q", "storage", "url", str(tmp_path / "storage"), cwd=origin)
    call("dvc", "add", "-q", "data/raw/mine", cwd=origin)
    call("dvc", "push", "-q", cwd=origin)
    call("dvc", "remote", "modify", "-q", "storage", "url", "/storage", cwd=origin)
    call("git", "add", "-A", cwd=origin)
    call("git", "commit", "-q", "-m", "a project", cwd=origin)
    call("git", "clone", "-q", str(origin), str(tmp_path / "clone"), cwd=tmp_path)
    give(tmp_path / "clone")
    return tmp_path / "clone"


def with_remote(repository: Path) -> tuple[str, ...]:
    return (*mounted(repository), f"--volume={repository.parent / 'storage'}:/storage:ro")


def test_dvc_works_inside_and_what_it_makes_is_the_callers(repository):
    flags = with_remote(repository)
    code, output = run("dvc", "repro", "--pull", "split", flags=flags)
    assert code == 0, output
    assert (repository / "data/mine/manifest.parquet").exists()
    code, output = run("dvc", "repro", "split", flags=flags)
    assert (code, output.splitlines()[-1]) == (0, "Data and pipelines are up to date.")
    code, output = run("dvc", "exp", "run", "-S", "shared.seed=7", "split", flags=flags)
    assert code == 0, output
    code, output = run("dvc", "params", "diff", flags=flags)
    assert "shared.seed" in output
    assert owners(repository) == {OWNER}


def test_the_code_of_the_repository_runs(repository):
    commit = ("sh", "-c", "echo commit=${DEEPFAKE_COMMIT:-none}")
    assert f"commit={REVISION}" in run(*commit)[1]
    (repository / "src/deepfake/__init__.py").write_text('print("this very code")\n')
    assert "this very code" in run("--version", flags=mounted(repository))[1]
    assert "commit=none" in run(*commit, flags=mounted(repository))[1]
    with (repository / "requirements.lock").open("a") as file:
        file.write("# changed\n")
    assert "requirements.lock is not the one" in run("--version", flags=mounted(repository))[1]


@full
def test_train_without_anything_trains_on_the_sample():
    code, output = run("train")
    assert code == 0, output
    assert "GPU: none; it trains on the CPU (in a container: docker run --gpus all)" in output
    assert "custom: AUC 0." in output


@full
def test_train_in_a_repository_gets_the_data_and_leaves_results(repository):
    flags = with_remote(repository)
    code, output = run("train", flags=flags)
    assert code == 0, output
    assert (repository / "runs/custom/custom/predictions.parquet").exists()
    assert (
        run("git", "status", "--porcelain", flags=flags)[1].split()
        == [
            *("M", "dvc.lock"),
            *("??", "reports/"),
        ]
        or "reports/metrics/custom.json" in run("git", "status", "--porcelain", "-uall", flags=flags)[1]
    )
    run("git", "add", "-A", flags=flags)
    run("git", "commit", "-q", "-m", "results", flags=flags)
    code, output = run("dvc", "exp", "run", "-S", "custom.augmentation=light", "custom", flags=flags)
    assert code == 0, output
    code, output = run("dvc", "metrics", "diff", flags=flags)
    assert (code, "reports/metrics/custom.json" in output) == (0, True), output
    assert owners(repository) == {OWNER}


# --- one line for what is in the way, and what to do


def refused(flags: tuple[str, ...], user: tuple[int, int] | None = OWNER) -> str:
    """Return the last line that `train` says before it leaves with exit code 2."""
    code, output = run("train", flags=flags, user=user)
    assert code == 2, output
    assert "Traceback" not in output
    return output.splitlines()[-1]


def test_a_repository_mounted_read_only(repository):
    assert "/workspace: is mounted read-only" in refused(mounted(repository, ":ro"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_repository_of_somebody_else(repository):
    assert "with --user 4321:4321" in refused(mounted(repository), user=None)


def test_a_remote_that_lacks_the_data(repository):
    shutil.rmtree(repository.parent / "storage")
    (repository.parent / "storage").mkdir()
    line = refused(with_remote(repository))
    assert "data/raw/mine.dvc: cannot be pulled: remote 'storage' does not have it; run `dvc push`" in line


def test_a_remote_without_credentials(repository):
    call("dvc", "remote", "modify", "-q", "--local", "storage", "url", "s3://bucket/data", cwd=repository)
    give(repository)
    assert "remote 'storage' wants credentials; set AWS_ACCESS_KEY_ID" in refused(mounted(repository))


def test_no_remote(repository):
    call("dvc", "remote", "remove", "-q", "storage", cwd=repository)
    give(repository)
    assert "no remote is configured" in refused(mounted(repository))


def test_a_worktree_without_its_repository(repository):
    shutil.rmtree(repository / ".git")
    (repository / ".git").write_text("gitdir: /somewhere/else/.git/worktrees/it\n")
    give(repository)
    assert "give the whole repository, not a worktree" in refused(mounted(repository))


def test_no_git(repository):
    shutil.rmtree(repository / ".git")
    code, output = run("train", flags=mounted(repository))
    assert "no git repository here" in output
    # the data set is versioned all the same
    assert "data/raw/mine.dvc: cannot be pulled: remote 'storage' does not have it" in output.splitlines()[-1]
    assert code == 2
    assert owners(repository) == {OWNER}
