"""From params.yaml to experiments: each one resolved to all that decides its numbers."""

from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from deepfake import layout, params
from deepfake.errors import InputError, unknown
from deepfake.params import Augmentation, Backend, Normalization, Params
from deepfake.params.training import Domain, Loss, Shared
from deepfake.schema import Fraction, Resolution, Section, Share, first_mistake

_NAMES = {"model": "a model", "view": "a view (see `views`)", "augmentation": "a policy (see `augmentations`)"}
"""What every experiment names itself, rather than taking it from `shared`."""
_DECIDED = ("view", "augmentation", "fraction")
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


class Decision(Section):
    """What phase 2 decided: nothing else, so that the same decision is the same file."""

    resolution: Resolution
    face_crop: bool
    augmentation: str


class Gate(Section):
    """Whether phase 4 goes on with a candidate: nothing else, so that other ranks among the best change no file."""

    open: bool


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


def resolve(settings: Params, experiment: str, decision: Decision | None = None) -> RunConfig:
    """Resolve an experiment: its overlay on `shared`, with the sizes of the chosen preset.

    Args:
        settings: the checked params.yaml.
        experiment: a key of `experiments`, `custom`, or that of a candidate (`candidate_of`).
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
    own = {*_NAMES, "pretrained"}
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
        dataset=settings.dataset,
        preset=settings.preset,
        view=resolve_view(settings, overlay["view"], f"{where}.view"),
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
        pretrained=(preset.pretrained if pretrained is None else pretrained) and overlay["model"] not in FROM_SCRATCH,
        holdout=shared.holdout,
        oversampling=settings.cache.oversampling if augmentation else None,
        seed=shared.seed,
        val_ratio=preset.val_ratio,
        num_workers=shared.num_workers,
    )


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


def read_decision(path: Path = layout.DECISION) -> Decision:
    """Read what phase 2 decided.

    Raises:
        InputError: it has not been decided, or the file was changed by hand into something else.
    """
    return _read(path, Decision, "deepfake decide")


def read_gate(candidate: str) -> Gate:
    """Read whether phase 4 goes on with a candidate.

    Raises:
        InputError: the candidates have not been ranked, or the file was changed by hand into something else.
    """
    return _read(layout.gate(candidate), Gate, "deepfake rank")


_Read = TypeVar("_Read", bound=Section)


def _read(path: Path, schema: type[_Read], command: str) -> _Read:
    """Read a JSON file that a command wrote."""
    try:
        return schema.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run {command}, or dvc repro") from None
    except ValidationError as error:
        raise InputError(f"{path}: {first_mistake(error, schema)}; run {command} again") from None


def _overlay(settings: Params, experiment: str, decision: Decision | None) -> tuple[str, dict[str, Any]]:
    """Return where an experiment's own values stand, and these values."""
    if experiment == layout.CUSTOM_EXPERIMENT:
        return "custom", {"model": settings.model, **settings.custom.model_dump()}
    if experiment in settings.experiments:
        return f"experiments.{experiment}", settings.experiments[experiment]
    candidate = candidate_of(settings, experiment)
    if candidate is None:
        known = [*settings.experiments, layout.CUSTOM_EXPERIMENT, *candidate_experiments(settings)]
        raise InputError(f"experiments: {unknown('experiment', experiment, known)}")
    name, fraction = candidate
    decision = decision or read_decision()
    own = {key: value for key, value in settings.candidates[name].items() if key != "ranked"}
    decided = (decided_view(settings, decision), decision.augmentation, fraction)
    return f"candidates.{name}", own | dict(zip(_DECIDED, decided, strict=True))


def _augmentation(settings: Params, name: str, where: str) -> Augmentation | None:
    """Return a policy by its name, None when it changes nothing."""
    if name not in settings.augmentations:
        raise InputError(f"{where}.augmentation: {unknown('policy', name, settings.augmentations)}")
    policy = settings.augmentations[name]
    return None if policy.changes_nothing else policy


def _check_names(settings: Params) -> None:
    """Check the names that refer to other parts of the file."""
    taken = {layout.CUSTOM_EXPERIMENT, *candidate_experiments(settings), *settings.reevaluations}
    for name in settings.experiments:
        if name in taken:
            raise InputError(f"experiments.{name}: the name is taken by another run; choose another")
    trained = [*settings.experiments, layout.CUSTOM_EXPERIMENT]
    for name in trained:
        resolve(settings, name)
    _check_candidates(settings)
    for name, entry in settings.reevaluations.items():
        if entry.experiment not in trained:
            message = unknown("experiment", entry.experiment, trained)
            raise InputError(f"reevaluations.{name}.experiment: {message}")
        resolve_view(settings, entry.view, f"reevaluations.{name}.view")
    known = [*trained, *settings.reevaluations, *candidate_experiments(settings)]
    for name, rows in settings.tables.items():
        _check_table(f"tables.{name}", rows, known)
    for where, names in (
        ("audit.experiments", settings.audit.experiments),
        ("robustness.experiments", settings.robustness.experiments),
        ("balance.detail", settings.balance.detail),
    ):
        for name in names:
            if name not in trained:
                raise InputError(f"{where}: {unknown('experiment', name, trained)}")
    for name in settings.audit.views:
        resolve_view(settings, name, "audit.views")


def _check_table(where: str, rows: dict[str, tuple[str, ...]], known: list[str]) -> None:
    """Check a comparison's experiments and their baselines."""
    for experiment, baselines in rows.items():
        if experiment not in known:
            raise InputError(f"{where}: {unknown('experiment', experiment, known)}")
        for baseline in baselines:
            if baseline not in rows or baseline == experiment:
                raise InputError(f"{where}.{experiment}: its baseline {baseline!r} is no other experiment of the table")


def _check_candidates(settings: Params) -> None:
    """Check that candidates resolve under whatever phase 2 may decide, and that there are enough of them."""
    for name, entry in settings.candidates.items():
        for key in _DECIDED:
            if key in entry:
                raise InputError(f"candidates.{name}.{key}: it is not a candidate's own; phases 2 and 4 decide it")
        if not isinstance(entry.get("ranked"), bool):
            raise InputError(f"candidates.{name}.ranked: true or false: whether phase 4 may choose it")
        for resolution in get_args(Resolution):
            for face_crop in (False, True):
                decision = Decision(resolution=resolution, face_crop=face_crop, augmentation="none")
                resolve(settings, f"{name}{SCALES['small']}", decision)
    ranked = sum(bool(entry["ranked"]) for entry in settings.candidates.values())
    top = settings.presets[settings.preset].top
    if settings.candidates and top > ranked:
        raise InputError(f"presets.{settings.preset}.top: {top}, but only {ranked} candidates are ranked")


def _merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Lay a sparse overlay on nested values."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
