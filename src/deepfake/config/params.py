"""The meaning of params.yaml: one typed, frozen model a section, unknown keys refused.

Values live in params.yaml; a default is what changes nothing. A key that depends on the preset lives under `presets`
and nowhere else, so no value is ever overridden silently.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError, model_validator

from deepfake.config.analysis import Evaluation, Interpretation
from deepfake.config.clips import Filmed
from deepfake.config.execution import Engine, Execution
from deepfake.config.images import (
    Augmentation,
    Cache,
    Edited,
    Faces,
    Ingest,
    Normalization,
    PixelView,
    Resent,
    Sample,
)
from deepfake.config.section import Fraction, Ratio, Section, Share, first_mistake
from deepfake.config.sound import SoundAugmentation, SoundView
from deepfake.config.speech import SpeechCopies, SpokenTexts
from deepfake.config.studies import Studies
from deepfake.config.training import Shared
from deepfake.errors import InputError, unknown
from deepfake.project import paths


def _still_there(name: Any) -> Any:
    """Tell what took the place of a loader that was one before."""
    if name == "torchvision":
        raise ValueError("torchvision is no loader any more; use opencv on a CPU, or dali on a GPU")
    return name


Backend = Annotated[Literal["dali", "opencv"], BeforeValidator(_still_there)]


def _kind(value: Any) -> str:
    """Return of which kind a view or a policy is: of sound, or of pixels unless it says otherwise."""
    said = value.get("modality") if isinstance(value, dict) else getattr(value, "modality", None)
    return "sound" if said == "audio" else "pixels"


View = Annotated[Annotated[PixelView, Tag("pixels")] | Annotated[SoundView, Tag("sound")], Discriminator(_kind)]
AnyAugmentation = Annotated[
    Annotated[Augmentation, Tag("pixels")] | Annotated[SoundAugmentation, Tag("sound")], Discriminator(_kind)
]


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


class Epochs(Section):
    """Most epochs a fold is trained, and T_max of the cosine schedule."""

    short: Annotated[int, Field(ge=1)]
    """For detectors that go on from trained weights."""
    base: Annotated[int, Field(ge=1)]
    long: Annotated[int, Field(ge=1)]


class LearningRates(Section):
    """Learning rates; short schedules from scratch need larger steps."""

    base: Annotated[float, Field(gt=0)]
    low: Annotated[float, Field(gt=0)]
    """For detectors that go on from trained weights."""


class Role(Section):
    """What stands for a role in a study of this size: a detector, and how it is trained."""

    model: str
    """`simple_cnn` or the name of any timm backbone."""
    train: Literal["all", "head"]
    """All weights, or a linear head on a frozen backbone (`shared.train`)."""


class Preset(Section):
    """The sizes of a study."""

    folds: Annotated[int, Field(ge=2)]
    """Folds of the grouped, stratified cross-validation."""
    repeats: Annotated[int, Field(ge=1)]
    """Partitions into folds, each with trainings of its own: what the variance of training is estimated from."""
    test_ratio: Ratio
    """Share of the groups held out as the test set, never used for any choice."""
    val_ratio: Ratio
    """Share of a fold's training groups that becomes its inner validation; a small sample needs a larger one."""
    epochs: Epochs
    lr: LearningRates
    loader: Backend
    """What decodes and augments images: `dali` on a GPU, `opencv` on a CPU."""
    pretrained: bool
    """Whether backbones start from ImageNet weights (`weights`) or from scratch."""
    top: Annotated[int, Field(ge=1)]
    """Runs of phase 3 that phase 4 trains on more data."""
    resolution: Resolutions
    fraction: Fractions
    roles: dict[str, Role]
    """What runs whose `model` is one of these names are of."""


class Custom(Section):
    """The run that `model` drives, beside its model."""

    view: str
    fraction: Fraction
    augmentation: str
    normalization: Literal["imagenet", "real_training"]
    pretrained: bool | None
    """Whether it starts from ImageNet weights; null: as the preset says."""
    train: Literal["all", "head"] | None
    """As `shared.train`; null: a head where the preset's backbone is frozen and the model's weights can be had."""


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
    augmentations: dict[str, AnyAugmentation]
    imagenet: Normalization
    """Statistics of ImageNet, by which `normalization: imagenet` normalises."""
    cache: Cache
    faces: Faces
    studies: Studies
    interpretation: Interpretation
    evaluation: Evaluation
    sample: Sample
    sample_edited: Edited
    sample_resent: Resent
    sample_video: Filmed
    sample_audio: SpeechCopies
    sample_speech: SpokenTexts
    ingest: Ingest
    engine: Engine = Engine()
    execution: Execution = Execution()


def load(path: Path | None = None) -> Params:
    """Read and check params.yaml; whether its experiments resolve is for `config.load` to say.

    Raises:
        InputError: the file is missing, is not YAML, or has a wrong or unknown key (named by its path).
    """
    path = path or paths().params
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
