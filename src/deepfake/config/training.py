"""The section of params.yaml that says how a detector is trained."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepfake.config.section import Epochs, Factor, Fraction, LearningRate, Probability, Section, Seed

Pooling = Literal["mean", "median", "max"]
"""How the logits of a clip's samples become one: a key of `evaluation.pooling.POOLINGS`."""


class Optimizer(Section):
    """AdamW, the optimiser of every run; the rate follows a cosine, stepped once an epoch (T_max: the epochs)."""

    lr: LearningRate
    """Learning rate at the start of the cosine schedule: a number, or a word of the preset (`presets.<name>.lr`)."""
    weight_decay: Annotated[float, Field(ge=0)]
    """Decoupled weight decay."""


class Loss(Section):
    """What is minimised (`training.losses.LOSSES`)."""

    type: Literal["bce", "bce_pos_weight", "focal"]
    """`bce`; `bce_pos_weight`: fakes weigh as many times more as there are reals for each fake in the training fold;
    `focal`: samples that are already right weigh less."""
    gamma: Annotated[float, Field(ge=0)]
    """Focal loss: how much less; 0 is cross-entropy."""
    minority_alpha: Probability
    """Focal loss: weight of the class with fewer training samples; the other one has 1 minus this."""
    label_smoothing: Factor
    """Cross-entropy: how much of each label is shared out between both classes."""

    @model_validator(mode="after")
    def _hard_labels(self) -> "Loss":
        if self.type == "focal" and self.label_smoothing:
            raise ValueError("focal loss is defined for hard labels; set label_smoothing to 0.0, or another type")
        return self


class Domain(Section):
    """Domain-adversarial training: features that tell the label and not the domain (`training.domains`)."""

    column: Literal["none", "dataset", "source"]
    """The manifest's column whose values are the domains; `none` for ordinary training."""
    weight: Annotated[float, Field(ge=0)]
    """Largest factor on the reversed gradient (lambda)."""
    schedule: Literal["constant", "ganin"]
    """How the factor grows while training: not at all, or from 0 as in Ganin's paper."""


PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""`train: head`: the values of C, the inverse strength of L2, that are tried, strongest penalty first."""


class Probe(Section):
    """`train: head`: what the linear head sees of a frozen trunk (`models.frozen`)."""

    stage: str
    """`penultimate`: the last but one of the feature maps that timm lists for the model; `final`: what its own
    classifier sees; or a module by timm's name (`blocks.3`). Of a map: the mean and the standard deviation of each
    channel over positions."""
    draws: Annotated[int, Field(ge=1)]
    """Under augmentation: how often each training image is drawn; all draws are training rows."""


class Shared(Section):
    """What all runs have in common, and what a run may override."""

    train: Literal["all", "head"]
    """`all`: every layer, by gradient descent; `head`: a pretrained trunk stays as it is, and a linear head is fitted
    to its features (logistic regression, its C chosen by AUC on the inner validation): epochs, optimizer, batch_size,
    monitor and what else belongs to gradient descent does not count. A fine-tuned run always trains all layers, a trunk
    and its head included."""
    probe: Probe

    seed: Seed
    """Seed of splits, initial weights, shuffling and augmentation."""
    repeats: Annotated[int, Field(ge=1)] | None
    """How often the whole cross-validation is repeated, each time with other folds and another seed; null: as often as
    the preset says, which is the most."""
    batch_size: Annotated[int, Field(ge=2)]
    """Samples in a training batch."""
    epochs: Epochs
    """Most epochs a fold is trained: a number, or a word of the preset."""
    optimizer: Optimizer
    monitor: Literal["auc", "f1_macro", "balanced_accuracy", "loss"]
    """What the best epoch is best in, on the inner validation. `f1_macro` (mean of both classes) and
    `balanced_accuracy` are those at probability 0.5; `loss` is the one that is minimised, without the domains'."""
    early_stopping_patience: Annotated[int, Field(ge=1)]
    """Epochs without a better one after which a fold stops."""
    loss: Loss
    sampler: Literal["shuffle", "weighted", "stratified", "datasets"]
    """Which samples an epoch shows: each once; as many, drawn with replacement so that both classes are as likely; each
    once, every batch with the classes in the proportion of all; or as many, drawn so that all data sets are as likely
    (`loading.sampling.SAMPLERS`)."""
    class_ratio: Literal["natural", "imbalanced"]
    """All samples, or samples left out until there are `studies.imbalance.ratio` fakes for each real."""
    domain: Domain
    grad_clip: Annotated[float, Field(ge=0)]
    """Largest gradient norm; 0 turns clipping off."""
    precision: Literal["auto", "fp32", "bf16"]
    """`auto` takes bf16 autocast where it is there and faster (`runtime.autocast_dtype`)."""
    keep_optimizer: bool
    """Whether the optimiser's state at the best epoch is kept beside the weights; it is twice as large as they are."""
    normalization: Literal["imagenet", "real_training"]
    """`imagenet`: what the weights were trained with, and ImageNet's statistics for a model that starts from scratch;
    `real_training`: statistics of the real training images of each fold, and of no other."""
    num_workers: Annotated[int, Field(ge=1)]
    """Threads that decode images; they do not change any number."""
    fraction: Fraction
    """Share of the development groups that is used: a number, or a word of the preset."""
    pooling: Pooling
    """How the logits of a clip's samples (frames, windows) become the one that it is judged by."""
    holdout: str | None
    """A fake source that is neither trained nor chosen on, only predicted; null for none."""
