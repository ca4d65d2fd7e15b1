"""Views and runs, resolved: all that decides pixels and numbers."""

from deepfake.config.params import AnyAugmentation, Backend, Normalization
from deepfake.config.section import Section, Share
from deepfake.config.training import Domain, Loss, Pooling, Probe


class ViewConfig(Section):
    """One view of a data set, resolved: all that decides its pixels beside the images themselves."""

    dataset: str
    view: str
    modality: str
    """Of the data set: a key of `modalities.MODALITIES`."""
    geometry: str
    """How an image becomes a square; of sound its front end."""
    face_margin: float | None
    """Margin around the face that is cut out, or None where the whole image counts."""
    size: int
    """Side of the square in pixels; of sound the bins of its front end."""
    seconds: float | None
    """Of a window of sound; None for pixels."""
    loader: Backend


class RunConfig(Section):
    """One trained run, resolved: all that decides its numbers, written beside its checkpoints."""

    experiment: str
    study: str
    """The study that it belongs to; like the name, it decides no number."""
    model: str
    dataset: str
    preset: str
    view: ViewConfig
    train: str
    """`all`, or `head`: a linear head on a frozen trunk."""
    probe: Probe | None
    """What a linear head sees, fine-tuned or not; None: the model has its own classifier."""
    pooling: Pooling
    """How the logits of a clip's samples become the one that it is chosen and judged by."""
    fraction: Share
    """Share of the training groups in use."""
    folds: int
    repeats: int
    """How often the cross-validation is repeated, with other folds and another seed each time."""
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
    """None: the statistics of each fold's real training images. A run that starts from pretrained weights, or from a
    head on such, is given here what its weights were trained with (`runs.weights.with_statistics`)."""
    augmentation: AnyAugmentation | None
    pretrained: bool
    """Whether it starts from ImageNet weights."""
    start_from: str | None
    """The experiment whose weights it starts from, fold by fold."""
    holdout: str | None
    """The fake source that it is neither trained nor chosen on."""
    oversampling: float | None
    """Side of the cache that augmented samples are taken from, over the input side; None for the cache itself."""
    seed: int
    val_ratio: float
    num_workers: int

    @property
    def resolution(self) -> int:
        """Return the input side in pixels."""
        return self.view.size

    @property
    def trainings(self) -> int:
        """Return the number of folds of all repeats: each is one training."""
        return self.folds * self.repeats
