"""From params.yaml to experiments: each one resolved to all that decides its numbers."""

from typing import Any

from pydantic import ValidationError

from deepfake import layout
from deepfake.config.decisions import Decision, read_decision
from deepfake.errors import InputError, unknown
from deepfake.params import Augmentation, Backend, Normalization, Params
from deepfake.params.training import Domain, Loss, Shared
from deepfake.schema import Fraction, Section, Share, first_mistake

_NAMES = {"model": "a model", "view": "a view (see `views`)", "augmentation": "a policy (see `augmentations`)"}
"""What every experiment names itself, rather than taking it from `shared`."""
_NAMES_ELSEWHERE = {"dataset": "a data set (see `cross_dataset`)", "start_from": "the experiment it goes on from"}
"""What an experiment on other data names, too."""
SECTIONS = {"experiments": (), "transfers": ("dataset",), "finetunings": ("dataset", "start_from")}
"""The sections that experiments stand in, and what an entry names there beside what all of them name."""
DECIDED = ("view", "augmentation", "fraction")
"""What no candidate may name: phase 2 decides, and phase 4 varies."""
FROM_SCRATCH = ("simple_cnn",)
"""Models that nobody has pretrained."""
SCALES: dict[Fraction, str] = {"small": "_best", "medium": "_best_medium", "all": "_best_all"}
"""The fractions of the data that candidates are trained on, and what makes an experiment's name of a candidate's: phase
3 has the first, phase 4 the others."""


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
    monitor: str
    early_stopping_patience: int
    loss: Loss
    sampler: str
    class_ratio: float | None
    """Fakes for each real; None: as the data set has them."""
    domain: Domain
    grad_clip: float
    precision: str
    keep_optimizer: bool
    normalization: Normalization | None
    """None: the statistics of each fold's real training images."""
    augmentation: Augmentation | None
    pretrained: bool
    """Whether it starts from ImageNet weights."""
    start_from: str | None
    """The experiment whose weights it starts from, fold by fold."""
    holdout: str | None
    """The fake source that it is neither trained nor chosen on."""
    oversampling: float | None
    """Side of the cache that augmented images are taken from, over the input side; None without augmentation."""
    seed: int
    val_ratio: float
    num_workers: int

    @property
    def resolution(self) -> int:
        """Return the input side in pixels."""
        return self.view.size


def resolve_view(settings: Params, view: str, where: str = "views", dataset: str | None = None) -> ViewConfig:
    """Resolve a view of a data set (by default the study's) with the sizes of the chosen preset.

    Raises:
        InputError: no such view; `where` says who named it.
    """
    if view not in settings.views:
        raise InputError(f"{where}: {unknown('view', view, settings.views)}")
    entry, preset = settings.views[view], settings.presets[settings.preset]
    return ViewConfig(
        dataset=dataset or settings.dataset,
        view=view,
        geometry=entry.geometry,
        face_margin=settings.faces.margin if entry.face_crop else None,
        size=getattr(preset.resolution, entry.resolution),
        loader=preset.loader,
    )


def resolve(settings: Params, experiment: str, decision: Decision | None = None) -> RunConfig:
    """Resolve an experiment: its overlay on `shared`, with the sizes of the chosen preset.

    Args:
        settings: the checked params.yaml.
        experiment: a key of `experiments`, `transfers` or `finetunings`, `custom`, or that of a candidate's run
            (`candidate_of`).
        decision: what phase 2 decided, for candidates; None: as it stands in its file.

    Raises:
        InputError: no such experiment, its overlay does not fit `shared`, or nothing has been decided yet.
    """
    where, overlay = _overlay(settings, experiment, decision)
    for key in _NAMES:
        if not isinstance(overlay.get(key), str):
            raise InputError(f"{where}.{key}: give the name of {_NAMES[key]}")
    if "test_ratio" in overlay:
        raise InputError(f"{where}.test_ratio: all experiments share one test set; change shared.test_ratio")
    pretrained = overlay.get("pretrained")
    if pretrained not in (True, False, None):
        raise InputError(f"{where}.pretrained: true, false, or null for what the preset says")
    elsewhere = SECTIONS.get(where.split(".")[0], ())
    for key in elsewhere:
        if not isinstance(overlay.get(key), str):
            raise InputError(f"{where}.{key}: give the name of {_NAMES_ELSEWHERE[key]}")
    own = {*_NAMES, "pretrained", *elsewhere}
    dataset = overlay.get("dataset", settings.dataset)
    values = _merge(settings.shared.model_dump(), {key: value for key, value in overlay.items() if key not in own})
    try:
        shared = Shared.model_validate(values)
    except ValidationError as error:
        raise InputError(first_mistake(error, Shared, where)) from None
    preset = settings.presets[settings.preset]
    augmentation = _augmentation(settings, overlay["augmentation"], where)
    return RunConfig(
        experiment=experiment,
        model=overlay["model"],
        dataset=dataset,
        preset=settings.preset,
        view=resolve_view(settings, overlay["view"], f"{where}.view", dataset),
        fraction=getattr(preset.fraction, shared.fraction),
        folds=preset.folds,
        epochs=getattr(preset.epochs, shared.epochs),
        batch_size=shared.batch_size,
        lr=shared.optimizer.lr * preset.lr_scale,
        weight_decay=shared.optimizer.weight_decay,
        monitor=shared.monitor,
        early_stopping_patience=shared.early_stopping_patience,
        loss=_in_force(shared.loss),
        sampler=shared.sampler,
        class_ratio=settings.balance.ratio if shared.class_ratio == "imbalanced" else None,
        domain=shared.domain if shared.domain.column != "none" else _NO_DOMAIN,
        grad_clip=shared.grad_clip,
        precision=shared.precision,
        keep_optimizer=shared.keep_optimizer,
        normalization=settings.imagenet if shared.normalization == "imagenet" else None,
        augmentation=augmentation,
        pretrained=_pretrained(overlay, preset.pretrained),
        start_from=overlay.get("start_from"),
        holdout=shared.holdout,
        oversampling=settings.cache.oversampling if augmentation else None,
        seed=shared.seed,
        val_ratio=preset.val_ratio,
        num_workers=shared.num_workers,
    )


