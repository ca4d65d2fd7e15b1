"""The meaning of params.yaml: one typed, frozen model a section, no defaults, unknown keys refused.

Values live in params.yaml alone. A key that depends on the preset lives under `presets` and nowhere else, so
no value is ever overridden silently.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from deepfake import layout
from deepfake.errors import InputError, unknown
from deepfake.schema import Section, first_mistake

Ratio = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what scikit-learn takes
Channels = tuple[float, float, float]
Resolution = Literal["low", "high"]
Fraction = Literal["small", "medium", "all"]


class Optimizer(Section):
    """The optimiser of every run."""

    type: Literal["adamw"]
    lr: Annotated[float, Field(gt=0)]
    """Learning rate of the plan; a preset may scale it (`presets.<name>.lr_scale`)."""
    weight_decay: Annotated[float, Field(ge=0)]
    """Decoupled weight decay."""


class Scheduler(Section):
    """The learning-rate schedule, stepped once an epoch; its T_max is the preset's number of epochs."""

    type: Literal["cosine_annealing"]


class Normalization(Section):
    """Per-channel statistics of the input after scaling to [0, 1]."""

    mean: Channels
    std: Channels

    @model_validator(mode="after")
    def _positive(self) -> "Normalization":
        if min(self.std) <= 0:
            raise ValueError("every std must be greater than 0")
        return self


class Shared(Section):
    """What all experiments have in common, and what an entry of `experiments` may override."""

    seed: Seed
    """Seed of splits, initial weights and shuffling."""
    test_ratio: Ratio
    """Share of the groups held out as the test set, never used for any choice."""
    batch_size: Annotated[int, Field(ge=2)]
    """Samples in a training batch."""
    optimizer: Optimizer
    scheduler: Scheduler
    early_stopping_patience: Annotated[int, Field(ge=1)]
    """Epochs without a better inner-validation AUC after which a fold stops."""
    loss: Literal["bce", "bce_balanced"]
    """`bce`, or `bce_balanced`: real and fake samples weigh the same in total."""
    grad_clip: Annotated[float, Field(ge=0)]
    """Largest gradient norm; 0 turns clipping off."""
    precision: Literal["auto", "fp32", "bf16"]
    """`auto` takes bf16 autocast where it is there and faster (`runtime.autocast_dtype`)."""
    normalization: Normalization
    num_workers: Annotated[int, Field(ge=1)]
    """Threads that decode images; they do not change any number."""
    resolution: Resolution
    """Input side, by the name that the preset gives it in pixels."""
    fraction: Fraction
    """Share of the development groups that is used, by the name that the preset gives it."""


class Resolutions(Section):
    """Input sides in pixels."""

    low: Annotated[int, Field(ge=32)]
    high: Annotated[int, Field(ge=32)]


class Fractions(Section):
    """Shares of the development groups; a smaller share is contained in a larger one."""

    small: Share
    medium: Share
    all: Share

    @model_validator(mode="after")
    def _nested(self) -> "Fractions":
        if not self.small <= self.medium <= self.all:
            raise ValueError("fractions must not decrease from small to medium to all")
        return self


class Preset(Section):
    """The sizes of a study."""

    folds: Annotated[int, Field(ge=2)]
    """Folds of the grouped, stratified cross-validation."""
    val_ratio: Ratio
    """Share of a fold's training groups that becomes its inner validation; a small sample needs a larger one."""
    epochs: Annotated[int, Field(ge=1)]
    """Most epochs a fold is trained, and T_max of the cosine schedule."""
    lr_scale: Annotated[float, Field(gt=0)]
    """Factor on `shared.optimizer.lr`: short schedules from scratch need larger steps."""
    resolution: Resolutions
    fraction: Fractions


class Custom(Section):
    """The run that `model` drives, beside its model."""

    resolution: Resolution
    fraction: Fraction


class Table(Section):
    """The experiments that one comparison reads, and the one that all others are tested against."""

    baseline: str
    experiments: Annotated[tuple[str, ...], Field(min_length=1)]


class Evaluation(Section):
    """How certain a statement has to be."""

    confidence: Ratio
    """Coverage of every interval."""
    bootstrap_replicates: Annotated[int, Field(ge=100)]
    """Resamplings of groups behind every bootstrap interval."""
    significance: Ratio
    """Largest Holm-adjusted p-value that is called significant."""


class Quality(Section):
    """A range of JPEG quality, drawn the same way for all sources."""

    min: Annotated[int, Field(ge=1, le=100)]
    max: Annotated[int, Field(ge=1, le=100)]

    @model_validator(mode="after")
    def _ordered(self) -> "Quality":
        if self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self


