"""What the metadata.json of DFDC says: for each video its label, and of which original a fake is made."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deepfake import tables
from deepfake.datasets.label_vocabulary import meaning
from deepfake.datasets.layouts.listing import composed
from deepfake.errors import InputError

NAME = "metadata.json"


class Clip(NamedTuple):
    """A video: its label, and the name of its original without suffix; a real one is its own."""

    label: int
    original: str


def read(raw: Path, paths: Iterable[str]) -> dict[str, Clip]:
    """Read every metadata.json.

    Args:
        raw: the folder that the paths start from.
        paths: of all files.

    Returns:
        The clips, by their names without suffix.

    Raises:
        InputError: there is none, one is not DFDC's, or two say different things of a clip.
    """
    clips: dict[str, Clip] = {}
    found = [path for path in paths if PurePosixPath(path).name == NAME]
    if not found:
        raise InputError(f"{raw}: no {NAME} in it; adapter metadata reads the labels of DFDC from there")
    for path in found:
        for name, clip in _clips(raw / path):
            if clips.setdefault(name, clip) != clip:
                raise InputError(f"{raw / path}: says something else of {name} than another {NAME}; remove one of them")
    return clips


def _clips(path: Path) -> Iterable[tuple[str, Clip]]:
    """Read one metadata.json."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); obtain it again") from None
    if known == {}:
        raise InputError(f"{path}: it names no video; obtain it again")
    for name, facts in known.items() if isinstance(known, dict) else [("it", {})]:
        facts = facts if isinstance(facts, dict) else {}
        is_fake = meaning(str(facts.get("label")))
        if is_fake is None:
            raise InputError(
                f'{path}: {name} has no label real or fake; a {NAME} of DFDC says {{"video.mp4": {{"label": "FAKE", '
                '"original": "other.mp4"}, ...}'
            )
        stem = PurePosixPath(composed(name)).stem
        original = facts.get("original")
        label = tables.FAKE if is_fake else tables.REAL
        yield stem, Clip(label, PurePosixPath(composed(original)).stem if isinstance(original, str) else stem)
