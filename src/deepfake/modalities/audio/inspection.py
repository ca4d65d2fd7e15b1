"""What a file with sound is, or why it is refused: every file is decoded once, before anything relies on it.

What decodes is taken, and a note says what was odd: damaged packets are left out, and a header that promises another
length than there is does not count. A file that gives nothing, or whose packets are mostly damaged, is refused.
"""

from collections.abc import Iterator
from io import BytesIO

from deepfake.config.images import Parts
from deepfake.modalities.audio import decoding, windows
from deepfake.modalities.audio.schemas import RATE
from deepfake.modalities.base import Facts, Medium

_SILENCE = 1
"""Largest magnitude, of 32767, of a recording that counts as silent: dither at most."""
_SPARSEST = 100
"""Bytes a second of sound at least: a header that promises hours in a small file may be wrong, and is not asked."""
_ESTIMATED = ("aac", "amr", "gsm", "g722", "mulaw", "alaw", "s16le")
"""Containers without a length, of which FFmpeg estimates one."""
_UNSAID = (0, 0xFFFFFFFF)
"""Lengths in a WAV header of a writer that did not know them, because it wrote into a pipe."""


def inspect(medium: Medium, parts: Parts) -> list[Facts] | str:
    """Decode a file fully.

    Its content decides, not its name; but where a format has no header, its name.

    Args:
        medium: the file.
        parts: the seconds of a window, and of a recording.

    Returns:
        What each of its windows is, or the reason why it is refused.
    """
    try:
        with decoding.opened(medium) as track:
            return _seen(medium, track, parts)
    except decoding.Unusable as error:
        return str(error)


def _seen(medium: Medium, track: decoding.Track, parts: Parts) -> list[Facts] | str:
    """Return what the windows of a file are that is opened, or why it is refused."""
    most = parts.longest * 3600
    claimed = track.claimed
    length = peak = 0
    if claimed is not None and claimed > most and track.size > claimed * _SPARSEST:
        return f"longer than {parts.longest:g} hours; cut it into parts"
    for block in track.samples():
        length += len(block)
        peak = max(peak, int(block.max(initial=0)), -int(block.min(initial=0)))
        if length > most * RATE:
            return f"longer than {parts.longest:g} hours; cut it into parts"
    if track.damaged > track.packets / 2:
        return "damaged: most of it cannot be decoded"
    if not length:
        return "no samples in it (zero length)"
    if length < parts.shortest * RATE:
        return f"shorter than {parts.shortest:g} s"
    if peak <= _SILENCE:
        return "silence only"
    notes = "; ".join(_notes(medium, track, length / RATE))
    kind = (length / RATE, track.rate, track.channels, track.format, track.codec, notes)
    found = windows.starts(length, round(parts.window * RATE))
    return [(start, length, *kind) for start in found]


def _notes(medium: Medium, track: decoding.Track, seconds: float) -> Iterator[str]:
    """Yield what is odd about a recording that is decoded."""
    if track.damaged:
        yield "damaged packets left out"
    promised = _lies(medium) or _compared(None if track.format in _ESTIMATED else track.claimed, seconds)
    if promised:
        yield promised
    if track.channels > 1:
        yield f"mean of {track.channels} channels"
    if track.rate < RATE:
        yield f"sampled at {track.rate} Hz, below {RATE}"
    elif track.rate > 48_000:
        yield f"sampled at {track.rate} Hz"
    if track.bits > 16:
        yield f"{track.bits} bits, rounded to 16"
    if track.beyond:
        yield "samples beyond full scale clipped"


def _compared(claimed: float | None, seconds: float) -> str:
    """Return what is noted of the length that a header claims; codecs may add or leave out some packets."""
    if claimed is None:
        return ""
    if seconds < 0.95 * claimed - 0.1:
        return "shorter than its header says"
    return "longer than its header says" if seconds > 1.05 * claimed + 0.1 else ""


def _lies(medium: Medium) -> str:
    """Return what is wrong with the length in the header of a WAV file; of other files nothing."""
    size = len(medium) if isinstance(medium, bytes) else medium.stat().st_size
    with BytesIO(medium) if isinstance(medium, bytes) else medium.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return ""
        while len(chunk := file.read(8)) == 8:
            length, there = int.from_bytes(chunk[4:], "little"), size - file.tell()
            if chunk[:4] != b"data":
                file.seek(length + length % 2, 1)
                continue
            if length in _UNSAID and there:
                return "no length in its header"
            if length > there:
                return "shorter than its header says"
            file.seek(length + length % 2, 1)
            behind = file.read(8)
            chunks = len(behind) == 8 and behind[:4].isascii() and behind[:4].decode().isprintable()
            return "longer than its header says, the rest left out" if there - length > 8 and not chunks else ""
    return ""
