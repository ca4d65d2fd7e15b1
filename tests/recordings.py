"""Recordings that tests make: known sound in any format, by PyAV and the standard library."""

import io
import wave
from typing import Any

import av
import numpy as np

RATE = 16_000


def speechlike(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Return syllables of noise and tones, int16 [n]: loud and soft, with all frequencies."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * hertz * time + phase) for hertz, phase in rng.uniform(100, 3000, (5, 2)))
    sound = (tones + rng.standard_normal(len(time))) * (0.2 + np.abs(np.sin(2 * np.pi * 2.5 * time)))
    return np.rint(sound / np.abs(sound).max() * 20_000).astype(np.int16)


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    """Return int16 [n] or [n, channels] as a WAV file, by the standard library."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def encoded(
    samples: np.ndarray,
    container: str,
    codec: str,
    rate: int = RATE,
    *,
    kept_as: str | None = None,
    kilobits: int | None = None,
    video: bool = False,
) -> bytes:
    """Return int16 [n] or [n, channels] as a file of FFmpeg's.

    Args:
        samples: the sound.
        container: FFmpeg's name.
        codec: FFmpeg's name.
        rate: samples a second.
        kept_as: FFmpeg's sample format, where a codec has several.
        kilobits: a second, of a lossy codec.
        video: whether a second of grey pictures stands beside the sound.
    """
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as written:
        stream: Any = written.add_stream(codec, rate=rate, layout=layout)
        if kept_as:
            stream.format = kept_as
        if kilobits:
            stream.bit_rate = kilobits * 1000
        if video:
            pictures: Any = written.add_stream("mpeg4", rate=10)
            pictures.width = pictures.height = 32
            for _ in range(10):
                picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
                written.mux(pictures.encode(picture))
            written.mux(pictures.encode(None))
        interleaved = np.ascontiguousarray(samples.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        written.mux(stream.encode(frame))
        written.mux(stream.encode(None))
    return file.getvalue()