class Sample(Section):
    """The embedded sample data set."""

    seed: Seed
    people_per_group: Annotated[int, Field(ge=2, le=20)]
    """People in one group: face swaps and synthetic faces never leave their group."""
    real_width: Annotated[int, Field(ge=32)]
    """Width of a real photograph in pixels."""
    real_height: Annotated[int, Field(ge=32)]
    """Height of a real photograph in pixels; unlike its width, so that the geometry shortcut exists."""
    fake_size: Annotated[int, Field(ge=32)]
    """Side of a fake in pixels; fakes are square."""
    jpeg_quality: Quality


class Ingest(Section):
    """How much of a data set may be unreadable."""

    max_quarantined: Annotated[float, Field(ge=0, lt=1)]
    """Largest share of files in quarantine; more is an error."""


class Params(Section):
    """params.yaml as a whole."""

    model: str
    """Model of the custom run: `simple_cnn` or the name of any timm backbone."""
    dataset: str
    """Data set of the study: a key of data/catalog.yaml."""
    preset: str
    """Sizes of the study: a key of `presets`."""
    custom: Custom
    shared: Shared
    presets: dict[str, Preset]
    experiments: dict[str, dict[str, Any]]
    """One sparse overlay on `shared`, plus `model`, for each distinct configuration."""
    tables: dict[str, Table]
    evaluation: Evaluation
    sample: Sample
    ingest: Ingest


class RunConfig(Section):
    """One experiment, resolved: all that decides its numbers, written beside its checkpoints."""

    experiment: str
    model: str
    dataset: str
    preset: str
    resolution: int
    """Input side in pixels."""
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
    normalization: Normalization
    seed: int
    val_ratio: float
    num_workers: int


def load(path: Path = layout.PARAMS) -> Params:
    """Read and check params.yaml.

    Raises:
        InputError: the file is missing, is not YAML, or has a wrong or unknown key (named by its path).
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run deepfake inside the project") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {first_mistake(error, Params)}") from None
    _check_names(params, path)
    return params


def resolve(params: Params, experiment: str) -> RunConfig:
    """Resolve an experiment: its overlay on `shared`, with the sizes of the chosen preset.

    Args:
        params: the checked params.yaml.
        experiment: a key of `experiments`, or `custom`.

    Raises:
        InputError: no such experiment, or its overlay does not fit `shared`.
    """
    if experiment == layout.CUSTOM_EXPERIMENT:
        overlay: dict[str, Any] = {"model": params.model, **params.custom.model_dump()}
    elif experiment in params.experiments:
        overlay = params.experiments[experiment]
    else:
        known = [*params.experiments, layout.CUSTOM_EXPERIMENT]
        raise InputError(f"experiments: {unknown('experiment', experiment, known)}")
    where = f"experiments.{experiment}"
    values = _merge(params.shared.model_dump(), {k: v for k, v in overlay.items() if k != "model"})
    try:
        shared = Shared.model_validate(values)
    except ValidationError as error:
        raise InputError(first_mistake(error, Shared, where)) from None
    if not isinstance(overlay.get("model"), str):
        raise InputError(f"{where}.model: give the name of a model")
    if "test_ratio" in overlay:
        raise InputError(f"{where}.test_ratio: all experiments share one test set; change shared.test_ratio")
    preset = params.presets[params.preset]
    return RunConfig(
        experiment=experiment,
        model=overlay["model"],
        dataset=params.dataset,
        preset=params.preset,
        resolution=getattr(preset.resolution, shared.resolution),
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
        normalization=shared.normalization,
        seed=shared.seed,
        val_ratio=preset.val_ratio,
        num_workers=shared.num_workers,
    )


def _check_names(params: Params, path: Path) -> None:
    """Check the names that refer to other parts of the file."""
    if params.preset not in params.presets:
        raise InputError(f"{path}: preset: {unknown('preset', params.preset, params.presets)}")
    if layout.CUSTOM_EXPERIMENT in params.experiments:
        raise InputError(f"{path}: experiments.custom: the name is taken by the custom run; choose another")
    for name in params.experiments:
        try:
            resolve(params, name)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    known = {*params.experiments, layout.CUSTOM_EXPERIMENT}
    for name, table in params.tables.items():
        for experiment in table.experiments:
            if experiment not in known:
                message = unknown("experiment", experiment, known)
                raise InputError(f"{path}: tables.{name}.experiments: {message}")
        if table.baseline not in table.experiments:
            raise InputError(f"{path}: tables.{name}.baseline: {table.baseline!r} is not one of its experiments")


def _merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Lay a sparse overlay on nested values."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
