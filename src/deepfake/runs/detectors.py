"""Trained runs as detectors of any image: a single experiment, or an ensemble of several, fold by fold."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from deepfake import runtime
from deepfake.config import RunConfig, ViewConfig, config_of, facts_of
from deepfake.config.section import Section
from deepfake.errors import InputError
from deepfake.evaluation.pooling import Pooling
from deepfake.loading.batches import Loader
from deepfake.loading.pixels import place
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata, features, heads, trained
from deepfake.runs.checkpoint_metadata import Record
from deepfake.runs.trained import Trained, model_of
from deepfake.training.predict import predict


@dataclass(frozen=True)
class Member:
    """A trained experiment in a detector.

    Args:
        trained: the experiment.
        coefficients: what its logit counts for, one a fold.
    """

    trained: Trained
    coefficients: tuple[float, ...]


@dataclass(frozen=True)
class Detector:
    """A run that can be asked about any image: the sum of its members' logits, weighted, and an intercept.

    Args:
        name: of the run.
        members: one for an experiment, several for an ensemble.
        intercepts: one a fold.
        records: the run's own thresholds and temperatures, by fold.
    """

    name: str
    members: tuple[Member, ...]
    intercepts: tuple[float, ...]
    records: dict[int, Record]

    @property
    def shipped(self) -> range:
        """Return the folds that predict together: those of the first repeat."""
        return range(self.members[0].trained.config.folds)

    @property
    def modality(self) -> str:
        """Return the modality of what it can be asked about."""
        return self.members[0].trained.config.view.modality

    @property
    def pooling(self) -> Pooling:
        """Return how the logits of a file's samples become one (`evaluation.pooling`)."""
        return self.members[0].trained.config.pooling

    @property
    def views(self) -> dict[str, ViewConfig]:
        """Return the distinct views that the members look through, by name."""
        return {member.trained.config.view.view: member.trained.config.view for member in self.members}


class _Combination(Section):
    """The section `ensemble` of a run's configuration."""

    experiments: tuple[str, ...]
    weights: str
    coefficients: tuple[tuple[float, ...], ...]
    """One a member, in each fold."""
    intercepts: tuple[float, ...]
    """One a fold."""


def read(name: str) -> Detector:
    """Read a run as a detector; its models are loaded by `LoadedFold`.

    Raises:
        InputError: there is no such run, it re-evaluates another one, is a copy of another one, or is of
            another version; a checkpoint is missing or does not belong to it; the members of an ensemble do not go
            together.
    """
    facts = read_facts(name)
    if facts["kind"] != "ensemble":
        member = _member(name)
        folds = range(member.config.trainings)
        return Detector(
            name, (Member(member, (1.0,) * len(folds)),), (0.0,) * len(folds), checkpoint_metadata.read_records(name)
        )
    path = paths().config(name)
    again = f"run deepfake train {name} again"
    try:
        combination = _Combination.model_validate(facts["ensemble"])
    except ValidationError:
        raise InputError(f"{path}: its ensemble is of another version; {again}") from None
    found = [_member(experiment) for experiment in combination.experiments]
    own = checkpoint_metadata.read_records(name)
    shapes = {len(own), len(combination.coefficients), len(combination.intercepts)}
    shapes |= {one.config.trainings for one in found}
    if len(shapes) > 1 or {len(row) for row in combination.coefficients} != {len(found)}:
        raise InputError(f"{path}: not the folds and the members that it was made of; {again}")
    if len({_shown(one.config.view) for one in found}) > len({one.config.view.view for one in found}):
        raise InputError(f"{path}: its members mean different things by a view of one name; train them again")
    columns = zip(*combination.coefficients, strict=True)
    members = tuple(Member(one, weights) for one, weights in zip(found, columns, strict=True))
    return Detector(name, members, combination.intercepts, own)


def read_facts(name: str) -> dict[str, Any]:
    """Read the configuration of a run that has checkpoints of its own, and check it as `RunConfig`.

    Raises:
        InputError: as in `config.config_of`, or the run re-evaluates another one.
    """
    facts, path = facts_of(name), paths().config(name)
    if facts.get("kind") == "re-evaluated":
        other = facts.get("reevaluates")
        raise InputError(f"{path}: {name} has no checkpoints of its own, it re-evaluates {other}; name {other}")
    config_of(name)
    if "kind" not in facts:
        raise InputError(f"{path}: written by another version; run deepfake train {name} again")
    return facts


