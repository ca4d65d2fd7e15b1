"""What can be said of the image without building it; test_image.py builds it."""

import fnmatch
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from conftest import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
SCRIPTS = ["deploy/entrypoint.sh", ".ci/run", "tests/stand_in_base.sh"]


def test_hadolint_has_nothing_to_say():
    done = subprocess.run(["hadolint", str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_has_nothing_to_say(script):
    done = subprocess.run(["shellcheck", str(ROOT / script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert (ROOT / script).stat().st_mode & 0o111, "not executable"


def allowed(path: str) -> bool:
    """Tell whether .dockerignore lets a path into the build; the last pattern that fits decides."""
    verdict = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or line.startswith("#"):
            continue
        parents = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
        if any(fnmatch.fnmatch(f"/{place}", f"*/{pattern.removeprefix('**/')}") for place in parents):
            verdict = line.startswith("!")
    return verdict


def test_what_is_copied_gets_into_the_build_and_nothing_that_was_made_does():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()} - {"."}
    assert "requirements.lock" in sources
    for source in sources:
        assert (ROOT / source).exists()
        assert allowed(source), source
    made = [".git/config", ".dvc/config.local", ".dvc/storage/files", ".venv/bin/python", "data/raw/sample/wiki.zip"]
    made += ["runs/custom/config.json", ".scratch/x", "src/deepfake/__pycache__/cli.pyc", "reports/summary.md"]
    assert not [path for path in made if allowed(path)]


def pins(name: str) -> dict[str, str]:
    """Return the versions of a lock by package."""
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))


def test_what_the_image_has_for_ray_is_all_that_it_lacks_otherwise():
    """Its own lock holds nothing that the others pin; tests and image have the same Ray."""
    ray, others = pins("requirements-ray.lock"), pins("requirements.lock") | pins("requirements-weights.lock")
    assert not ray.keys() & others.keys()
    assert ray["ray"] == pins("requirements-dev.lock")["ray"]
    assert {"grpcio", "aiohttp-cors", "msgpack", "protobuf"} <= ray.keys()  # client, dashboard, core
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert list(wanted) == ["ray"]
    assert '${EXTRAS:+"requirements-$EXTRAS.lock"}' in DOCKERFILE


def test_packages_come_from_the_lock_by_their_hashes_and_nobody_is_root():
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert len(installs) == 3
    assert sum("--require-hashes" in line for line in installs) == 2
    assert "--no-deps --no-build-isolation" in DOCKERFILE.split("AS package")[1].split("\nFROM")[0]  # our own code
    last = DOCKERFILE.rsplit("\nFROM", 1)[1]
    assert re.search(r"^USER 1000:1000$", last, re.MULTILINE)
    assert not re.search(r"^(ADD|VOLUME|ENV .*(TOKEN|SECRET|PASSWORD))", DOCKERFILE, re.MULTILINE)
