"""Nothing but `modalities` and `models` asks which modality it has: all goes through the protocol."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT
from deepfake.modalities import MODALITIES

SOURCE = ROOT / "src/deepfake"
ALLOWED = {
    "bench": "compares decoders and augmentations of images, which is its subject",
    "config/params.py": "says which schema a section of params.yaml has",
    "reports/site/markdown.py": "knows a picture among the tokens of Markdown",
    "studies/faces.py": "finds faces, which are in pictures alone",
    "studies/previews.py": "draws what views show of pictures",
    "inference/seeing.py": "crops faces of pictures that it is given",
    "inference/verdicts.py": "loads the detector of faces where a view crops them",
}
"""The modules, or folders of such, that may know a modality by its name, each with the reason."""


def modules() -> list[Path]:
    """Return all modules but those of modalities and models."""
    found = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))
    return [path for path in found if path.parts[0] not in ("modalities", "models")]


def faults(text: str) -> Iterator[str]:
    """Yield where a module compares something with the name of a modality, or imports one."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            listed = [each for side in sides for each in getattr(side, "elts", [side])]
            if any(isinstance(each, ast.Constant) and each.value in MODALITIES for each in listed):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in named:
            if name.removeprefix("deepfake.modalities.").partition(".")[0] in MODALITIES and name.startswith(
                "deepfake."
            ):
                yield f"line {node.lineno}: import of {name}"


def allowed(path: Path) -> bool:
    return any(part in ALLOWED for part in (path.as_posix(), path.parts[0]))


def test_no_module_asks_which_modality_it_has():
    found = {
        path.as_posix(): told
        for path in modules()
        if not allowed(path) and (told := list(faults((SOURCE / path).read_text(encoding="utf-8"))))
    }
    assert not found


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_is_there_and_needs_it(name):
    place = SOURCE / name
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert any(list(faults(path.read_text(encoding="utf-8"))) for path in files)


@pytest.mark.parametrize(
    "text",
    [
        'if modality == "audio": pass',
        'x = "video" != view.modality',
        'ok = modality in ("image", "video")',
        "from deepfake.modalities.image import features",
        "from deepfake.modalities import audio",
        "import deepfake.modalities.video.decoding",
    ],
)
def test_each_way_to_ask_is_seen(text):
    assert list(faults(text))


@pytest.mark.parametrize(
    "text", ["from deepfake.modalities import load", 'study = "audio"', 'if study == "phase1": pass']
)
def test_what_asks_nothing_is_passed(text):
    assert not list(faults(text))
