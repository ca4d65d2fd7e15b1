"""The third embedded sample: the files of the first as a messenger hands them on, smaller and compressed again.

Archives and members have the names of the sample's. How much smaller is drawn for a photograph and its fakes together,
the quality for each file, so neither tells fakes from reals; that reals are rectangular and fakes square stays so.
"""

import os
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from deepfake.config.params import Resent
from deepfake.errors import InputError
from deepfake.progress import SILENT, Progress
from deepfake.synthetic import archives, sample


def generate(raw: Path, settings: Resent, destination: Path, progress: Progress = SILENT) -> None:
    """Write the archives of a data set, every file resent, into a folder, whole or not at all.

    The same files and settings give the same bytes, on any number of cores.

    Args:
        raw: the folder of the sample.
        settings: the section `sample_resent` of params.yaml.
        destination: the folder; one that exists is replaced.
        progress: told of the files done.

    Raises:
        InputError: the sample is missing or damaged.
        OSError: the folder cannot be written.
    """
    members = {source: _read(raw / f"{source}.zip") for source in sample.SOURCES}
    done, total = 0, sum(map(len, members.values()))
    with (
        archives.replacing(destination) as folder,
        sample.single_threaded_libraries(),
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for place, (source, files) in enumerate(members.items()):
            resent: dict[str, bytes] = {}
            made = pool.map(partial(resend, place=place, settings=settings), files, files.values())
            for name, data in zip(files, made, strict=True):
                if data is None:
                    raise InputError(f"{raw / source}.zip: {name} is not an image; run deepfake sample again")
                resent[name] = data
                done += 1
                progress.advance(f"generating {destination.name}", done, total)
            archives.write_zip(resent, folder / f"{source}.zip")


def resend(name: str, data: bytes, place: int, settings: Resent) -> bytes | None:
    """Make a file smaller and compress it again.

    Args:
        name: its name in its archive; files of one basename are made smaller by one factor.
        data: the encoded image.
        place: the archive's place in `sample.SOURCES`, part of the seed of its quality.
        settings: the section `sample_resent` of params.yaml.

    Returns:
        A JPEG, or None when the file cannot be decoded.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if pixels is None:
        return None
    photograph = zlib.crc32(PurePosixPath(name).stem.encode())
    # the first place after all sources: a stream that a photograph and its fakes share
    shared, own = (np.random.default_rng([settings.seed, at, photograph]) for at in (len(sample.SOURCES), place))
    scale = shared.uniform(settings.scale.min, settings.scale.max)
    height, width = pixels.shape[:2]
    smaller = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    quality = int(own.integers(settings.jpeg_quality.min, settings.jpeg_quality.max, endpoint=True))
    _, encoded = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


def _read(path: Path) -> dict[str, bytes]:
    """Return the files of an archive by their names.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run deepfake sample first") from None
    except zipfile.BadZipFile:
        raise InputError(f"{path}: not a whole zip archive; run deepfake sample again") from None
