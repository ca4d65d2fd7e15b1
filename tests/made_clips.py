"""Clips that tests make: known frames in an MP4, by PyAV."""

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np

RATE = 10


def clip(
    frames: "list[np.ndarray]", *, rate: int = RATE, lossless: bool = False, sound: bool = False, side: int = 64
) -> bytes:
    """Return uint8 [side, side, 3] frames as an MP4, or without any loss as a Matroska.

    Args:
        frames: of the clip.
        rate: frames a second.
        lossless: whether pixels come out as they went in.
        sound: whether there is a tone beside them.
        side: of the frames.
    """
    container, codec, pixels_as = ("matroska", "ffv1", "bgr0") if lossless else ("mp4", "libx264", "yuv420p")
    file = io.BytesIO()
    with av.open(file, "w", format=container) as written:
        stream: Any = written.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = side, side, pixels_as
        stream.options = {} if lossless else {"crf": "12", "preset": "ultrafast"}
        tone: Any = written.add_stream("aac", rate=16_000, layout="mono") if sound else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            written.mux(stream.encode(frame))
        written.mux(stream.encode())
        if sound:
            wave = (8000 * np.sin(np.arange(16_000 * len(frames) // rate) / 8)).astype(np.int16)
            heard = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 16_000, 0, Fraction(1, 16_000)
            for part in (heard, None):
                written.mux(tone.encode(part))
    return file.getvalue()


def scene(number: int, *, side: int = 64, seed: int = 0) -> np.ndarray:
    """Return a frame of a scene that grows lighter with its number."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 60, (side // 8, side // 8, 3)).repeat(8, 0).repeat(8, 1)
    return (texture + 6 * number).clip(0, 255).astype(np.uint8)
