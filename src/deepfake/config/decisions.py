"""What phases decide and later ones read: files with the decision and nothing else."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from deepfake.config.section import Resolution, Section, first_mistake
from deepfake.errors import InputError
from deepfake.project import paths


class Decision(Section):
    """What phase 2 decided: nothing else, so that the same decision is the same file."""

    resolution: Resolution
    face_crop: bool
    augmentation: str


class Finalists(Section):
    """The runs of phase 3 that phase 4 goes on with, in the order of params.yaml: other ranks are no other file."""

    runs: tuple[str, ...]


class Final(Section):
    """The run that the study ends with: the one that is to be asked about files."""

    run: str


def read_decision(path: Path | None = None) -> Decision:
    """Read what phase 2 decided.

    Raises:
        InputError: it has not been decided, or the file was changed by hand into something else.
    """
    path = path or paths().decision
    return _read(path, Decision, "deepfake phase2")


def read_finalists(path: Path | None = None) -> tuple[str, ...]:
    """Read which runs of phase 3 phase 4 goes on with.

    Raises:
        InputError: the candidates have not been ranked, or the file was changed by hand into something else.
    """
    path = path or paths().finalists
    return _read(path, Finalists, "deepfake phase3").runs


def read_final(path: Path | None = None) -> str:
    """Read which run is the study's final model.

    Raises:
        InputError: it has not been chosen, or the file was changed by hand into something else.
    """
    path = path or paths().final
    return _read(path, Final, "deepfake phase4").run


_Read = TypeVar("_Read", bound=Section)


def _read(path: Path, schema: type[_Read], command: str) -> _Read:
    """Read a JSON file that a command wrote."""
    try:
        return schema.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run {command}, or dvc repro") from None
    except ValidationError as error:
        raise InputError(f"{path}: {first_mistake(error, schema)}; run {command} again") from None
