"""A project small enough to run whole in a test: its own params, catalog and a tiny data set of zip archives."""

import copy
import hashlib
import io
import os
import random
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from deepfake import runtime, tables
from deepfake.evaluation import face_rates
from deepfake.project import Project, paths

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"wiki": 0, "inpainting": 1, "insight": 1, "text2img": 1}
GONE = type("Gone", (), {"__repr__": lambda self: "GONE"})()  # its name is the same in every process
"""Instead of a value in `changed`: the key is taken away."""


Project(Path()).enter()  # tests work in the folder that they are in, as commands do


def changed(values: dict, changes: dict[str, Any]) -> dict:
    """Return a copy of nested values with some changed, added or taken away, by dotted path."""
    values = copy.deepcopy(values)
    for path, value in changes.items():
        *above, last = path.split(".")
        section = values
        for key in above:
            section = section[key]
        if value is GONE:
            del section[last]
        else:
            section[last] = value
    return values


def tiny_params() -> dict:
    """Return the committed params with sizes that train in a second, and with as few runs as studies allow.

    Names of runs stay; timm alone would take seconds to import each time.
    """
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values["presets"]["quick"] |= {
        "folds": 2,
        "repeats": 1,
        "test_ratio": 0.1,
        "epochs": {"short": 2, "base": 2, "long": 2},
        "roles": {"backbone": {"model": "simple_cnn", "train": "all"}},
        "resolution": {"low": 32, "high": 40},
        "fraction": {"small": 1.0, "medium": 1.0, "all": 1.0},
    }
    values["shared"]["precision"] = "fp32"
    plain = {"model": "simple_cnn", "view": "crop_low"}
    for study in ("audio", "video"):
        del values["studies"][study]
    values["studies"] |= {
        "phase1": {
            "runs": {"simple_cnn_low": plain, "backbone_low": plain | {"loss": {"type": "bce_pos_weight"}}},
            "baselines": ["simple_cnn_low"],
        },
        # a study has at least one run
        "phase2": {"runs": {"simple_cnn_high": plain | {"batch_size": 31}}},
        "phase3": {"runs": {"simple_cnn_best": plain | {"batch_size": 30}}},
        "generalization": {
            "datasets": [],
            "union": [],
            "runs": {"simple_cnn_in_domain": plain | {"batch_size": 29}},
        },
    }
    values["studies"]["imbalance"] |= {
        "base": {},
        "runs": {"balance_bce": plain | {"batch_size": 28}},
        "baselines": ["balance_bce"],
        "detail": [],
    }
    values["studies"]["shortcuts"] |= {"views": [], "runs": []}
    values["studies"]["robustness"]["runs"] = []
    values["presets"]["quick"]["top"] = 1
    values["custom"] |= {"view": "crop_low", "augmentation": "none"}
    values["views"] = {"crop_low": {"geometry": "crop", "face_crop": False, "resolution": "low"}}
    return values


def stages(values: dict, committed: dict | None = None) -> dict[str, dict]:
    """Return every stage of dvc.yaml, or of those given, with its templates filled in from params.

    A foreach stage appears once an item, as `name@item`.
    """
    found = {}
    committed = committed or yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    for name, stage in committed.items():
        if "foreach" not in stage:
            found[name] = _filled(stage, values)
            continue
        items = _filled(stage["foreach"], values)
        for key, item in items.items() if isinstance(items, dict) else ((one, one) for one in items):
            found[f"{name}@{key}"] = _filled(stage["do"], values | {"key": key, "item": item})
    return found


def _filled(entry: Any, names: dict) -> Any:
    """Return an entry of dvc.yaml with its templates (`${a.b}`) replaced; one that stands alone may be a mapping."""

    def value_at(path: str) -> Any:
        value = names
        for key in path.split("."):
            value = value[key]
        return value

    if isinstance(entry, dict):
        return {_filled(key, names): _filled(value, names) for key, value in entry.items()}
    if isinstance(entry, list):
        return [_filled(value, names) for value in entry]
    if not isinstance(entry, str):
        return entry
    alone = re.fullmatch(r"\$\{([\w.]+)\}", entry)
    if alone:
        return value_at(alone.group(1))
    return re.sub(r"\$\{([\w.]+)\}", lambda match: str(value_at(match.group(1))), entry)


