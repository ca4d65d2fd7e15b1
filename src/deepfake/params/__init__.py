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
from deepfake.params.images import Augmentation, Cache, Faces, Ingest, Normalization, Sample, View
from deepfake.params.judgement import Audit, Evaluation, Interpretation, Reevaluation, Robustness, Selection
from deepfake.schema import Fraction, Ratio, Section, Seed, Share, first_mistake

Backend = Literal["dali", "opencv", "torchvision"]


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


class Shared(Section):
    """What all experiments have in common, and what an entry of `experiments` may override."""

    seed: Seed
    """Seed of splits, initial weights, shuffling and augmentation."""
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
    normalization: Literal["imagenet", "real_training"]
    """`imagenet`, or `real_training`: statistics of the real training images of each fold, and of no other."""
    num_workers: Annotated[int, Field(ge=1)]
    """Threads that decode images; they do not change any number."""
    fraction: Fraction
    """Share of the development groups that is used, by the name that the preset gives it."""
    holdout: str | None
    """A fake source that is neither trained nor chosen on, only predicted; null for none."""


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
    loader: Backend
    """What decodes and augments images: `dali` on a GPU, `opencv` on a CPU, or `torchvision`, the reference."""
    pretrained: bool
    """Whether backbones start from ImageNet weights (`weights`) or from scratch."""
    top: Annotated[int, Field(ge=1)]
    """Candidates that phase 4 goes on with."""
    resolution: Resolutions
    fraction: Fractions


class Custom(Section):
    """The run that `model` drives, beside its model."""

    view: str
    fraction: Fraction
    augmentation: str
    normalization: Literal["imagenet", "real_training"]
    pretrained: bool | None
    """Whether it starts from ImageNet weights; null: as the preset says."""


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
    views: dict[str, View]
    augmentations: dict[str, Augmentation]
    imagenet: Normalization
    """Statistics of ImageNet, by which `normalization: imagenet` normalises."""
    cache: Cache
    faces: Faces
    experiments: dict[str, dict[str, Any]]
    """For each distinct configuration its `model`, `view` and `augmentation`, and a sparse overlay on `shared`; by
    `pretrained` it may differ from its preset."""
    reevaluations: dict[str, Reevaluation]
    candidates: dict[str, dict[str, Any]]
    """The models of phases 3 and 4: as in `experiments`, but view and augmentation are those that phase 2 decided.
    Only those with `ranked: true` can be chosen for phase 4."""
    tables: dict[str, Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]]
    """For each comparison its experiments, in order, each with the baselines that it is tested against."""
    selection: Selection
    interpretation: Interpretation
    audit: Audit
    robustness: Robustness
    evaluation: Evaluation
    sample: Sample
    ingest: Ingest


def load(path: Path = layout.PARAMS) -> Params:
    """Read and check params.yaml; whether its experiments resolve is for `config.load` to say.

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
    if params.preset not in params.presets:
        raise InputError(f"{path}: preset: {unknown('preset', params.preset, params.presets)}")
    return params
