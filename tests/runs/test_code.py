"""The digest of the code: that of a module and of all that it imports, and of nothing else."""

import shutil
from pathlib import Path

import grimp
import pytest

from deepfake import modalities, runtime
from deepfake.runs import code

FOLD = "deepfake.runs.fold"


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("deepfake", cache_dir=None)


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A copy of the package's files, whose digests count; it is not imported."""
    root = tmp_path / "deepfake"
    shutil.copytree(Path(runtime.__file__).parent, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(runtime, "__file__", str(root / "runtime.py"))
    return root


def digest(module: str, modality: str = "image") -> str:
    """Return a digest as another process would find it."""
    code.digest.cache_clear()
    return code.digest(module, modality)


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    code.digest.cache_clear()


@pytest.mark.parametrize(
    "path",
    [
        "runs/fold.py",
        "training/engine.py",
        "models/backbones.py",
        "modalities/image/augmentation.py",
        "modalities/image/dali.py",
        "modalities/image/opencv.py",
        "modalities/image/pil.py",
        "datasets/splits.py",
        "evaluation/thresholds.py",
    ],
)
def test_a_module_that_training_imports_changes_its_digest(source, path):
    before = digest(FOLD)
    assert digest(FOLD) == before
    with (source / path).open("a") as file:
        file.write("# changed\n")
    assert digest(FOLD) != before


@pytest.mark.parametrize(
    ("path", "changing"),
    [
        ("modalities/audio/front_ends.py", {"audio"}),
        ("modalities/audio/augmentation.py", {"audio"}),
        ("modalities/audio/effects.py", {"audio"}),
        ("modalities/chance.py", set(modalities.MODALITIES)),
        ("modalities/audio/features.py", set()),
        ("modalities/audio/shown.py", set()),
        ("modalities/video/features.py", set()),
        ("modalities/image/pil.py", {"image", "video"}),
        ("modalities/base.py", set(modalities.MODALITIES)),
    ],
)
def test_a_modality_changes_the_digests_of_those_that_work_on_it(source, path, changing):
    before = {name: digest(FOLD, name) for name in modalities.MODALITIES}
    with (source / path).open("a") as file:
        file.write("# changed\n")
    assert {name for name in modalities.MODALITIES if digest(FOLD, name) != before[name]} == changing


@pytest.mark.parametrize("path", ["studies/phases/page.py", "studies/comparison.py", "cli/study.py", "runs/store.py"])
def test_one_that_it_does_not_import_changes_nothing(source, path):
    before = digest(FOLD)
    with (source / path).open("a") as file:
        file.write("# changed\n")
    assert digest(FOLD) == before


def test_files_are_those_of_modules_and_packages(graph):
    found = code.files(graph, ["deepfake.datasets.splits"])
    assert found == [
        *("datasets/class_ratio.py", "datasets/components.py", "datasets/splits.py", "errors.py", "tables/__init__.py"),
    ]
    assert "config/__init__.py" in code.files(graph, [FOLD])
