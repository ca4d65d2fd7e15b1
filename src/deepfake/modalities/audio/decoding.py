"""From a file with sound to mono samples at 16 kHz: one way for inspection, windows, features and predictions.

The first sound track counts, of a video, too. Channels are averaged. Packets that cannot be decoded are left out, as
players do, and counted. Nothing holds a whole recording: samples come in blocks of a fraction of a second.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from deepfake.modalities.audio.schemas import RATE
from deepfake.modalities.base import Medium

FORMATS = (
    *("wav", "w64", "flac", "mp3", "ogg", "mov", "matroska", "asf", "aiff", "caf", "au", "aac", "amr"),
    *("avi", "flv", "mpegts", "mpeg"),
)
"""The containers that FFmpeg may find in a file; playlists, which open other files, are not among them."""
_HEADERLESS: dict[str, tuple[str, dict[str, str]]] = {
    ".gsm": ("gsm", {"sample_rate": "8000"}),
    ".g722": ("g722", {}),
    **dict.fromkeys((".ulaw", ".ul"), ("mulaw", {"sample_rate": "8000", "ch_layout": "mono"})),
    **dict.fromkeys((".alaw", ".al"), ("alaw", {"sample_rate": "8000", "ch_layout": "mono"})),
    ".sln": ("s16le", {"sample_rate": "8000", "ch_layout": "mono"}),
    ".sln16": ("s16le", {"sample_rate": "16000", "ch_layout": "mono"}),
}
"""What only the name of a file tells: FFmpeg's container, and its options, as telephone exchanges use them."""
_MAGIC = (b"RIFF", b"fLaC", b"OggS", b"FORM", b"ID3", b".snd")
"""Beginnings of files that say themselves what they are, whatever their name."""
_NAMES = "WAV, FLAC, MP3, Ogg, Opus, M4A, AIFF, WMA or a video; GSM, G.722, u-law and A-law by the name of the file"
_FLOATS = "fltp"
"""FFmpeg's name of float samples, a plane for each channel."""


class Unusable(Exception):
    """A file gives no sound; the message is the reason."""


def quiet() -> AbstractContextManager[None]:
    """Keep what decoders warn about from the user: PyAV does so by itself."""
    return nullcontext()


class Track:
    """The sound of a file that is opened."""

    def __init__(self, container: InputContainer, stream: AudioStream, size: int):
        """Keep what the header says.

        Args:
            container: the file.
            stream: its first sound track.
            size: bytes of the file.
        """
        context = stream.codec_context
        self._container, self._stream = container, stream
        self.size = size
        self.rate = context.sample_rate
        self.channels = context.layout.nb_channels
        self.format = container.format.name.split(",")[0]
        self.codec = context.codec.name if context.codec.name != "mp3float" else "mp3"
        self.bits = _bits(self.codec, context.format.name if context.format else "", context.extradata)
        self.tags = dict(container.metadata) | dict(stream.metadata)
        self.damaged = 0
        """Packets that could not be decoded so far."""
        self.packets = 0
        """Packets so far."""
        self.beyond = False
        """Whether a sample so far lay beyond full scale by more than a resampler's overshoot."""

    @property
    def claimed(self) -> float | None:
        """Return the seconds that the header promises, where it does."""
        stream = self._stream
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return None if self._container.duration is None else self._container.duration / av.time_base

    def samples(self) -> Iterator[np.ndarray]:
        """Yield the recording at 16 kHz, int16, block by block.

        Raises:
            Unusable: samples are not numbers.
        """
        return self._blocks(RATE, _whole)

    def native(self) -> Iterator[np.ndarray]:
        """Yield the recording at its own rate, float32 of full scale 1, block by block; its channels are averaged.

        Raises:
            Unusable: samples are not numbers.
        """
        return self._blocks(self.rate, lambda block: block)

    def _blocks(self, rate: int, ready: Callable[[np.ndarray], np.ndarray]) -> Iterator[np.ndarray]:
        """Yield what a function makes of mono blocks at a rate."""
        held: tuple[Any, ...] | None = None
        resampler: AudioResampler | None = None
        for frame in self._frames():
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if ready is _whole and kind[0] in ("s16", "s16p") and kind[1:] == ("mono", rate):
                yield frame.to_ndarray().ravel()
                continue
            if kind != held:
                # a stream may change its kind half-way
                yield from map(ready, self._mono(self._resampled(resampler, None)))
                held, resampler = kind, AudioResampler(_FLOATS, frame.layout, rate)
            frame.pts = None
            yield from map(ready, self._mono(self._resampled(resampler, frame)))
        yield from map(ready, self._mono(self._resampled(resampler, None)))

    def _resampled(self, resampler: AudioResampler | None, frame: AudioFrame | None) -> list[AudioFrame]:
        """Return what a resampler gives for a frame, or at its end; nothing where there is none yet."""
        try:
            return [] if resampler is None else resampler.resample(frame)
        except (FFmpegError, ValueError):
            raise Unusable(f"sound of {self.channels} channels at {self.rate} Hz, which nothing can convert") from None

    def _mono(self, frames: list[AudioFrame]) -> Iterator[np.ndarray]:
        """Yield the mean of the channels of frames of floats."""
        for frame in frames:
            channels = frame.to_ndarray()
            mono = channels[0] if len(channels) == 1 else channels.mean(axis=0, dtype=np.float32)
            most = float(np.abs(mono).max(initial=0))
            if not most < np.inf:
                raise Unusable("samples that are not numbers (NaN or infinite)")
            self.beyond |= most > 2
            yield mono

    def _frames(self) -> Iterator[AudioFrame]:
        """Yield the frames of all packets that can be decoded."""
        try:
            for packet in self._container.demux(self._stream):
                self.packets += packet.size > 0
                try:
                    yield from packet.decode()  # pyright: ignore[reportReturnType]
                except FFmpegError:
                    self.damaged += 1
        except FFmpegError:
            self.damaged += 1  # of what follows nothing can be read


