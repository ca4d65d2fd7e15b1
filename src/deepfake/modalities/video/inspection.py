"""What the frames of a clip are, or why it is refused.

Every packet of the file is read, and the frames that are taken are decoded, with those that they are made from. What
lies between them is not, which would cost a large data set days: a fault there changes nothing that is ever shown.
"""

import math
from collections.abc import Iterator

from av.video.reformatter import ColorTrc
from PIL import Image

from deepfake.config.images import Parts
from deepfake.modalities.base import Facts, Medium
from deepfake.modalities.video import containers, decoding
from deepfake.modalities.video.containers import Clip, Unreadable, opened
from deepfake.modalities.video.positions import Timeline, spread, timeline

_TURNED = {
    Image.Transpose.ROTATE_90: "rotated by 90 degrees",
    Image.Transpose.ROTATE_180: "rotated by 180 degrees",
    Image.Transpose.ROTATE_270: "rotated by 270 degrees",
}
_LARGE = 1280 * 720
"""Pixels of a frame from which two threads decode one clip: it is seconds of work, and often the only file."""
_HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)


def inspect(medium: Medium, parts: Parts) -> list[Facts] | str:
    """Decode the frames of a clip that are taken.

    Args:
        medium: the encoded file. Its content decides, not its name.
        parts: `frames` of them are taken, or all of a shorter clip.

    Returns:
        What each of them is, as `schemas.MEDIA` after the `sample_id`; or the reason why the clip is refused.
    """
    return _seen(medium, parts, every=True)


def glance(medium: Medium, parts: Parts) -> list[Facts] | str:
    """Do what `inspect` does, but decode the first frame only, and take the others to be like it."""
    return _seen(medium, parts, every=False)


def _seen(medium: Medium, parts: Parts, *, every: bool) -> list[Facts] | str:
    """Return what the frames taken of a clip are, or why it is refused; see `inspect`."""
    try:
        with opened(medium) as clip:
            _check_size(clip.stream.width, clip.stream.height)
            if clip.stream.width * clip.stream.height >= _LARGE:
                containers.use_threads(clip.stream, 2)
            line = timeline(medium, clip)
            return list(_facts(medium, clip, line, spread(line.length, parts.frames), every=every))
    except Unreadable as refused:
        return str(refused)
    except Exception as error:
        # libav's own errors are caught where they are expected; one broken file must not end the run
        return f"cannot be decoded: {error or type(error).__name__}"


def _facts(medium: Medium, clip: Clip, line: Timeline, taken: list[int], *, every: bool) -> Iterator[Facts]:
    """Yield what each frame taken of a clip is."""
    stream, unit, varies = clip.stream, float(clip.stream.time_base or 0), line.varies
    rate = float(stream.average_rate or 0) or (line.length / line.duration if line.duration else 0.0)
    of_clip = line.length, round(rate, 6), round(line.duration, 6)
    codec = stream.codec_context.codec.canonical_name
    wanted = taken if every else taken[:1]
    pictures = []
    for frame in decoding.frames(medium, line, wanted, clip=clip):
        width, height = frame.size
        _check_size(width, height)
        notes = "; ".join(_notes(clip, frame, varies=varies))
        pictures.append((width, height, clip.format, codec, frame.stored.format.name, notes))
    for number, picture in zip(taken, pictures if every else pictures * len(taken), strict=True):
        yield number, round(line.seconds(number, unit), 6), *of_clip, *picture


def _check_size(width: int, height: int) -> None:
    """Raise if a frame has more pixels than an image may have."""
    if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):
        raise Unreadable("too many pixels")


def _notes(clip: Clip, decoded: decoding.Frame, *, varies: bool) -> Iterator[str]:
    """Yield what is odd about a frame of a clip."""
    frame = decoded.stored
    if decoded.turn is not None:
        yield _TURNED.get(decoded.turn, "mirrored")
    bits = frame.format.components[0].bits
    if bits > 8:
        yield f"{bits} bits a channel, shown in 8"
    if frame.color_trc in _HDR:
        yield "high dynamic range, not tone-mapped"
    if varies:
        yield "variable frame rate"
    aspect = clip.stream.sample_aspect_ratio
    if aspect and aspect != 1:
        yield f"pixel aspect {aspect.numerator}:{aspect.denominator} not applied"
    if frame.interlaced_frame:
        yield "interlaced"
    if (frame.width, frame.height) != (clip.stream.width, clip.stream.height):
        yield "size changes"
    if frame.is_corrupt:
        yield "damaged"
