"""A project small enough to run whole in a test: its own params, catalog and a tiny data set of zip archives."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"wiki": 0, "inpainting": 1, "insight": 1, "text2img": 1}


def tiny_params() -> dict:
    """Return the committed params with sizes that train in a second."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values["presets"]["quick"] |= {
        "folds": 2,
        "epochs": 2,
        "resolution": {"low": 32, "high": 40},
        "fraction": {"small": 1.0, "medium": 1.0, "all": 1.0},
    }
    values["shared"]["precision"] = "fp32"
    values["evaluation"]["bootstrap_replicates"] = 200
    # the names stay, because the pipeline's stages have them; timm alone would take seconds to import each time
    values["experiments"]["resnet18_low"] = {"model": "simple_cnn", "loss": "bce_balanced"}
    return values


def write_tiny_archives(raw: Path, groups: int = 12, per_group: int = 3) -> None:
    """Write one archive a source; fakes carry a faint pattern, so that there is something to learn."""
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    stripes = 12 * (np.arange(40) % 2)[None, :, None]
    for source, label in SOURCES.items():
        with zipfile.ZipFile(raw / f"{source}.zip", "w") as archive:
            for group in range(groups):
                for number in range(per_group):
                    pixels = rng.normal(120, 30, (40, 40, 3)) + label * stripes
                    buffer = io.BytesIO()
                    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
                    archive.writestr(f"{group:02d}/{number}.png", buffer.getvalue())


@pytest.fixture(scope="session")
def tiny_raw(tmp_path_factory) -> Path:
    raw = tmp_path_factory.mktemp("tiny") / "sample"
    write_tiny_archives(raw)
    return raw


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


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()
