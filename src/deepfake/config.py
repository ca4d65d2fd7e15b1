"""From params.yaml to experiments: each one resolved to all that decides its numbers."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deepfake import layout, params
from deepfake.errors import InputError, unknown
from deepfake.params import Augmentation, Backend, Normalization, Params, Share, Shared
from deepfake.schema import Section, first_mistake

_NAMES = {"model": "a model", "view": "a view (see `views`)", "augmentation": "a policy (see `augmentations`)"}
"""What every experiment names itself, rather than taking it from `shared`."""


class ViewConfig(Section):
    """One view of a data set, resolved: all that decides its pixels beside the images themselves."""

    dataset: str
    view: str
    geometry: str
    face_margin: float | None
    """Margin around the face that is cut out, or None where the whole image counts."""
    size: int
    """Side of the square in pixels."""
    loader: Backend


class RunConfig(Section):
    """One experiment, resolved: all that decides its numbers, written beside its checkpoints."""

    experiment: str
    model: str
    dataset: str
    preset: str
    view: ViewConfig
    fraction: Share
    """Share of the development groups in use."""
    folds: int
    epochs: int
    batch_size: int
    lr: float
    """Learning rate at the start of the cosine schedule."""
    weight_decay: float
    early_stopping_patience: int
    loss: str
    grad_clip: float
    precision: str
    normalization: Normalization | None
    """None: the statistics of each fold's real training images."""
    augmentation: Augmentation | None
    oversampling: float | None
    """Side of the cache that augmented images are taken from, over the input side; None without augmentation."""
    seed: int
    val_ratio: float
    num_workers: int

    @property
    def resolution(self) -> int:
        """Return the input side in pixels."""
        return self.view.size


def load(path: Path = layout.PARAMS) -> Params:
    """Read params.yaml and check that all names in it refer to something and all experiments resolve.

    Raises:
        InputError: what is wrong, by its path.
    """
    settings = params.load(path)
    try:
        _check_names(settings)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return settings


def resolve_view(settings: Params, view: str, where: str = "views") -> ViewConfig:
    """Resolve a view with the sizes of the chosen preset.

    Raises:
        InputError: no such view; `where` says who named it.
    """
    if view not in settings.views:
        raise InputError(f"{where}: {unknown('view', view, settings.views)}")
    entry, preset = settings.views[view], settings.presets[settings.preset]
    return ViewConfig(
        dataset=settings.dataset,
        view=view,
        geometry=entry.geometry,
        face_margin=settings.faces.margin if entry.face_crop else None,
        size=getattr(preset.resolution, entry.resolution),
        loader=preset.loader,
    )


def resolve(settings: Params, experiment: str) -> RunConfig:
    """Resolve an experiment: its overlay on `shared`, with the sizes of the chosen preset.

    Args:
        settings: the checked params.yaml.
        experiment: a key of `experiments`, or `custom`.

    Raises:
        InputError: no such experiment, or its overlay does not fit `shared`.
    """
    where, overlay = _overlay(settings, experiment)
    for key in _NAMES:
        if not isinstance(overlay.get(key), str):
            raise InputError(f"{where}.{key}: give the name of {_NAMES[key]}")
    if "test_ratio" in overlay:
        raise InputError(f"{where}.test_ratio: all experiments share one test set; change shared.test_ratio")
    values = _merge(settings.shared.model_dump(), {k: v for k, v in overlay.items() if k not in _NAMES})
    try:
        shared = Shared.model_validate(values)
    except ValidationError as error:
        raise InputError(first_mistake(error, Shared, where)) from None
    preset = settings.presets[settings.preset]
    augmentation = _augmentation(settings, overlay["augmentation"], where)
    return RunConfig(
        experiment=experiment,
        model=overlay["model"],
        dataset=settings.dataset,
        preset=settings.preset,
        view=resolve_view(settings, overlay["view"], f"{where}.view"),
        fraction=getattr(preset.fraction, shared.fraction),
        folds=preset.folds,
        epochs=preset.epochs,
        batch_size=shared.batch_size,
        lr=shared.optimizer.lr * preset.lr_scale,
        weight_decay=shared.optimizer.weight_decay,
        early_stopping_patience=shared.early_stopping_patience,
        loss=shared.loss,
        grad_clip=shared.grad_clip,
        precision=shared.precision,
        normalization=settings.imagenet if shared.normalization == "imagenet" else None,
        augmentation=augmentation,
        oversampling=settings.cache.oversampling if augmentation else None,
        seed=shared.seed,
        val_ratio=preset.val_ratio,
        num_workers=shared.num_workers,
    )


def _overlay(settings: Params, experiment: str) -> tuple[str, dict[str, Any]]:
    """Return where an experiment's own values stand, and these values."""
    if experiment == layout.CUSTOM_EXPERIMENT:
        return "custom", {"model": settings.model, **settings.custom.model_dump()}
    if experiment in settings.experiments:
        return f"experiments.{experiment}", settings.experiments[experiment]
    known = [*settings.experiments, layout.CUSTOM_EXPERIMENT]
    raise InputError(f"experiments: {unknown('experiment', experiment, known)}")


def _augmentation(settings: Params, name: str, where: str) -> Augmentation | None:
    """Return a policy by its name, None when it changes nothing."""
    if name not in settings.augmentations:
        raise InputError(f"{where}.augmentation: {unknown('policy', name, settings.augmentations)}")
    policy = settings.augmentations[name]
    return None if policy.changes_nothing else policy


def _check_names(settings: Params) -> None:
    """Check the names that refer to other parts of the file."""
    if layout.CUSTOM_EXPERIMENT in settings.experiments:
        raise InputError("experiments.custom: the name is taken by the custom run; choose another")
    known = [*settings.experiments, layout.CUSTOM_EXPERIMENT]
    for name in known:
        resolve(settings, name)
    for name, table in settings.tables.items():
        for experiment in table.experiments:
            if experiment not in known:
                raise InputError(f"tables.{name}.experiments: {unknown('experiment', experiment, known)}")
        if table.baseline not in table.experiments:
            raise InputError(f"tables.{name}.baseline: {table.baseline!r} is not one of its experiments")


def _merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Lay a sparse overlay on nested values."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