def declared_paths(stage: dict, *kinds: str) -> set[str]:
    """Return the paths that a stage declares as its deps, outs, metrics or plots."""
    entries = [entry for kind in kinds for entry in stage.get(kind, [])]
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


TINY_WIDTH, TINY_HEIGHT = 48, 40
"""Not square, so that every geometry shows something else."""


AWAY = {
    "sample_edited": {"camera": 0, "paste": 1, "morph": 1, "liquify": 1},
    "sample_resent": SOURCES,
}
"""The sources of the other embedded data sets, whose groups are those of the sample."""


def write_tiny_archives(
    raw: Path, groups: int = 12, per_group: int = 3, *, sources: dict[str, int] = SOURCES, seed: int = 0
) -> None:
    """Write one archive a source; fakes carry a faint pattern, so that there is something to learn."""
    raw.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    stripes = 12 * (np.arange(TINY_WIDTH) % 2)[None, :, None]
    for source, label in sources.items():
        with zipfile.ZipFile(raw / f"{source}.zip", "w") as archive:
            for group in range(groups):
                for number in range(per_group):
                    noise = rng.normal(120, 30, (TINY_HEIGHT, TINY_WIDTH, 3)) + label * stripes
                    pixels = noise.clip(0, 255).astype(np.uint8)
                    # two formats, because backends decode the one and leave the other to PIL
                    form, suffix, options = (("PNG", "png", {}), ("JPEG", "jpg", {"quality": 95}))[number % 2]
                    archive.writestr(f"{group:02d}/{number}.{suffix}", encoded(pixels, form, **options))


