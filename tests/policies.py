"""Augmentation policies for tests: the one that changes nothing, changed."""

from conftest import changed
from deepfake.config.params import Augmentation

NONE = Augmentation().model_dump()
EVERYTHING = {
    "flip": 0.5,
    "scale.min": 0.6,
    "rotation": 20.0,
    "blur": {"probability": 0.5, "sigma": {"min": 0.5, "max": 2.0}},
    "noise": {"probability": 0.5, "std": {"min": 5.0, "max": 20.0}},
    "brightness": 0.2,
    "contrast": 0.2,
    "saturation": 0.4,
    "hue": 30.0,
    "jpeg": {"probability": 0.5, "quality": {"min": 20, "max": 90}},
}
"""Changes by which every step can happen."""


def policy(**changes) -> Augmentation:
    """Return the policy that changes nothing, with some values changed by dotted path."""
    return Augmentation.model_validate(changed(NONE, changes))
