"""The detectors: images in, one logit out (greater means more likely fake)."""

from deepfake.models.backbones import SIMPLE_CNN, check_name, check_size, count_parameters, create, misfit
from deepfake.models.frozen import FINAL, PENULTIMATE, LinearHead, LinearProbe
from deepfake.models.simple_cnn import SimpleCNN

__all__ = [
    "FINAL",
    "PENULTIMATE",
    "SIMPLE_CNN",
    "LinearHead",
    "LinearProbe",
    "SimpleCNN",
    "check_name",
    "check_size",
    "count_parameters",
    "create",
    "misfit",
]
