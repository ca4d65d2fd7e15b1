"""The detectors: images or maps of sound in, one logit out (greater means more likely fake)."""

from deepfake.config.runs import SIMPLE_CNN
from deepfake.models.backbones import OWN, check_name, check_size, count_parameters, create, misfit
from deepfake.models.frozen import FINAL, PENULTIMATE, LinearHead, LinearProbe
from deepfake.models.light_cnn import LightCNN
from deepfake.models.simple_cnn import SimpleCNN

__all__ = [
    "FINAL",
    "OWN",
    "PENULTIMATE",
    "SIMPLE_CNN",
    "LightCNN",
    "LinearHead",
    "LinearProbe",
    "SimpleCNN",
    "check_name",
    "check_size",
    "count_parameters",
    "create",
    "misfit",
]
