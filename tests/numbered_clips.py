"""Clips made here, whose frames show their number: ten squares, white where it has a one, black where a zero."""

import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BITS = 10
SQUARE = 8
WIDTH, HEIGHT = BITS // 2 * SQUARE, 2 * SQUARE + 4
"""The last four rows are red at the left and blue at the right, so that a turn shows."""
MILLISECONDS = Fraction(1, 1000)


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return the frame of a number, uint8 [height, width, 3]."""
    small = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for bit in range(BITS):
        y, x = SQUARE * (bit % 2), SQUARE * (bit // 2)
        small[y : y + SQUARE, x : x + SQUARE] = 235 * (number >> bit & 1)
    small[2 * SQUARE :, : WIDTH // 2] = (235, 0, 0)
    small[2 * SQUARE :, WIDTH // 2 :] = (0, 0, 235)
    rows, columns = np.arange(height) * HEIGHT // height, np.arange(width) * WIDTH // width
    return np.ascontiguousarray(small[rows][:, columns])


def number(pixels: Any) -> int:
    """Return the number that a picture shows that was not turned, uint8 [height, width, 3] or PIL's."""
    gray = np.asarray(pixels, np.float64)[..., :3].mean(axis=2)
    y, x = gray.shape[0] / HEIGHT, gray.shape[1] / WIDTH
    found = 0
    for bit in range(BITS):
        top, left = SQUARE * (bit % 2), SQUARE * (bit // 2)
        part = gray[round((top + 2) * y) : round((top + 6) * y), round((left + 2) * x) : round((left + 6) * x)]
        found |= int(part.mean() > 117) << bit
    return found


def clip(
    count: int,
    *,
    container: str = "mp4",
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    rate: int = 25,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    milliseconds: Sequence[int] | None = None,
    sound: bool = False,
    mux: dict[str, str] | None = None,
    rotation: int = 0,
    setup: Callable[[Any], None] = lambda stream: None,
) -> bytes:
    """Return an encoded clip of frames 0 to `count - 1`.

    Args:
        count: of its frames.
        container: as libav names it.
        codec: of libav.
        pixel_format: as libav names it.
        options: of the codec; by default three B-frames and a keyframe every twelve.
        rate: frames a second.
        size: width and height.
        milliseconds: when each frame is shown, instead of the rate.
        sound: whether a second of silence is in it, too.
        mux: options of the container.
        rotation: degrees against the clock by which it is to be turned.
        setup: called with the stream before anything is encoded.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"  # some containers are read again while they are written
        with av.open(str(path), "w", format=container, options=mux or {}) as file:
            video = file.add_stream(codec, rate=rate, options={"bf": "3", "g": "12"} if options is None else options)
            assert isinstance(video, av.VideoStream)
            video.width, video.height, video.pix_fmt = *size, pixel_format
            if rotation:
                video.set_display_rotation(rotation)
            if milliseconds is not None:
                video.codec_context.time_base = MILLISECONDS
            setup(video)
            audio = file.add_stream("aac", rate=16000, layout="mono") if sound else None
            for position in range(count):
                frame = av.VideoFrame.from_ndarray(picture(position, *size), format="rgb24")
                if milliseconds is not None:
                    frame.pts, frame.time_base = milliseconds[position], MILLISECONDS
                file.mux(video.encode(frame))
            file.mux(video.encode())
            if audio is not None:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
                silence.sample_rate = 16000
                file.mux(audio.encode(silence))
                file.mux(audio.encode())
        return path.read_bytes()
