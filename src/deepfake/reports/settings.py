"""The conditions that runs were trained under, as a table of settings: what they share, and where they differ."""

from collections.abc import Callable, Sequence

from deepfake import project
from deepfake.config import RunConfig
from deepfake.config.images import Augmentation, Quality, Range
from deepfake.config.sound import SoundAugmentation

_GEOMETRY = {
    "crop": "central square",
    "letterbox": "whole image, letterboxed",
    "letterbox_real": "reals letterboxed, fakes' central square",
    "matched": "cut to the reals' median aspect, then squeezed into a square",
    "resize": "whole image squeezed into a square",
}
_FRONT_END = {"log_mel": "log-mel spectrogram", "lfcc": "LFCC with differences"}
_SAMPLERS = {
    "shuffle": "shuffled",
    "weighted": "balanced over classes, with replacement",
    "stratified": "stratified batches",
    "datasets": "balanced over data sets, with replacement",
}
_LOSSES = {
    "bce": "cross-entropy",
    "bce_pos_weight": "cross-entropy, fakes weighted by reals over fakes",
    "focal": "focal",
}


def view(config: RunConfig) -> str:
    """Return what a model is shown of a sample."""
    if config.view.seconds is not None:
        return f"{_FRONT_END[config.view.geometry]} of {config.view.seconds:g} s, {config.view.size} bins"
    shown = _GEOMETRY[config.view.geometry]
    if config.view.face_margin is not None:
        shown = f"face crop with a margin of {config.view.face_margin:.0%}, else {shown}"
    return f"{config.resolution} px, {shown}"


def augmentation(config: RunConfig) -> str:
    """Return what happens to training images."""
    policy = config.augmentation
    if policy is None:
        return "none"
    rules = _of_sound(policy) if isinstance(policy, SoundAugmentation) else _of_pixels(policy)
    return ", ".join(rule for rule, strength in rules.items() if strength)


def _of_sound(policy: SoundAugmentation) -> dict[str, float]:
    """Return what a policy does to windows of sound, and whether it does."""
    codec, band = policy.codec, policy.band_limit
    return {
        f"gain {policy.gain.probability:.0%} ({policy.gain.min:g} to {policy.gain.max:g} dB)": policy.gain.probability,
        f"noise {policy.noise.probability:.0%} (SNR {policy.noise.min:g} to {policy.noise.max:g} dB)": (
            policy.noise.probability
        ),
        f"low pass {band.probability:.0%} ({_range(band.hertz)} Hz)": band.probability,
        f"codec {codec.probability:.0%} ({_range(codec.kilobits)} kbit/s)": codec.probability,
        f"SpecAugment {policy.spec_augment.probability:.0%}": policy.spec_augment.probability,
    }


def _of_pixels(policy: Augmentation) -> dict[str, float]:
    """Return what a policy does to images, and how strongly."""
    return {
        f"flip {policy.flip:.0%}": policy.flip,
        f"crop {policy.scale.min:.0%} to {policy.scale.max:.0%} of the side": 1 - policy.scale.min,
        f"rotation ±{policy.rotation:g}°": policy.rotation,
        f"blur {policy.blur.probability:.0%} (sigma {_range(policy.blur.sigma)} px)": policy.blur.probability,
        f"noise {policy.noise.probability:.0%} (std {_range(policy.noise.std)} of 255)": policy.noise.probability,
        f"brightness ±{policy.brightness:.0%}": policy.brightness,
        f"contrast ±{policy.contrast:.0%}": policy.contrast,
        f"saturation ±{policy.saturation:.0%}": policy.saturation,
        f"hue ±{policy.hue:g}°": policy.hue,
        f"JPEG {policy.jpeg.probability:.0%} (quality {_range(policy.jpeg.quality)})": policy.jpeg.probability,
    }


def _range(limits: Range | Quality) -> str:
    return f"{limits.min:g} to {limits.max:g}"


def normalization(config: RunConfig) -> str:
    """Return the statistics that images are normalised by."""
    if config.normalization is None:
        return "mean and std of the fold's real training images"
    return "mean " + ", ".join(f"{value:g}" for value in config.normalization.mean)


def trained(config: RunConfig) -> str:
    """Return which weights are trained, and what training starts from."""
    if config.start_from:
        return f"all weights, from {config.start_from}"
    if config.train == "head":
        return "linear head on a frozen backbone (ImageNet weights)"
    return f"all weights, {'from ImageNet weights' if config.pretrained else 'from scratch'}"


def optimizer(config: RunConfig) -> str:
    """Return how weights are optimised; a linear head has nothing to say here."""
    if config.train == "head":
        return "logistic regression, C chosen on the inner validation"
    return (
        f"AdamW, learning rate {config.lr:g}, weight decay {config.weight_decay:g}, cosine over {config.epochs} "
        f"epochs, early stopping after {config.early_stopping_patience} by {config.monitor}, "
        f"batches of {config.batch_size}"
    )


def loss(config: RunConfig) -> str:
    """Return what is minimised."""
    kind, name = config.loss, _LOSSES[config.loss.type]
    if kind.type == "focal":
        return f"{name} (gamma {kind.gamma:g}, alpha {kind.minority_alpha:g} for the minority class)"
    return f"{name}, labels smoothed by {kind.label_smoothing:g}" if kind.label_smoothing else name


def domains(config: RunConfig) -> str:
    """Return which domains features are made invariant to."""
    domain = config.domain
    return "none" if domain.column == "none" else f"{domain.column}, lambda up to {domain.weight:g}, {domain.schedule}"


SETTINGS: dict[str, Callable[[RunConfig], str]] = {
    "Data": lambda config: "combined data sets" if config.dataset == project.UNION else config.dataset,
    "Share of training groups": lambda config: f"{config.fraction:.0%}",
    "Cross-validation": lambda config: (
        f"{config.folds} grouped, stratified folds" + (f" × {config.repeats} repeats" if config.repeats > 1 else "")
    ),
    "Held-out source": lambda config: config.holdout or "none",
    "Fakes for each real": lambda config: "as in the data" if config.class_ratio is None else f"{config.class_ratio:g}",
    "Input": view,
    "Augmentation": augmentation,
    "Normalisation": normalization,
    "Trained": trained,
    "Optimiser": optimizer,
    "Loss": loss,
    "Sampling": lambda config: _SAMPLERS[config.sampler],
    "Domain-adversarial": domains,
}
"""What decides a run's numbers, by the name that pages show."""


def shared(configs: Sequence[RunConfig]) -> list[tuple[str, str]]:
    """Return the settings that runs have in common; those in which they differ are `varied`."""
    return [(name, next(iter(values))) for name, values in _values(configs).items() if len(values) == 1]


def varied(configs: Sequence[RunConfig]) -> list[tuple[str, str]]:
    """Return the settings in which runs differ, each value with the runs that have it."""
    return [
        (name, "; ".join(f"{value} ({', '.join(runs)})" for value, runs in values.items()))
        for name, values in _values(configs).items()
        if len(values) > 1
    ]


def _values(configs: Sequence[RunConfig]) -> dict[str, dict[str, list[str]]]:
    """Return for each setting its values, each with the runs that have it."""
    found: dict[str, dict[str, list[str]]] = {name: {} for name in SETTINGS}
    for config in configs:
        for name, tell in SETTINGS.items():
            found[name].setdefault(tell(config), []).append(config.experiment)
    return found