def encoded(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    """Return an image of uint8 [height, width, 3] as a file's bytes."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


def as_shown(data: bytes, region: tuple[int, int, int, int], size: int) -> np.ndarray:
    """Return what a backend should make of a file, by PIL alone: cut out, black beyond the image, antialiased."""
    image = Image.open(io.BytesIO(data)).convert("RGB").crop(region)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def write_pictures(raw: Path, pictures: list[tuple[str, str, bytes]]) -> pd.DataFrame:
    """Write files and return their rows as `tables.SAMPLES` and `tables.MEDIA` have them; every other one is a fake.

    Args:
        raw: the folder to write into.
        pictures: archive (or ""), path and bytes of each.
    """
    rows = []
    for number, (archive, path, data) in enumerate(pictures):
        place = raw / archive if archive else raw / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if archive:
            with zipfile.ZipFile(place, "a") as members:
                members.writestr(path, data)
        else:
            place.write_bytes(data)
        image = Image.open(io.BytesIO(data))
        rows.append(
            {
                "sample_id": f"{archive}/{path}",
                "clip_id": f"{archive}/{path}",
                "archive": archive,
                "path": path,
                "dataset": "sample",
                "modality": "image",
                "label": number % 2,
                "source": "a",
                "group": str(number),
                "published": "",
                "width": image.width,
                "height": image.height,
                "format": image.format,
                "mode": image.mode,
                "fingerprint": "",
                "notes": "",
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
    return pd.DataFrame(rows)


FACE_BOX = (10.0, 8.0, 26.0, 24.0)
"""The face that `write_tiny_faces` finds in two of three images of the tiny data set."""


def write_tiny_faces() -> None:
    """Write what `deepfake faces` leaves, without a detector: the tiny images show noise."""
    samples = tables.read(paths().samples("sample"), tables.SAMPLES)
    faces = pd.DataFrame(0.0, index=samples.index, columns=list(tables.FACES.columns))
    faces = faces.assign(sample_id=samples["sample_id"], faces=(np.arange(len(samples)) % 3 > 0).astype(int))
    faces.loc[faces["faces"] > 0, ["left", "top", "right", "bottom"]] = FACE_BOX
    tables.write(faces, paths().faces("sample"), tables.FACES)
    tables.write_csv(face_rates.summary(faces, samples), paths().table("faces_sample"))


def pytest_configure(config: pytest.Config) -> None:
    """Prepare processes that run tests side by side (`pytest -n`): a thread each, and the same names of tests."""
    if hasattr(config, "workerinput"):
        # commands that a test starts put sets in an order of their own each
        os.environ.pop("PYTHONHASHSEED", None)
    elif config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        # tests are named after their parameters, sets among them
        os.environ.setdefault("PYTHONHASHSEED", str(random.randrange(2**32)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return what `-n auto` means: the cores that we may use, as long as there is enough work for them."""
    return min(runtime.cores(), 8)


SHARED = ("finished_study", "crossed", "balanced", "original", "raw", "traced")
"""Fixtures that take long to make: of processes that run tests side by side, one has all tests of such a fixture."""
LONGEST = ("test_whole_study.py", "test_dvc.py")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say what stays together under `pytest -n --dist loadgroup`, and put first what takes long."""
    if not hasattr(config, "workerinput"):
        return
    ranks = {}
    for item in items:
        shared = next((name for name in SHARED if name in getattr(item, "fixturenames", ())), None)
        if shared:
            item.add_marker(pytest.mark.xdist_group(shared))
        ranks[item] = (item.path.name not in LONGEST, not shared, not item.get_closest_marker("slow"))
    items.sort(key=ranks.__getitem__)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def tiny_raw(tmp_path_factory) -> Path:
    raw = tmp_path_factory.mktemp("tiny") / "sample"
    write_tiny_archives(raw)
    return raw


def write_noise(raw: Path, form: str, width: int, height: int, groups: int = 12) -> None:
    """Write one archive a source, each with a picture of noise for every group."""
    rng = np.random.default_rng(0)
    for source in SOURCES:
        with zipfile.ZipFile(raw / f"{source}.zip", "w") as archive:
            for group in range(groups):
                pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
                archive.writestr(f"{group}/0.{form.lower()}", encoded(pixels, form))


def write_tiny_away(root: Path) -> None:
    """Write tiny versions of the other embedded data sets into a project."""
    for seed, (name, sources) in enumerate(AWAY.items(), start=1):
        write_tiny_archives(root / "data/raw" / name, sources=sources, seed=seed)


def make_project(root: Path, raw: Path) -> Path:
    """Make a project with raw data and nothing else."""
    (root / "data/raw").mkdir(parents=True)
    shutil.copytree(raw, root / "data/raw/sample")
    shutil.copy(ROOT / "data/catalog.yaml", root / "data/catalog.yaml")
    (root / "params.yaml").write_text(yaml.safe_dump(tiny_params(), sort_keys=False))
    return root


@pytest.fixture
def project(tmp_path, monkeypatch, tiny_raw) -> Path:
    """A project with raw data, as the current folder."""
    root = make_project(tmp_path / "project", tiny_raw)
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def imported_before_the_fork() -> None:
    """Import what an optimiser takes seconds to import: a forked worker has what its parent has."""
    import torch._dynamo  # noqa: F401


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny_raw, imported_before_the_fork):
    """A project in which one experiment has been run by several processes, and its outcome."""
    from tiny_study import run_first_experiment

    root = tmp_path_factory.mktemp("finished") / "project"
    return root, run_first_experiment(root, tiny_raw)


@pytest.fixture
def outcome(finished, monkeypatch):
    """The outcome, with its project as the current folder; not to be changed."""
    monkeypatch.chdir(finished[0])
    return finished[1]


@pytest.fixture
def copied(finished, tmp_path, monkeypatch):
    """A copy of the finished project as the current folder."""
    shutil.copytree(finished[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Give a function that writes runs of chosen qualities into an empty project and returns its settings."""
    import synthetic_study
    from deepfake import config

    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values = changed(values, {"presets.quick.folds": 4})
    paths().catalog.parent.mkdir(parents=True)
    shutil.copy(ROOT / paths().catalog, paths().catalog)

    def write(quality: dict[str, float], *, candidates: bool = False, **changes):
        found = changed(values, {path.replace("__", "."): value for path, value in changes.items()})
        paths().params.write_text(yaml.safe_dump(found, sort_keys=False))
        settings = config.load()
        synthetic_study.write_study(settings, quality, candidates=candidates, own=0.0, plots=candidates)
        return settings

    return write


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()
