"""What all loops train on: the same JPEG files, and the same images decoded, as a study's cache has them."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 512
"""Side of the files in pixels, that of DeepFakeFace's fakes."""
_GRAIN = 16
"""The files are noise enlarged by so much, so that they are as smooth and as small as photographs."""
_QUALITY = 90
CLASSES = ("real", "fake")


class Setting(NamedTuple):
    """What is trained."""

    model: str
    size: int
    batch: int

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.model}, {self.size} px, batch {self.batch}"


class Material(NamedTuple):
    """Images of both classes, in turns.

    Args:
        folder: holds a folder a class with the JPEG files, some more than once by hard links.
        images: uint8 [n, size, size, 3], each file once.
        rows: int [m], the row of `images` that each file shows.
    """

    folder: Path
    images: np.ndarray
    rows: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """Return the label of each row of `images`, int [n]."""
        return np.arange(len(self.images)) % len(CLASSES)


def write_files(folder: Path, count: int) -> list[Path]:
    """Write random JPEG files and return them."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    files = [folder / f"{number}.jpg" for number in range(count)]
    for file in files:
        grains = rng.integers(0, 256, (SIDE // _GRAIN, SIDE // _GRAIN, 3), dtype=np.uint8)
        Image.fromarray(grains).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "JPEG", quality=_QUALITY)
    return files


def decoded(files: list[Path], size: int) -> np.ndarray:
    """Return the files' images at a size, uint8 [n, size, size, 3]."""
    images = np.empty((len(files), size, size, 3), np.uint8)
    for place, file in enumerate(files):
        with Image.open(file) as image:
            images[place] = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    return images


def spread(files: list[Path], images: np.ndarray, folder: Path, count: int) -> Material:
    """Lay out so many files as loaders of folders want them.

    Args:
        files: the files.
        images: what they show, in the same order.
        folder: where the folders of the classes are made.
        count: files in all: the given ones again and again.
    """
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    for number in range(count):
        place = number % len(files)
        os.link(files[place], folder / CLASSES[place % len(CLASSES)] / f"{number:06d}.jpg")
    return Material(folder, images, np.arange(count) % len(files))
