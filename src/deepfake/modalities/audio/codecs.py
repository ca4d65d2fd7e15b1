"""Lossy codecs and back, in memory: what a call, a messenger or a portal does to sound."""

from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from deepfake.modalities.audio.schemas import RATE


def opus(sound: np.ndarray, kilobits: float, *, effort: int = 10) -> np.ndarray:
    """Compress and decompress sound by Opus at a rate, as calls do (its `voip` mode).

    Args:
        sound: int16 [n], at 16 kHz.
        kilobits: a second, from 6 on.
        effort: of the encoder, 0 to 10: 0 takes half the time of 10.

    Returns:
        int16 [n], in step with what came in.
    """
    encoder = _encoder("libopus", "s16", kilobits)
    encoder.options = {"application": "voip", "compression_level": str(effort)}
    encoder.open()
    # the decoder learns from the header how much it has to skip; it gives 48 kHz
    return _there_and_back(sound, encoder, "opus", encoder.extradata)


def mp3(sound: np.ndarray, kilobits: float) -> np.ndarray:
    """Compress and decompress sound by MP3 at a rate, which is rounded to the nearest of its own.

    Args:
        sound: int16 [n], at 16 kHz.
        kilobits: a second, from 8 to 160.

    Returns:
        int16 [n], in step with what came in.
    """
    encoder = _encoder("libmp3lame", "s16p", kilobits)
    encoder.open()
    return _there_and_back(sound, encoder, "mp3float", None)


def resampled(sound: np.ndarray, rate: int) -> np.ndarray:
    """Resample sound, int16 [n] at 16 kHz, to a lower rate and back: int16 [n]."""
    down = AudioResampler("s16", "mono", rate)
    up = AudioResampler("s16", "mono", RATE)
    low = _joined([*down.resample(_frame(sound, "s16", 0)), *down.resample(None)])
    frame = _frame(low, "s16", 0)
    frame.sample_rate = rate
    return _fitted(_joined([*up.resample(frame), *up.resample(None)]), len(sound))


def _encoder(name: str, kept_as: str, kilobits: float) -> AudioCodecContext:
    """Return an encoder of mono sound at 16 kHz that is not opened yet."""
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", kept_as  # pyright: ignore
    encoder.bit_rate, encoder.time_base = round(kilobits * 1000), Fraction(1, RATE)
    return encoder


def _there_and_back(sound: np.ndarray, encoder: AudioCodecContext, name: str, header: bytes | None) -> np.ndarray:
    """Return sound encoded and decoded, as long as before."""
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = header
    decoder.thread_count = 1
    held_as, size = encoder.format.name, encoder.frame_size
    packets = []
    for start in range(0, len(sound), size):
        packets += encoder.encode(_frame(np.resize(sound[start:], min(size, len(sound) - start)), held_as, start))
    packets += encoder.encode(None)
    back = AudioResampler("s16", "mono", RATE)
    frames: list[AudioFrame] = []
    for packet in (*packets, None):
        for frame in decoder.decode(packet):
            frame.pts = None
            frames += back.resample(frame)
    return _fitted(_joined([*frames, *back.resample(None)]), len(sound))


def _frame(sound: np.ndarray, held_as: str, start: int) -> AudioFrame:
    """Return sound as FFmpeg takes it."""
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), format=held_as, layout="mono")
    frame.sample_rate, frame.pts = RATE, start
    return frame


def _joined(frames: list[AudioFrame]) -> np.ndarray:
    """Return the sound of frames, int16."""
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def _fitted(sound: np.ndarray, length: int) -> np.ndarray:
    """Return sound cut at its end, or followed by silence, so that it has a length."""
    return np.pad(sound[:length], (0, max(0, length - len(sound))))
