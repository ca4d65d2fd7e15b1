"""The image of the Dockerfile, built and run with podman."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from conftest import ROOT

FULL = os.environ.get("DEEPFAKE_IMAGE") == "full"
"""Whether the image has all packages; otherwise those that nothing but training needs are left out, 5 GB of them."""
HEAVY = "torch|torchvision|triton|timm|facenet-pytorch|nvidia-.*|cuda-.*"
IMAGE = "localhost/deepfake-test:" + ("full" if FULL else "light")
REVISION = "0123456789abcdef0123456789abcdef01234567"
OWNER = (4321, 4321) if os.geteuid() == 0 else (os.getuid(), os.getgid())
"""Who calls the container: not the image's own user, and not root."""
HARDENED = (
    *("--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
    # a caller who is not root keeps the uid inside
    *(() if os.geteuid() == 0 else ("--userns=keep-id",)),
)

_BASE = "docker.io/library/debian:bookworm-slim"
_STAND_IN = "localhost/deepfake-base:bookworm"
_RESTRICTED = """[containers]
default_ulimits = []
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
"""For a machine where podman may not raise limits, and where systemd does not manage the control groups."""


def podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run podman; the output is text."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)
    if check:
        assert done.returncode == 0, f"podman {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done


def build(folder: Path) -> None:
    """Build the image.

    Args:
        folder: for podman's configuration, should it need one of its own.
    """
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed: apt-get install podman runc conmon debootstrap")
    base = _base()
    if podman("run", "--rm", "--network=none", base, "true", check=False).returncode:
        file = folder / "containers.conf"
        file.write_text(_RESTRICTED)
        os.environ["CONTAINERS_CONF"] = str(file)
        done = podman("run", "--rm", "--network=none", base, "true", check=False)
        if done.returncode:
            pytest.skip(f"podman can run no container here: {done.stderr.strip()}")
    arguments = {"BASE_IMAGE": base, "REVISION": REVISION, "WITHOUT": "" if FULL else HEAVY}
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    podman("build", "--network=host", *given, "--tag", IMAGE, str(ROOT))


def _base() -> str:
    """Return the base image: the Dockerfile's own, or what stands for it where no registry can be reached."""
    for name in (_BASE, _STAND_IN):
        if podman("image", "exists", name, check=False).returncode == 0:
            return name
    if podman("pull", "--quiet", _BASE, check=False).returncode == 0:
        return _BASE
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        pytest.skip(f"{_BASE} cannot be pulled, and a stand-in takes debootstrap and root")
    script = Path(__file__).parent / "stand_in_base.sh"
    done = subprocess.run([str(script), "bookworm", _STAND_IN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return _STAND_IN


def run(*command: str, flags: tuple[str, ...] = (), user: tuple[int, int] | None = OWNER) -> tuple[int, str]:
    """Run the image, without network and without rights, on a read-only root.

    Args:
        command: what comes after the image's name.
        flags: podman's.
        user: uid and gid; None for the image's own.

    Returns:
        The exit code, and all that was printed.
    """
    who = () if user is None else (f"--user={user[0]}:{user[1]}",)
    done = podman("run", "--rm", *HARDENED, *who, *flags, IMAGE, *command, check=False)
    return done.returncode, done.stdout + done.stderr


@cache
def facts() -> dict:
    """Return what podman knows of the image."""
    import json

    return json.loads(podman("inspect", IMAGE).stdout)[0]
