"""`deepfake doctor`: what is broken is said in one line with a remedy, and nothing broken stops the other checks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from conftest import ROOT, changed, tiny_params
from deepfake import cli, config, runtime
from deepfake.ops.doctor import data, examination, gpu, machine, packages, versioned
from deepfake.ops.doctor import probe as probes
from deepfake.ops.doctor import project as place
from deepfake.ops.doctor.finding import Finding
from deepfake.ops.doctor.probe import Question
from deepfake.project import UNION, paths

CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version: 12\n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22-I3)\n"
SMI = "NVIDIA H100 80GB HBM3, 81559, 580.65.06\nNVIDIA H100 80GB HBM3, 81559, 580.65.06\n"
ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
TORCH = {
    "version": "2.15.0",
    "cuda": "13.2",
    "devices": [],
    "gpu_error": "no driver",
    "architectures": ARCHITECTURES,
    "torchvision": {"version": "0.29.2"},
}
H100 = {"name": "NVIDIA H100", "memory": 80 * 2**30, "capability": [9, 0]}
V100 = {"name": "Tesla V100", "memory": 16 * 2**30, "capability": [7, 0]}
MIB = 2**20


def line(finding: Finding) -> str:
    return f"{finding.mark}: {finding.found} -> {finding.remedy}"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def edit(**changes) -> None:
    """Change the project's params.yaml, by dotted path with __ for the dot."""
    values = changed(tiny_params(), {path.replace("__", "."): value for path, value in changes.items()})
    paths().params.write_text(yaml.safe_dump(values))


def call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def repository(project, tmp_path, monkeypatch):
    """The tiny project in git and DVC, without remotes or credentials."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    call("git", "init", "-q", "-b", "main")
    call("dvc", "init", "-q")
    return project


def configure(*entries: str) -> None:
    """Write DVC's own settings of this copy: sections and keys, a line each."""
    Path(".dvc/config.local").write_text("\n".join(entries))


def ask(name: str, seconds: float = 60) -> probes.Answer:
    with Question(name, seconds) as question:
        return question.answer()


# --- GPU


def test_the_driver_is_read_from_the_texts_of_both_kernel_modules():
    assert gpu.driver_version(CLOSED) == "535.183.01"
    assert gpu.driver_version(OPEN) == "580.65.06"
    assert gpu.driver_version("anything else") is None


def test_the_system_is_asked_for_gpus_without_cuda(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "_smi", lambda: "")
    assert gpu.look(tmp_path) == gpu.Seen()
    device = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    write(device / "vendor", "0x10de\n")
    write(device / "class", "0x020000\n")  # NVIDIA makes network cards, too
    assert not gpu.look(tmp_path).on_bus
    write(device / "class", "0x030200\n")
    assert gpu.look(tmp_path) == gpu.Seen(on_bus=True)
    write(tmp_path / "proc/driver/nvidia/version", OPEN)
    write(tmp_path / "dev/nvidiactl", "")
    assert gpu.look(tmp_path) == gpu.Seen("580.65.06", given=False, on_bus=True)
    write(tmp_path / "dev/nvidia0", "")
    monkeypatch.setattr(gpu, "_smi", lambda: SMI)
    names = ("NVIDIA H100 80GB HBM3 (81559 MiB)",) * 2
    assert gpu.look(tmp_path) == gpu.Seen("580.65.06", given=True, on_bus=True, names=names)