@contextmanager
def opened(medium: Medium) -> Iterator[Track]:
    """Open a file; little but its header is read yet.

    Raises:
        Unusable: it is empty, not of a known format, or has no sound.
        FileNotFoundError: there is no such file.
    """
    size = medium.stat().st_size if isinstance(medium, Path) else len(medium)
    if not size:
        raise Unusable("empty file")
    magic = _beginning(medium)
    kind, options = _kind(medium, magic)
    # a path is named as a file, so that no name is taken for the address of something else
    source = f"file:{medium}" if isinstance(medium, Path) else io.BytesIO(medium)
    guards = {"format_whitelist": ",".join((*FORMATS, kind) if kind else FORMATS), "protocol_whitelist": "file"}
    if magic.startswith(b"RIFF"):
        # FFmpeg would look through the first megabytes of samples for another codec hidden in them
        guards["probesize"] = "4096"
    try:
        container = av.open(source, format=kind, options=options | guards, metadata_errors="replace")
    except (FFmpegError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        if magic[4:] == b"ftyp":
            raise Unusable("its index (moov) is missing or broken: truncated, or never finished") from None
        raise Unusable(f"not sound of a known format ({_NAMES})") from None
    with container:
        assert isinstance(container, InputContainer)
        if not container.streams.audio:
            raise Unusable("no sound in it")
        stream = container.streams.audio[0]
        if stream.codec_context is None or not stream.codec_context.sample_rate:
            raise Unusable("its sound is of a codec that is not known, or broken")
        stream.codec_context.thread_count = 1  # files are decoded side by side
        yield Track(container, stream, size)


def _beginning(medium: Medium) -> bytes:
    """Return the first bytes of a file."""
    if isinstance(medium, bytes):
        return medium[:8]
    with medium.open("rb") as file:
        return file.read(8)


def _kind(medium: Medium, magic: bytes) -> tuple[str | None, dict[str, str]]:
    """Return FFmpeg's container and options of a file without a header, by its name; nothing where it has one."""
    if not isinstance(medium, Path) or magic.startswith(_MAGIC):
        return None, {}
    return _HEADERLESS.get(medium.suffix.lower(), (None, {}))


def _bits(codec: str, held_as: str, extradata: bytes | None) -> int:
    """Return the bits of a sample where they are stored without loss, 0 where a codec has none."""
    if codec == "flac" and extradata and len(extradata) >= 14:
        return ((extradata[12] & 1) << 4 | extradata[13] >> 4) + 1  # STREAMINFO of the FLAC format
    if codec in ("pcm_mulaw", "pcm_alaw"):
        return 8
    found = re.match(r"pcm_[a-z]+(\d+)", codec)
    if found:
        return int(found.group(1))
    return {"s16p": 16, "s32p": 24}.get(held_as, 0) if codec == "alac" else 0


def _whole(block: np.ndarray) -> np.ndarray:
    """Return floats of full scale 1 as int16: rounded, and clipped at full scale."""
    return np.rint(block * np.float32(32768)).clip(-32768, 32767).astype(np.int16)
