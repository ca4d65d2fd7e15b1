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
Probability = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what scikit-learn takes
Channels = tuple[float, float, float]
Resolution = Literal["low", "high"]
Fraction = Literal["small", "medium", "all"]
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


class View(Section):
    """A way to turn every image of a data set into a square of pixels: one decoded cache."""

    geometry: Literal["crop", "letterbox", "letterbox_real", "resize"]
    """`crop`: the central square. `letterbox`: the whole image, padded with black to a square; `letterbox_real` does
    so to real images only and crops the fakes. `resize`: the whole image, squeezed into a square."""
    face_crop: bool
    """Whether to cut out the face (`faces`) first; an image without one gets its central square."""
    resolution: Resolution
    """Side of the square, by the name that the preset gives it in pixels."""

    @model_validator(mode="after")
    def _square(self) -> "View":
        if self.face_crop and self.geometry != "crop":
            raise ValueError("a face crop is square already; it goes with geometry: crop")
        return self


class Cache(Section):
    """The decoded images on disk."""

    oversampling: Annotated[float, Field(ge=1, le=2)]
    """Training images that are scaled or rotated are taken from a cache this much larger than the model's input, so
    that they come out as sharp as the images of the evaluation."""


class Range(Section):
    """Where a value is drawn from, uniformly."""

    min: Annotated[float, Field(ge=0)]
    max: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self


class Quality(Section):
    """A range of JPEG quality."""

    min: Annotated[int, Field(ge=1, le=100)]
    max: Annotated[int, Field(ge=1, le=100)]

    @model_validator(mode="after")
    def _ordered(self) -> "Quality":
        if self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self


class Blur(Section):
    """Gaussian blur of some images."""

    probability: Probability
    sigma: Range
    """Standard deviation in pixels of the model's input."""


class Noise(Section):
    """Gaussian noise on some images."""

    probability: Probability
    std: Range
    """Standard deviation, of 255."""


class Compression(Section):
    """JPEG compression of some images."""

    probability: Probability
    quality: Quality


class Augmentation(Section):
    """What happens to a training image, in this order: geometry, blur, noise, colour, JPEG."""

    flip: Probability
    """Probability of a mirror image."""
    scale: Range
    """Side of the random crop, as a share of the image's side."""
    rotation: Annotated[float, Field(ge=0, le=45)]
    """Largest rotation in degrees, to either side."""
    blur: Blur
    noise: Noise
    brightness: Factor
    """The image is multiplied by a factor from [1 - brightness, 1 + brightness]."""
    contrast: Factor
    """Likewise the distance from middle gray."""
    saturation: Factor
    """Likewise the distance from gray of the same luma."""
    hue: Annotated[float, Field(ge=0, le=180)]
    """Largest rotation of the hue in degrees, to either side."""
    jpeg: Compression

    @model_validator(mode="after")
    def _inside(self) -> "Augmentation":
        if not 0 < self.scale.min <= self.scale.max <= 1:
            raise ValueError("scale must lie in (0, 1]")
        return self

    @property
    def changes_nothing(self) -> bool:
        """Tell whether every image stays as it is."""
        sometimes = (self.flip, self.blur.probability, self.noise.probability, self.jpeg.probability)
        always = (self.rotation, self.brightness, self.contrast, self.saturation, self.hue)
        return self.scale.min == 1 and not any(sometimes) and not any(always)


class Faces(Section):
    """How faces are found (MTCNN) and cut out."""

    detection_size: Annotated[int, Field(ge=64)]
    """Side in pixels of the letterboxed image that the detector sees; boxes are given in the image's own pixels."""
    min_face: Ratio
    """Smallest face that is looked for, as a share of `detection_size`."""
    confidence: Ratio
    """Least confidence of the detector; an image whose faces all have less counts as one without a face."""
    margin: Annotated[float, Field(ge=0, le=2)]
    """What the cut-out square adds around the face box, as a share of the box's longer side, half on each side."""


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


class Reevaluation(Section):
    """A trained experiment that predicts all its samples again, as another view shows them; nothing is trained."""

    experiment: str
    view: str


class Selection(Section):
    """How the best are chosen from out-of-fold results."""

    standard_errors: Annotated[float, Field(ge=0)]
    """What counts as a tie: a lead of no more than so many standard errors; then the simpler choice wins."""


class Interpretation(Section):
    """From where on a number is called something in the report."""

    source_specific: tuple[Ratio, Ratio]
    """In-source minus held-out AUC above which features are called possibly, and clearly, specific to sources."""
    gap: Ratio
    """Train/val gap above which a detector is said to have learned its training samples by heart."""


class Severity(Section):
    """AUC of a probe from which on a leak is called weak, moderate, severe."""

    weak: Ratio
    moderate: Ratio
    severe: Ratio

    @model_validator(mode="after")
    def _ordered(self) -> "Severity":
        if not 0.5 <= self.weak <= self.moderate <= self.severe:
            raise ValueError("they must not decrease from 0.5 over weak and moderate to severe")
        return self


class Audit(Section):
    """The search for shortcuts."""

    severity: Severity
    views: tuple[str, ...]
    """Views whose pixels are probed beside the files themselves."""
    experiments: tuple[str, ...]
    """Trained experiments whose logits are held against the leak."""
    caliper: Annotated[float, Field(gt=0)]
    """How alike a real and a fake must be to be matched: the largest difference of the leak's score, in its standard
    deviations."""


class Robustness(Section):
    """How a trained detector is put under strain: five strengths of each corruption, from weak to strong."""

    experiments: tuple[str, ...]
    """Trained experiments that are put under strain."""
    corruptions: dict[str, tuple[float, float, float, float, float]]
    """Strengths of each corruption of `loading.corruptions.CORRUPTIONS`, whose units stand there."""


class Evaluation(Section):
    """How certain a statement has to be."""

    confidence: Ratio
    """Coverage of every interval."""
    bootstrap_replicates: Annotated[int, Field(ge=100)]
    """Resamplings of groups behind every bootstrap interval."""
    significance: Ratio
    """Largest Holm-adjusted p-value that is called significant."""


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
    """Drawn the same way for all sources."""


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
