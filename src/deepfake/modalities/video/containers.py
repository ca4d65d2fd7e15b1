"""A clip opened: its container and its first stream of pictures, or why there is none."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av
import av.logging
from av.container import InputContainer
from av.error import EOFError as End
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from deepfake.modalities.base import Medium
from deepfake.modalities.image import decoding as images

FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg", "gif", "ivf", "mxf", "nut", "dv"),
    *("yuv4mpegpipe", "wav", "mp3", "flac", "aac", "aiff", "caf"),
)
"""What is opened, as libav names it; the last ones hold sound alone, and are named so that they can be refused by that.
Others are not: playlists would make libav read other files, and a text would be shown as a film of letters."""
_OPTIONS = {"format_whitelist": ",".join(FORMATS)}
_BOX_HEADER, _BOXES = 8, 100
"""Bytes, and how many boxes are looked at."""
_SIGNATURES = (b"\x1aE\xdf\xa3", b"RIFF", b"FLV\x01")
"""Of Matroska, AVI and FLV: files that begin so and cannot be opened are broken, and not something else."""


class Unreadable(Exception):
    """A file is no clip that can be decoded; the message is the reason, in a few words."""


class Clip(NamedTuple):
    """A clip that is opened.

    Args:
        container: of libav.
        stream: its first stream of pictures that is no cover.
        format: of the container, in one word.
    """

    container: InputContainer
    stream: VideoStream
    format: str


@contextmanager
def opened(medium: Medium, *, threads: int = 1) -> Iterator[Clip]:
    """Open a clip.

    Args:
        medium: its bytes, or where it lies.
        threads: of the decoder; they do not change the result.

    Raises:
        Unreadable: it is no clip.
    """
    if _size(medium) == 0:
        raise Unreadable("empty file")
    # "file:" keeps libav from taking a name for a protocol or a pattern
    source = io.BytesIO(medium) if isinstance(medium, bytes) else f"file:{medium}"
    try:
        container = av.open(source, "r", options=_OPTIONS, metadata_errors="replace")
    except (FFmpegError, ValueError) as error:
        raise Unreadable(_refused(medium, error)) from None
    with container:
        streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
        if not streams:
            raise Unreadable("no video stream (audio only)" if container.streams.audio else _nothing(medium))
        stream = streams[0]
        if stream.codec_context is None:
            raise Unreadable("cannot be decoded: its codec is not known")
        use_threads(stream, threads)
        yield Clip(container, stream, _name(container))


def use_threads(stream: VideoStream, threads: int) -> None:
    """Let so many threads decode a stream of which nothing has been decoded yet; they do not change the result."""
    stream.codec_context.thread_count = threads
    stream.codec_context.thread_type = "AUTO" if threads > 1 else "NONE"


def _size(medium: Medium) -> int:
    """Return the bytes of a file."""
    return medium.stat().st_size if isinstance(medium, Path) else len(medium)


def _name(container: InputContainer) -> str:
    """Return what a container is called; libav has one name for all of the family of MP4."""
    name = container.format.name.split(",")[0]
    if name != "mov":
        return name
    return "mov" if container.metadata.get("major_brand", "").strip() == "qt" else "mp4"


def _nothing(medium: Medium) -> str:
    """Return why nothing is found in a file."""
    size = _size(medium)
    cut = any(kind == b"moov" and end > size for kind, end in _boxes(medium))
    return "cannot be decoded: its index (moov) was cut off" if cut else "no video stream"


def _refused(medium: Medium, error: Exception) -> str:
    """Return why a file cannot be opened."""
    kinds = [kind for kind, _ in _boxes(medium)]
    if kinds[:1] == [b"ftyp"] and b"moov" not in kinds:
        return "cannot be decoded: its index (moov) is missing; the file was cut off"
    if kinds[:1] == [b"ftyp"] or _start(medium).startswith(_SIGNATURES):
        if isinstance(error, End):
            return "no frames"
        return f"cannot be decoded: {getattr(error, 'strerror', '') or error}"
    return f"not a video of a known format ({', '.join(FORMATS[:8])}, ...)"


def _start(medium: Medium) -> bytes:
    """Return the first bytes of a file."""
    with io.BytesIO(medium) if isinstance(medium, bytes) else medium.open("rb") as file:
        return file.read(_BOX_HEADER)


def _boxes(medium: Medium) -> list[tuple[bytes, int]]:
    """Return the kinds of the outermost boxes of an MP4 and the like (ISO/IEC 14496-12, 4.2), and their ends."""
    found: list[tuple[bytes, int]] = []
    size, at = _size(medium), 0
    with io.BytesIO(medium) if isinstance(medium, bytes) else medium.open("rb") as file:
        while at + _BOX_HEADER <= size and len(found) < _BOXES:
            file.seek(at)
            header = file.read(2 * _BOX_HEADER)
            length = int.from_bytes(header[:4])
            if length == 1:  # a longer number follows
                length = int.from_bytes(header[8:16])
            if length == 0:  # to the end of the file
                length = size - at
            at += max(length, _BOX_HEADER)
            found.append((header[4:8], at))
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what libav and PIL say from the user: what is wrong with a file stands in the reason why it is refused."""
    av.logging.set_level(None)  # of the whole process, as libav's own level is
    with images.quiet():
        yield
