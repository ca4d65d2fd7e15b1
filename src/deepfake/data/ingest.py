"""From a raw data set to its table of samples: every file hashed and decoded, the bad ones set aside."""

import hashlib
import io
import itertools
import lzma
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
from PIL import Image
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from deepfake import tables
from deepfake.data.catalog import DataSet
from deepfake.errors import InputError

_BATCH = 256
"""Files in memory at once."""
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV")


@dataclass(frozen=True)
class RawFile:
    """A file of a raw data set and what its place tells about it."""

    archive: str
    path: str
    source: str
    group: str

    @property
    def sample_id(self) -> str:
        """Return the identity of the sample: sources may share basenames, so the source is part of it."""
        return f"{self.source}/{self.path}"


def source_archives(raw: Path, dataset: DataSet) -> Iterator[tuple[RawFile, bytes | str]]:
    """Yield the files of a data set that comes as one zip archive a source, as DeepFakeFace does.

    The archives are read in place and never unpacked, so no entry can escape its folder. Instead of the bytes of
    a member that cannot be read comes the reason.

    Raises:
        InputError: an archive is missing or is not a zip file.
    """
    for source in dataset.sources:
        archive = f"{source}.zip"
        try:
            with zipfile.ZipFile(raw / archive) as members:
                for info in sorted(members.infolist(), key=lambda info: info.filename):
                    if info.is_dir():
                        continue
                    member = PurePosixPath(info.filename)
                    group = member.parent.name if dataset.group == "folder" else member.stem
                    yield RawFile(archive, info.filename, source, group), _read(members, info)
        except FileNotFoundError:
            raise InputError(f"{raw / archive}: not found; to obtain the data: {dataset.obtain}") from None
        except zipfile.BadZipFile as error:
            raise InputError(f"{raw / archive}: not a readable zip archive ({error}); obtain it again") from None


ADAPTERS = {"source_archives": source_archives}


def _read(members: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | str:
    """Return a member's bytes, or why it cannot be read."""
    try:
        return members.read(info)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        return f"damaged in the archive: {error}"
    except (RuntimeError, NotImplementedError) as error:
        # zipfile's words for an encrypted member and for an unknown compression
        return f"cannot be unpacked: {error}"


def ingest(
    name: str,
    dataset: DataSet,
    raw: Path,
    *,
    max_quarantined: float,
    threads: int,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decode every file of a raw data set.

    Args:
        name: the data set's key in the catalog.
        dataset: its entry there.
        raw: the folder it lies in.
        max_quarantined: largest share of files that may be unreadable.
        threads: decoding threads; they do not change the result.
        progress: called with the number of files done.

    Returns:
        The samples (`tables.SAMPLES`), and the quarantine (`archive, path, source, reason`).

    Raises:
        InputError: an archive is missing, too many files are unreadable, or a class has no sample.
    """
    samples: list[dict[str, object]] = []
    refused: list[dict[str, object]] = []
    files = ADAPTERS[dataset.adapter](raw, dataset)
    with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
        # `inspect` looks at the number of pixels itself: warning filters belong to the process, not to a thread
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        while batch := list(itertools.islice(files, _BATCH)):
            for (file, data), found in zip(batch, pool.map(inspect, (data for _, data in batch)), strict=True):
                if isinstance(data, str) or isinstance(found, str):
                    refused.append({"archive": file.archive, "path": file.path, "source": file.source, "reason": found})
                    continue
                width, height = found
                samples.append(
                    {
                        "sample_id": file.sample_id,
                        "archive": file.archive,
                        "path": file.path,
                        "dataset": name,
                        "modality": dataset.modality,
                        "label": tables.FAKE if dataset.sources[file.source] == "fake" else tables.REAL,
                        "source": file.source,
                        "group": file.group,
                        "width": width,
                        "height": height,
                        "bytes": len(data),
                        "sha256": hashlib.sha256(data).hexdigest(),
                    }
                )
            progress(len(samples) + len(refused))
    quarantine = pd.DataFrame(refused, columns=["archive", "path", "source", "reason"])
    _check_yield(name, samples, quarantine, max_quarantined)
    return pd.DataFrame(samples), quarantine


def inspect(data: bytes | str) -> tuple[int, int] | str:
    """Decode an image fully.

    Args:
        data: the encoded file, or the reason why there is none.

    Returns:
        Its width and height in pixels, or the reason why it is refused.
    """
    if not data or isinstance(data, str):
        return data or "empty file"
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                return "too many pixels (decompression bomb)"
            image.load()
            if image.mode not in _EIGHT_BIT_MODES or _bits(image, data) > 8:
                return f"not 8 bits a channel (mode {image.mode})"
            return image.size
    except Image.UnidentifiedImageError:
        return f"not an image of a known format ({', '.join(_FORMATS)})"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return "too many pixels (decompression bomb)"
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error) as error:
        # the exceptions by which PIL's decoders say that a file is truncated or broken
        return f"cannot be decoded: {error}"


def _bits(image: Image.Image, data: bytes) -> int:
    """Return the bits a channel has in the file: PIL reduces 16-bit colour to 8 bits without a word."""
    if image.format == "PNG":
        return data[24]  # the bit depth in the header, PNG specification 11.2.2
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITSPERSAMPLE, (8,)))
    return 8


def _check_yield(name: str, samples: list[dict[str, object]], quarantine: pd.DataFrame, max_quarantined: float) -> None:
    """Refuse a data set of which too little is readable."""
    total = len(samples) + len(quarantine)
    if not total:
        raise InputError(f"data set {name}: there is no file in it")
    if len(quarantine) > max_quarantined * total:
        worst = quarantine["reason"].value_counts().index[0]
        raise InputError(
            f"data set {name}: {len(quarantine)} of {total} files cannot be used, more than "
            f"ingest.max_quarantined = {max_quarantined:g} allows; most often: {worst}; "
            f"first: {quarantine['archive'].iloc[0]}:{quarantine['path'].iloc[0]}"
        )
    if len({sample["label"] for sample in samples}) < 2:
        raise InputError(f"data set {name}: it needs both real and fake samples; check its sources")
