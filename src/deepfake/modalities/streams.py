"""Files of sound and moving pictures: which of the two one is, by its content alone."""

from pathlib import Path

from deepfake.modalities.image import other_formats

_HEAD = 1 << 12
"""Bytes that tell a container."""

_PROMISES = {other_formats.VIDEO: "video", other_formats.AUDIO: "audio"}
"""What the words for a file's first bytes promise."""


def kind(path: Path) -> str:
    """Return what a file holds: "video", "audio" when it has sound and no moving picture, or nothing.

    A picture of a cover moves as little as a thumbnail does. A container that cannot be opened is what it began as.
    """
    try:
        with path.open("rb") as file:
            promised = _PROMISES.get(other_formats.named(file.read(_HEAD)), "")
    except OSError:
        return ""
    return _held(path, promised) if promised else ""


def _held(path: Path, promised: str) -> str:
    """Return what the streams of a file are, or what it promised where it cannot be opened or has none."""
    import av
    from av.error import FFmpegError
    from av.stream import Disposition

    from deepfake.modalities.audio import decoding
    from deepfake.modalities.video import containers

    # a playlist would make libav read other files, and a text may be a film of letters to it
    known = ",".join(dict.fromkeys((*containers.FORMATS, *decoding.FORMATS)))
    try:
        with av.open(f"file:{path}", options={"format_whitelist": known, "protocol_whitelist": "file"}) as container:
            if any(not stream.disposition & Disposition.attached_pic for stream in container.streams.video):
                return "video"
            return "audio" if container.streams.audio else promised
    except (FFmpegError, OSError, ValueError):
        return promised
