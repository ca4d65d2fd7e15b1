"""What a finished run says of itself in its config.json: what it was trained with, and what was found out."""

import json
from typing import Any

from pydantic import ValidationError

from deepfake.config.resolved import RunConfig
from deepfake.errors import InputError
from deepfake.project import paths


def facts_of(experiment: str) -> dict[str, Any]:
    """Read all that a finished run says of itself.

    Raises:
        InputError: it has not been trained, or its file is damaged.
    """
    path = paths().config(experiment)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: not found; run deepfake train {experiment}, or dvc repro") from None
    except ValueError:
        raise InputError(f"{path}: not JSON; run deepfake train {experiment} again, or dvc repro") from None
    if not isinstance(facts, dict):
        raise InputError(f"{path}: not the configuration of a run; run deepfake train {experiment} again, or dvc repro")
    # all who ask count by it, most of them without the rest
    if type(facts.get("folds")) is not int or facts["folds"] < 1:
        found = json.dumps(facts.get("folds"))
        raise InputError(f"{path}: folds is {found}; run deepfake train {experiment} again, or dvc repro")
    if "pooling" not in facts:  # what every reader of its predictions asks
        raise InputError(f"{path}: written by another version; run deepfake train {experiment} again, or dvc repro")
    return facts


def config_of(experiment: str) -> RunConfig:
    """Return what a finished run was trained with, whatever params.yaml says now; of an ensemble, its first member.

    Raises:
        InputError: as in `facts_of`, another version of this program trained it, or its folder is another run's,
            copied or renamed: what it refers to by its name would be the other one's.
    """
    facts, path = facts_of(experiment), paths().config(experiment)
    try:
        config = RunConfig.model_validate({key: facts[key] for key in RunConfig.model_fields})
    except (KeyError, ValidationError):
        raise InputError(f"{path}: written by another version; run deepfake train {experiment} again") from None
    if config.experiment != experiment:
        raise InputError(
            f"{path}: that of {config.experiment}, copied or renamed; name {config.experiment}, or run deepfake train "
            f"{experiment}"
        )
    return config
