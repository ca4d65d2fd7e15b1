"""Frames of a clip, decoded: those that are wanted and those that they are made from, and no more.

The fast way begins at the keyframe before a wanted frame and leaves out what no other frame is made from. Where it does
not give the very frames that were asked for, in their order, the clip is decoded from its beginning.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import NamedTuple

from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from PIL import Image

from deepfake.modalities.base import Medium
from deepfake.modalities.video.containers import Clip, Unreadable, opened
from deepfake.modalities.video.positions import Key, Timeline

_SEEKABLE = ("mp4", "mov", "matroska")
"""Containers with an index of their keyframes."""
_SKIPPING = ("h264", "hevc")
"""Codecs that can leave out frames that no other is made from."""
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
"""The same colours on every processor, and right to a level: swscale's faster ways are off by two and more. Range and
matrix are those that the frame names; where it names none, swscale's own: limited range and BT.601."""
_TURNS = {
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}
"""What sets a frame upright, by the signs of the first two rows and columns of its display matrix."""
_SIDEWAYS = (
    *(Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270),
    *(Image.Transpose.TRANSPOSE, Image.Transpose.TRANSVERSE),
)
"""The turns that swap width and height."""


class Frame(NamedTuple):
    """A frame that is decoded.

    Args:
        stored: as it is stored.
        turn: what sets it upright, if it is not.
    """

    stored: VideoFrame
    turn: Image.Transpose | None

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the upright frame."""
        width, height = self.stored.width, self.stored.height
        return (height, width) if self.turn in _SIDEWAYS else (width, height)

    def image(self, reformatter: VideoReformatter | None = None) -> Image.Image:
        """Return it upright, in RGB of 8 bits; a reformatter that is kept from frame to frame is set up once."""
        reformatter = reformatter or VideoReformatter()
        plain = reformatter.reformat(self.stored, format="rgb24", interpolation=EXACT).to_ndarray()
        image = Image.fromarray(plain)
        return image if self.turn is None else image.transpose(self.turn)


def frames(
    medium: Medium, line: Timeline, wanted: Sequence[int], *, clip: Clip | None = None, threads: int = 1
) -> Iterator[Frame]:
    """Yield frames of a clip, one after the other; they are turned as the first of them says.

    Args:
        medium: the clip.
        line: its frames.
        wanted: their numbers, ascending and each once.
        clip: the same clip, opened, at whatever position; it saves opening it once more where it can be wound back.
        threads: of the decoder, where it is opened here; they do not change the result.

    Raises:
        Unreadable: one of them does not come out.
    """
    turn = None
    for place, frame in enumerate(_stored(medium, line, wanted, clip, threads)):
        if place == 0:  # once only: a frame that was asked for this is not freed before Python looks for cycles
            turn = _turn(frame)
        yield Frame(frame, turn)


def _stored(
    medium: Medium, line: Timeline, wanted: Sequence[int], clip: Clip | None, threads: int
) -> Iterator[VideoFrame]:
    """Yield frames as they are stored; see `frames`."""
    given = 0
    times = [line.times[number] for number in wanted] if line.times else []
    if times:
        wound = clip is not None and clip.format in _SEEKABLE and bool(line.keys)
        with nullcontext(clip) if clip is not None and wound else opened(medium, threads=threads) as again:
            for frame in _quickly(again, line, times, wound=wound):
                if frame.pts != times[given]:
                    break
                yield frame
                given += 1
                if given == len(wanted):
                    return
    with opened(medium, threads=threads) as again:
        for number, frame in enumerate(_all(again)):
            if (frame.pts == times[given]) if times else (number == wanted[given]):
                yield frame
                given += 1
                if given == len(wanted):
                    return
    raise Unreadable(f"cannot be decoded: frame {wanted[given] + 1} of {line.length}")


def _all(clip: Clip) -> Iterator[VideoFrame]:
    """Yield the frames of a clip until its end, or until there is no way on."""
    with suppress(FFmpegError):
        yield from clip.container.decode(clip.stream)


def _quickly(clip: Clip, line: Timeline, times: Sequence[int], *, wound: bool) -> Iterator[VideoFrame]:
    """Yield what comes out of the frames of some times when only the parts of a clip around them are decoded.

    Args:
        clip: opened just now, or to be wound back.
        line: its frames.
        times: of those wanted, ascending.
        wound: whether it is to be wound back.
    """
    context = clip.stream.codec_context
    skipping = context.codec.canonical_name in _SKIPPING
    for key, wanted in _stretches(clip, line, times):
        key = key or (line.keys[0] if wound else None)
        left, last = set(wanted), max(wanted, key=line.positions.__getitem__)
        with suppress(FFmpegError):
            if key is not None:
                clip.container.seek(key.read, stream=clip.stream)  # also forgets what the decoder holds
            for packet in clip.container.demux(clip.stream):
                if skipping:
                    context.skip_frame = "DEFAULT" if packet.size == 0 or packet.pts in left else "NONREF"
                found = packet.decode()
                if packet.pts == last:
                    found += context.decode(None)
                for frame in found:
                    if frame.pts in left:
                        yield frame
                if packet.pts == last:
                    break


def _stretches(clip: Clip, line: Timeline, times: Sequence[int]) -> Iterator[tuple[Key | None, list[int]]]:
    """Yield the keyframe to begin at, none at the beginning of the file, and the times of the frames wanted of it."""
    begin = 0
    wanted: list[int] = []
    keys = line.keys if clip.format in _SEEKABLE else []
    held: Key | None = None
    for time in times:
        # a frame that is stored behind a keyframe and shown before it is made from what lies before both
        key = next((one for one in reversed(keys) if one.shown <= time and one.position <= line.positions[time]), None)
        position = key.position if key else 0
        if position != begin and wanted:
            yield held, wanted
            wanted = []
        if position != begin:
            begin, held = position, key
        wanted.append(time)
    if wanted:
        yield held, wanted


def _turn(frame: VideoFrame) -> Image.Transpose | None:
    """Return what sets a frame upright, if it is not; turns by anything but right angles are left alone."""
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return None
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(found))
    return _TURNS.get((_sign(a), _sign(b), _sign(c), _sign(d)))


def _sign(value: int) -> int:
    """Return -1, 0 or 1."""
    return (value > 0) - (value < 0)