def _member(name: str) -> Trained:
    """Read a trained experiment, and check that its checkpoints are there and are those of its configuration."""
    facts = read_facts(name)
    if facts["kind"] == "ensemble":
        raise InputError(f"{paths().config(name)}: {name} is an ensemble; name its members instead")
    found = trained.read(name)
    for fold, record in checkpoint_metadata.read_records(name).items():
        _check(found.config, fold, record)
    return found


def _check(config: RunConfig, fold: int, record: Record) -> None:
    """Check that the checkpoint of a fold is there and was written with a configuration, and with no other."""
    name = config.experiment
    weights = paths().checkpoint(name, fold)
    if not weights.exists():
        raise InputError(f"{weights}: not found; run deepfake train {name} again, or dvc repro")
    other = [part for part in RunConfig.model_fields if getattr(record.config, part) != getattr(config, part)]
    if other or record.fold != fold:
        raise InputError(
            f"{paths().checkpoint_record(name, fold)}: checkpoint and config disagree ({', '.join(other) or 'fold'}); "
            f"run deepfake train {name} again, or dvc repro"
        )


def _shown(view: ViewConfig) -> tuple[object, ...]:
    """Return all that decides what a view shows of an image, whatever data set it is of."""
    return tuple(value for key, value in view.model_dump().items() if key != "dataset")


class LoadedFold:
    """The models of one fold of a detector, ready to be asked."""

    def __init__(self, detector: Detector, fold: int, device: torch.device, *, fuse: bool = False):
        """Load the weights.

        Args:
            detector: what is loaded.
            fold: its fold.
            device: where the models run.
            fuse: whether to fold batch norm into the convolution before it, where they follow each other in a
                sequence: SimpleCNN takes half the time, and logits change in their seventh digit.

        Raises:
            InputError: weights are missing, or of another model.
        """
        self._device = device
        self._intercept = detector.intercepts[fold]
        self._members = [
            (
                member.trained.config.view.view,
                _fused(model_of(member.trained, fold, device)) if fuse else model_of(member.trained, fold, device),
                member.trained.config.view,
                member.trained.scales[fold],
                member.coefficients[fold],
            )
            for member in detector.members
        ]

    def logits(self, images: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
        """Return the detector's logits, float64 [m], under the evaluation transform and in full precision.

        Args:
            images: the stored samples by the name of the view that shows them, mapped or in memory.
            rows: int [m], the images that are asked about.
        """
        rows = rows.copy()  # pandas hands out arrays that cannot be written, which torch warns of
        total = np.full(len(rows), self._intercept)
        for name, model, view, scale, coefficient in self._members:
            store = place(images[name], rows, self._device)
            # nobody asks a loader of the prediction for labels
            loader = Loader(store, np.zeros(len(images[name])), view, scale)
            total += coefficient * predict(model, loader, rows)
        return total


def file_features(detector: Detector, fold: int, images: Mapping[str, Path], rows: np.ndarray) -> list[features.Wanted]:
    """Return the features that `file_logits` reads: those of the members that are heads."""
    known = [member.trained for member in _frozen(detector)]
    return [heads.wanted_of(one, fold, images[one.config.view.view], rows) for one in known]


def file_logits(detector: Detector, fold: int, images: Mapping[str, Path], rows: np.ndarray) -> np.ndarray:
    """Return what `LoadedFold.logits` does, of images at rest; heads of all folds share their backbone's features.

    Args:
        detector: which is asked; its `file_features` are there (`heads.ensure`).
        fold: its fold.
        images: `.npy` file of the stored samples by the name of the view that shows them.
        rows: int [m], the images that are asked about.
    """
    frozen = _frozen(detector)
    rest = replace(detector, members=tuple(member for member in detector.members if member not in frozen))
    mapped = {view: np.load(path, mmap_mode="r") for view, path in images.items()}
    total = LoadedFold(rest, fold, runtime.device()).logits(mapped, rows)
    for member in frozen:
        path = images[member.trained.config.view.view]
        total += member.coefficients[fold] * heads.logits_of(member.trained, fold, path, rows)
    return total


def _frozen(detector: Detector) -> list[Member]:
    return [member for member in detector.members if member.trained.config.train == "head"]


def _fused(model: nn.Module) -> nn.Module:
    """Fold each batch norm of a sequence into the convolution before it, in place; the model must be in evaluation."""
    for sequence in [module for module in model.modules() if isinstance(module, nn.Sequential)]:
        for place_of, (before, after) in enumerate(zip(list(sequence), list(sequence)[1:], strict=False)):
            if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                sequence[place_of] = fuse_conv_bn_eval(before, after)
                sequence[place_of + 1] = nn.Identity()
    return model