def test_nvidia_smi_is_asked_where_there_is_one(tmp_path, monkeypatch):
    write(tmp_path / "dev/nvidia0", "")
    write(tmp_path / "bin/nvidia-smi", f'#!/bin/sh\nprintf "{SMI}"\n')
    (tmp_path / "bin/nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert gpu.look(tmp_path).driver == "580.65.06"
    (tmp_path / "bin/nvidia-smi").write_text("#!/bin/sh\necho NVIDIA-SMI has failed; exit 9\n")
    assert gpu.look(tmp_path) == gpu.Seen(given=True)


@pytest.mark.parametrize(
    ("capability", "names", "runs"),
    [
        ((9, 0), ["sm_90"], True),
        ((8, 9), ["sm_86"], True),  # same major, newer
        ((8, 0), ["sm_86"], False),  # same major, older
        ((9, 0), ["sm_86"], False),  # another major
        ((12, 0), ["sm_100", "sm_120"], True),
        ((12, 1), ["sm_90", "compute_90"], True),  # PTX is compiled for what is newer
        ((7, 0), ["compute_75"], False),
        ((10, 3), ["sm_100a"], False),  # for exactly this one
        ((10, 0), ["sm_100a"], True),
        ((7, 0), ARCHITECTURES, False),
        ((9, 0), [], False),
    ],
)
def test_which_gpus_run_what_was_built(capability, names, runs):
    assert gpu.runs_on(capability, names) == runs


@pytest.mark.parametrize(
    ("seen", "torch", "mark", "says"),
    [
        (gpu.Seen(), TORCH, "note", "none; it trains on the CPU -> in a container: docker run --gpus all"),
        (gpu.Seen(on_bus=True), TORCH, "note", "install the NVIDIA driver, 580 or newer"),
        (
            gpu.Seen("580.65"),
            TORCH,
            "note",
            "no GPU is given to this process; it trains on the CPU -> in a container: docker run",
        ),
        (gpu.Seen("535.183.01", given=True), TORCH, "missing", "driver 535.183.01 is too old for CUDA 13.2"),
        (gpu.Seen("535.183.01", given=True), TORCH, "missing", "update the driver to 580 or newer"),
        (gpu.Seen("535.1", True), TORCH | {"cuda": "12.8"}, "missing", "which PyTorch cannot use: no driver"),
        (gpu.Seen("510.1", True), TORCH | {"cuda": "12.8"}, "missing", "update the driver to 525 or newer"),
        (gpu.Seen("580.1", True), TORCH | {"cuda": None}, "missing", "is a build for the CPU"),
        (gpu.Seen("580.1", True), {"error": "ImportError", "message": "x"}, "note", "mend torch first"),
        (gpu.Seen("580.1", True), TORCH | {"devices": [H100]}, "ok", "NVIDIA H100 (80 GiB), driver 580.1, CUDA"),
        (gpu.Seen("580.1", True), TORCH | {"devices": [H100, V100]}, "missing", "Tesla V100 has compute capab"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_told_with_the_reason(seen, torch, mark, says):
    finding = gpu.judge(seen, torch, hidden=False)
    assert finding.mark == mark
    assert says in line(finding)


def test_hidden_gpus_are_no_fault(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert runtime.hides_gpus()
    finding = gpu.judge(gpu.Seen("535.1", True), TORCH, hidden=True)
    assert finding.mark == "note"
    assert "hidden by CUDA_VISIBLE_DEVICES" in finding.found
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert not runtime.hides_gpus()


@pytest.mark.gpu
def test_a_gpu_that_torch_uses_is_ok():
    assert gpu.judge(gpu.look(), ask("torch"), hidden=False).mark == "ok"


# --- packages: with stand-ins, whose import takes no time


STANDINS = {
    "torch.py": "from types import SimpleNamespace as N\n"
    "__version__ = '2.15.0+cu132'\nversion = N(cuda='13.2')\nzeros = ones = lambda *shape: None\n"
    "def init(): raise RuntimeError('Found no NVIDIA driver\\non your system')\n"
    "cuda = N(get_arch_list=lambda: ['sm_90'], init=init)\n",
    "torchvision/__init__.py": "from types import SimpleNamespace as N\n"
    "__version__ = '0.29.2'\nops = N(nms=lambda *arguments: None)\n",
    "nvidia/__init__.py": "",
    "nvidia/dali/__init__.py": "__version__ = '2.4.0'\n__cuda_version__ = 13492\n",
}


@pytest.fixture
def standins(tmp_path, monkeypatch) -> Path:
    """Packages that a probe imports instead of the installed ones; a test breaks them."""
    for name, text in STANDINS.items():
        write(tmp_path / "standins" / name, text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "standins"))
    return tmp_path / "standins"


def test_packages_that_work_are_named_with_their_cuda(standins):
    torch, dali = ask("torch"), ask("dali")
    assert torch["gpu_error"] == "Found no NVIDIA driver"
    assert line(packages.torch(torch)) == "ok: torch 2.15.0+cu132 for CUDA 13.2, torchvision 0.29.2 -> "
    assert line(packages.loader("dali", dali, torch)) == "ok: dali by the preset; DALI 2.4.0 for CUDA 13 -> "


def test_a_torchvision_of_another_torch_is_told(standins):
    broken = "def nms(*arguments): raise RuntimeError('operator torchvision::nms does not exist')\n"
    (standins / "torchvision/__init__.py").write_text(f"{broken}class ops: nms = nms\n")
    finding = packages.torch(ask("torch"))
    assert finding.mark == "missing"
    assert "torchvision does not work with it: operator torchvision::nms does not exist" in finding.found


def test_a_torch_that_cannot_be_imported_or_crashes_is_told(standins):
    (standins / "torch.py").write_text("raise ImportError('libcudart.so.13: cannot open shared object file')\n")
    assert line(packages.torch(ask("torch"))) == (
        "missing: cannot be imported: libcudart.so.13: cannot open shared object file -> make setup"
    )
    (standins / "torch.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    assert "the process ended with code -11" in packages.torch(ask("torch")).found


def test_a_loader_that_is_missing_matters_when_the_preset_has_it(standins):
    (standins / "nvidia/dali/__init__.py").write_text("raise ImportError('no DALI here')\n")
    dali = ask("dali")
    assert "set the preset's loader to opencv" in line(packages.loader("dali", dali, TORCH))
    assert packages.loader("dali", dali, TORCH).mark == "missing"
    assert packages.loader("opencv", dali, TORCH).mark == "note"
    assert "CUDA 12" in packages.loader("dali", {"version": "2.4.0", "cuda": 12090}, TORCH).found
    assert packages.loader("dali", {"version": "2.4.0", "cuda": 12090}, TORCH).mark == "note"


def test_an_answer_that_does_not_come_is_an_error_and_leaves_no_process(standins):
    (standins / "torch.py").write_text("import time\ntime.sleep(600)\n")
    before = len(psutil.Process().children())
    with Question("torch", 0.0) as question:
        assert question.answer() == {"error": "Timeout", "message": "no answer within 0 seconds"}
    assert len(psutil.Process().children()) == before


def test_other_versions_than_those_of_the_lock_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert packages.versions().mark == "ok"
    shutil.copy(ROOT / paths().lock, paths().lock)
    pinned = packages.pins(paths().lock.read_text())
    assert {"torch", "torchvision", "dvc"} <= set(pinned)
    monkeypatch.setattr(runtime, "versions", lambda names: {"torch": "0.1+cu132", "dvc": "3.67.1", "timm": None})
    finding = packages.versions()
    assert finding.mark == "note"
    assert f"torch 0.1+cu132 instead of {next(iter(pinned['torch']))}" in finding.found
    assert "timm is missing instead of" in finding.found
    assert "dvc" not in finding.found


# --- the machine


def test_memory_is_what_the_system_says():
    total, available = machine.meminfo(Path("/proc/meminfo").read_text())
    assert total == psutil.virtual_memory().total
    assert abs(available - psutil.virtual_memory().available) < 0.2 * total


def test_too_little_memory_for_the_cores_is_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "cores", lambda: 4)
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    write(tmp_path / "proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    assert line(machine.memory(tmp_path)) == "ok: 16.4 GB; 8.2 GB free -> "
    write(tmp_path / "sys/fs/cgroup/memory.max", "2000000000\n")
    finding = machine.memory(tmp_path)
    assert finding.mark == "note"
    assert "2.0 GB by the limit of this container or session, of 16.4 GB; 2.0 GB free" in finding.found


def test_no_place_for_temporary_files_is_missing(monkeypatch):
    assert machine.temporary().mark == "ok"
    monkeypatch.setattr(machine.tempfile, "tempdir", None)
    monkeypatch.setattr(machine.tempfile, "_candidate_tempdir_list", lambda: ["/nowhere"])
    assert "docker run --tmpfs /tmp" in machine.temporary().remedy


def test_processes_that_cannot_talk_are_missing(monkeypatch):
    assert machine.processes().mark == "ok"

    def refuse():
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(machine.multiprocessing, "get_context", refuse)
    assert "/dev/shm" in machine.processes().found


# --- the project


def test_outside_a_project_and_with_a_typo_the_settings_are_missing(project, tmp_path, monkeypatch):
    finding, settings = place.settings()
    assert settings == config.load()
    assert "preset quick, data set sample, 9 runs" in finding.found
    edit(shared__epochz=3)
    finding, settings = place.settings()
    assert (finding.mark, settings) == ("missing", None)
    assert "shared.epochz" in finding.found
    monkeypatch.chdir(tmp_path)
    finding, settings = place.settings()
    assert (finding.mark, settings) == ("missing", None)
    assert f"no params.yaml in {tmp_path} or above" in finding.found


def test_git_that_does_not_work_is_told_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "not a repository" in line(place.git())
    call("git", "init", "-q")
    assert "a repository without a commit" in line(place.git())
    call("git", "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-q", "--allow-empty", "-m", "first")
    assert line(place.git()).startswith("ok: at commit ")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to test this
    finding = place.git()
    assert finding.mark == "missing"
    assert f"belongs to user {os.geteuid()}" in finding.found
    assert "safe.directory" in finding.remedy
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")
    monkeypatch.setenv("PATH", "/nowhere")
    assert "not installed" in line(place.git())


def test_a_worktree_without_its_repository_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    call("git", "init", "-q", str(tmp_path / "main"))
    commit = ("-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-q", "--allow-empty", "-m", "first")
    call("git", "-C", str(tmp_path / "main"), *commit)
    call("git", "-C", str(tmp_path / "main"), "worktree", "add", "-q", str(tmp_path / "worktree"))
    monkeypatch.chdir(tmp_path / "worktree")
    assert place.git().mark == "ok"
    (tmp_path / "main").rename(tmp_path / "elsewhere")
    finding = place.git()
    assert finding.mark == "missing"
    assert f"a worktree of {tmp_path}/main/.git/worktrees/worktree, which is not here" in finding.found


def test_a_folder_that_may_not_be_written_is_told_with_its_owner(project, monkeypatch):
    assert place.writable().mark == "ok"
    # the tests may run as root, whom no mode stops
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != Path("data"))
    finding = place.writable()
    assert finding.mark == "missing"
    assert f"data: belongs to uid {os.geteuid()} and cannot be written" in finding.found
    assert "--user" in finding.remedy
    read_only = os.statvfs_result((0,) * 8 + (os.ST_RDONLY, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: read_only)
    assert "mount it writable" in place.writable().remedy


# --- data, weights, disk


def test_raw_data_that_is_not_there_says_how_to_obtain_it(project):
    assert line(data.raw(config.load())) == "ok: sample in data/raw/sample -> "
    listed = paths().near_duplicates("sample")
    for pairs, mark in ((0, "ok"), (2, "note")):
        write(listed, "sample,other,group,other_group,distance,mirrored\n" + "a,b,01,02,3,0\n" * pairs)
        assert data.raw(config.load()).mark == mark
    assert "near-duplicates in 2 pairs of groups" in data.raw(config.load()).found
    catalog = paths().catalog.read_text("utf-8")
    paths().catalog.write_text(catalog.replace("sample:\n", "sample:\n  near_duplicates: join\n", 1), "utf-8")
    assert data.raw(config.load()).mark == "ok"
    shutil.rmtree(paths().raw("sample"))
    assert data.raw(config.load()).mark == "ok"  # the pipeline makes it
    edit(dataset="dff")
    assert line(data.raw(config.load())) == "missing: data/raw/dff is not there -> deepfake data fetch dff"
    write(Path("data/raw/dff.dvc"), "outs: []\n")
    assert data.raw(config.load()).remedy == "dvc pull data/raw/dff.dvc"
    paths().raw("dff").symlink_to("/nowhere/dff")
    assert "is a link to /nowhere/dff, which is not here" in data.raw(config.load()).found
    edit(dataset="smple")
    assert "did you mean sample?" in data.raw(config.load()).found


def test_weights_that_are_not_there_are_named(project):
    assert "every model starts from scratch" in data.weights(config.load()).found
    edit(
        preset="full",
        presets__full__top=1,
        studies__phase1__runs__backbone_low__model="resnet18",
        model="tf_efficientnet_lite0",
    )
    finding = data.weights(config.load())
    assert finding.mark == "note"
    # one starts from scratch always, one comes in a package
    assert finding.found == "ImageNet weights of resnet18 are not in data/weights"
    write(paths().weights("resnet18"), "")
    assert data.weights(config.load()).mark == "ok"


def test_the_disk_is_measured_by_the_arrays_that_a_study_makes(project, runner, monkeypatch):
    # what is made of another data set lies elsewhere
    away = {"dataset": UNION, "augmentation": "full", "view": "crop_high", "model": "simple_cnn"}
    high = {"geometry": "crop", "face_crop": False, "resolution": "high"}
    edit(custom__augmentation="full", studies__phase3__runs__away=away, views__crop_high=high)
    arrays = {("crop_low", 32), ("crop_low", 48), ("crop_high", 40)}
    assert "known after the ingest" in data.space(config.load()).found
    for command in ("ingest sample", "split sample"):
        assert runner.invoke(cli.main, command.split()).exit_code == 0
    assert {(view.view, view.size) for view in data.arrays(config.load())} == arrays
    edit(custom__augmentation="full")
    needed = 144 * 3 * (32**2 + 48**2)  # the view, and 1.5 times as large for augmentation

    def free(count: int) -> Finding:
        monkeypatch.setattr(data.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(count, 0, count))
        return data.space(config.load())

    assert free(needed).mark == "ok"
    assert free(needed - 1).mark == "missing"
    monkeypatch.undo()
    monkeypatch.chdir(project)
    assert runner.invoke(cli.main, ["views", "sample"]).exit_code == 0
    (array,) = paths().cache("sample").iterdir()
    assert 0 < array.stat().st_size - 144 * 3 * 32**2 < 200  # its header
    rest = 144 * 3 * 48**2
    assert (free(rest).mark, free(rest - 1).mark) == ("ok", "missing")


# --- DVC


def test_a_folder_without_dvc_or_its_repository_is_a_note(project, monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    finding = versioned.repository(ask("dvc"))
    assert finding.mark == "note"
    assert "no DVC repository here" in finding.found
    write(tmp_path / "dvc.py", "raise ModuleNotFoundError('No module named dvc')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = versioned.repository(ask("dvc"))
    assert finding.mark == "missing"  # all studies run through it
    assert "not installed" in finding.found


def test_the_kind_of_link_is_the_first_that_is_wanted_and_works(repository):
    configure("[cache]", "type = symlink,copy")
    answer = ask("dvc")
    assert line(versioned.repository(answer)).startswith("ok: DVC 3.67.1, gives out files of its cache by symlink")
    assert not [path for path in repository.iterdir() if path.name.endswith(".tmp")]
    assert "all is kept twice" in versioned.repository(answer | {"works": []}).found
    assert versioned.repository(answer | {"types": ["reflink"], "works": []}).mark == "missing"
    assert "about 4.0 GB" not in versioned.space(answer, config.load()).found  # two folds
    assert "take about 2.0 GB" in versioned.space(answer, config.load()).found


def test_a_remote_that_is_a_folder_is_looked_for(repository, tmp_path):
    finding = versioned.remote(ask("remote"))
    assert (finding.mark, "none is the default:" in finding.found) == ("note", True)
    configure("['remote \"storage\"']", "url = storage")
    assert "there are: storage" in versioned.remote(ask("remote")).found
    configure("[core]", "remote = storage", "['remote \"storage\"']", "url = storage")
    finding = versioned.remote(ask("remote"))
    assert (finding.mark, "the first dvc push makes it" in finding.found) == ("ok", True)
    configure("[core]", "remote = shared", "['remote \"shared\"']", f"url = {tmp_path / 'shared'}")
    assert f"mkdir -p {tmp_path / 'shared'}" in versioned.remote(ask("remote")).remedy
    (tmp_path / "shared").mkdir()
    assert versioned.remote(ask("remote")).mark == "ok"


@pytest.mark.slow
def test_a_remote_in_the_network_is_reached_with_the_right_credentials(repository, monkeypatch):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        bucket = ("['remote \"bucket\"']", "url = s3://bucket/deepfake", f"endpointurl = http://{host}:{port}")
        configure("[core]", "remote = bucket", *bucket)
        finding = versioned.remote(ask("remote"))
        assert finding.mark == "note"
        assert "AWS_ACCESS_KEY_ID" in finding.remedy
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        assert "is not there, or cannot be seen" in versioned.remote(ask("remote")).found
        import boto3

        boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(Bucket="bucket")
        assert line(versioned.remote(ask("remote"))).startswith("ok: bucket (s3://bucket/deepfake) can be reached")
    finally:
        server.stop()
    finding = versioned.remote(ask("remote", 5))  # it would try for long
    assert finding.mark == "note"
    assert "cannot be reached" in finding.found


# --- the command


def lines(result) -> list[str]:
    return result.stdout.splitlines()


def test_a_healthy_project_needs_nothing(repository, standins, runner):
    call("git", "add", "params.yaml")
    call("git", "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-q", "-m", "first")
    result = runner.invoke(cli.main, ["doctor"])
    assert result.exit_code == 0, result.output
    shown = {text[9:20].strip(): text[:9].strip() for text in lines(result)[:-1]}
    assert list(shown) == [
        *("project", "git", "folder", "cores", "memory", "temporary", "processes", "data set", "weights", "disk"),
        *("versions", "DVC", "DVC cache", "remote", "torch", "loader", "GPU"),
    ]
    assert lines(result)[-1].startswith("nothing missing, ")


def test_outside_a_project_all_that_can_be_looked_at_is(tmp_path, standins, monkeypatch, runner):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    (standins / "torch.py").write_text("raise ImportError('broken')\n")
    monkeypatch.setattr(examination.machine, "memory", lambda: 1 / 0)
    result = runner.invoke(cli.main, ["doctor"])
    assert result.exit_code == 1
    assert lines(result)[0].startswith(f"missing  project    no params.yaml in {tmp_path}/empty or above -> cd to the")
    assert "note     memory     could not be looked at (ZeroDivisionError: division by zero)" in lines(result)
    assert "missing  torch      cannot be imported: broken -> make setup" in lines(result)
    assert lines(result)[-2].startswith(("note     GPU", "missing  GPU"))
    assert lines(result)[-1].startswith("2 missing, ")
    assert not list((tmp_path / "empty").iterdir())


@pytest.mark.slow
def test_the_packages_installed_here_work(project, runner):
    result = runner.invoke(cli.main, ["doctor"])
    marks = {text[9:20].strip(): text for text in lines(result)[:-1]}
    assert marks["torch"].startswith("ok")
    assert marks["loader"].startswith("ok")