def _pretrained(overlay: dict[str, Any], preset: bool) -> bool:
    """Tell whether an experiment starts from ImageNet weights, which one that goes on from another one does not."""
    wanted = overlay.get("pretrained")
    possible = overlay["model"] not in FROM_SCRATCH and overlay.get("start_from") is None
    return possible and (preset if wanted is None else wanted)


_NO_DOMAIN = Domain(column="none", weight=0.0, schedule="constant")


def _in_force(loss: Loss) -> Loss:
    """Return a loss whose unused values are neutral: a change of what a run does not use is no change of the run."""
    return loss if loss.type == "focal" else loss.model_copy(update={"gamma": 0.0, "minority_alpha": 0.5})


def candidate_of(settings: Params, experiment: str) -> tuple[str, Fraction] | None:
    """Return the candidate that an experiment of phase 3 or 4 trains, and the fraction of the data it is given."""
    for fraction, suffix in SCALES.items():
        name = experiment.removesuffix(suffix)
        if name != experiment and name in settings.candidates:
            return name, fraction
    return None


def fixed_experiments(settings: Params) -> list[str]:
    """Return the names of all trainings that nothing has to be decided for."""
    return [*settings.experiments, *settings.transfers, *settings.finetunings, layout.CUSTOM_EXPERIMENT]


def candidate_experiments(settings: Params) -> list[str]:
    """Return the names of all experiments of phases 3 and 4."""
    return [f"{candidate}{suffix}" for candidate in settings.candidates for suffix in SCALES.values()]


def decided_view(settings: Params, decision: Decision) -> str:
    """Return the view that shows what was decided.

    Raises:
        InputError: there is none.
    """
    for name, view in settings.views.items():
        wanted = ("crop", decision.resolution, decision.face_crop)
        if (view.geometry, view.resolution, view.face_crop) == wanted:
            return name
    raise InputError(
        f"views: none with geometry: crop, resolution: {decision.resolution} and face_crop: "
        f"{str(decision.face_crop).lower()}, which phase 2 may decide for; add one"
    )


def _overlay(settings: Params, experiment: str, decision: Decision | None) -> tuple[str, dict[str, Any]]:
    """Return where an experiment's own values stand, and these values."""
    if experiment == layout.CUSTOM_EXPERIMENT:
        return "custom", {"model": settings.model, **settings.custom.model_dump()}
    for section in SECTIONS:
        entries = getattr(settings, section)
        if experiment in entries:
            return f"{section}.{experiment}", entries[experiment]
    candidate = candidate_of(settings, experiment)
    if candidate is None:
        known = [*fixed_experiments(settings), *candidate_experiments(settings)]
        raise InputError(f"experiments: {unknown('experiment', experiment, known)}")
    name, fraction = candidate
    decision = decision or read_decision()
    own = {key: value for key, value in settings.candidates[name].items() if key != "ranked"}
    decided = (decided_view(settings, decision), decision.augmentation, fraction)
    return f"candidates.{name}", own | dict(zip(DECIDED, decided, strict=True))


def _augmentation(settings: Params, name: str, where: str) -> Augmentation | None:
    """Return a policy by its name, None when it changes nothing."""
    if name not in settings.augmentations:
        raise InputError(f"{where}.augmentation: {unknown('policy', name, settings.augmentations)}")
    policy = settings.augmentations[name]
    return None if policy.changes_nothing else policy


def _merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Lay a sparse overlay on nested values."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
