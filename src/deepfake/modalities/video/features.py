"""What a clip gives away without a look at its content: its container, its coding, and one frame's plain statistics."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from deepfake.modalities.base import Medium
from deepfake.modalities.image.features import pixel_statistics
from deepfake.modalities.video import decoding
from deepfake.modalities.video.containers import Clip, opened
from deepfake.modalities.video.positions import Timeline, spread, timeline

_ROTATIONS = {Image.Transpose.ROTATE_90: 90, Image.Transpose.ROTATE_180: 180, Image.Transpose.ROTATE_270: 270}
_LIBRARY = re.compile(rb"(x26[45]) (?:- core|\(build) (\d+)")
"""What these encoders write into the first frame of a stream."""
_MATRICES = {0: "rgb", 1: "bt709", 2: "none", 5: "bt601", 6: "bt601", 9: "bt2020"}
"""Of the numbers in ITU-T H.273, table 4."""
_RANGES = {1: "limited", 2: "full"}


def measure(medium: Medium) -> dict[str, Any]:
    """Return the columns of `schemas.FEATURES` of a clip that ingest has accepted, after its `sha256`.

    Where a clip has no such thing, 0 or "none". Of the upright frame in the middle: `width`, `height`, their ratio
    `aspect`, their product `pixels`, `rotation` (degrees against the clock), and the plain statistics of its pixels.
    `pixel_aspect`: the width of a pixel over its height. `variable_rate`: 0 or 1. `keyframe_interval`: frames for each
    keyframe. `reordering`: how many frames the decoder holds back, 0 without B-frames. `encoder`: what the container
    says wrote it; `library`: what the first frame says. `tags`: what is said of the container and its streams; `audio`:
    the streams of sound. `bit_rate`: of the whole file, in bits a second; `bytes_per_pixel`: over all frames.
    """
    with opened(medium) as clip:
        line = timeline(medium, clip)
        middle = spread(line.length, 1)
        (frame,) = decoding.frames(medium, line, middle)
        first = _first_packet(medium)
        size = medium.stat().st_size if isinstance(medium, Path) else len(medium)
        return _container(clip, line, frame, size, first) | pixel_statistics(np.asarray(frame.image()))


def _container(clip: Clip, line: Timeline, decoded: decoding.Frame, size: int, first: bytes) -> dict[str, Any]:
    """Return the features of the container and of the coding."""
    stream, context = clip.stream, clip.stream.codec_context
    frame, turn = decoded
    width, height = decoded.size
    aspect = stream.sample_aspect_ratio
    written = clip.container.metadata.get("encoder") or stream.metadata.get("encoder")
    library = _LIBRARY.search(first)
    return {
        "width": width,
        "height": height,
        "aspect": width / height,
        "pixels": width * height,
        "pixel_aspect": float(aspect or 1),
        "rotation": _ROTATIONS.get(turn, 0) if turn is not None else 0,
        "duration": line.duration,
        "frames": line.length,
        "rate": float(stream.average_rate or 0) or (line.length / line.duration if line.duration else 0.0),
        "variable_rate": int(line.varies),
        "format": clip.format,
        "codec": context.codec.canonical_name,
        "profile": context.profile or "none",
        "level": max(0, context.level),
        "pixel_format": frame.format.name,
        "bits": frame.format.components[0].bits,
        "color_space": _MATRICES.get(int(frame.colorspace), str(int(frame.colorspace))),
        "color_range": _RANGES.get(int(frame.color_range), "none"),
        "keyframe_interval": line.length / len(line.keys) if line.keys else 0.0,
        "reordering": int(context.reorder_depth),
        "encoder": written or "none",
        "library": b" ".join(library.groups()).decode() if library else "none",
        "tags": len(clip.container.metadata) + sum(len(one.metadata) for one in clip.container.streams),
        "audio": len(clip.container.streams.audio),
        "streams": len(clip.container.streams),
        "bytes": size,
        "bit_rate": 8 * size / line.duration if line.duration else 0.0,
        "bytes_per_pixel": size / (width * height * line.length),
    }


def _first_packet(medium: Medium) -> bytes:
    """Return the first frame as it is encoded."""
    with opened(medium) as clip:
        return next((bytes(packet) for packet in clip.container.demux(clip.stream) if packet.size), b"")
