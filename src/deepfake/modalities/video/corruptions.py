"""What may happen to a clip after it was made: what happens to images, and H.264.

Each frame is coded by itself, as a keyframe: what happens to it does not depend on the frames beside it, which are
often seconds away. Motion compensation, which smears the errors of one frame over the next, is not imitated.
"""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter

from deepfake.modalities.corruption import Corruption
from deepfake.modalities.image import corruptions
from deepfake.modalities.video.decoding import EXACT

_RATE = 25


def h264(samples: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Compress and decompress frames by x264 at a quantizer, colours at half the resolution (4:2:0)."""
    size = samples.shape[1]
    even = size + size % 2  # 4:2:0 has no odd sides: the last row and column are repeated
    padded = np.pad(samples, ((0, 0), (0, even - size), (0, even - size), (0, 0)), "edge")
    decoder = VideoCodecContext.create("h264", "r")
    decoder.thread_count = 1
    coded = [frame for packet in _encoded(padded, int(strength)) for frame in decoder.decode(packet)]
    coded += decoder.decode(None)
    shown = np.stack([frame.to_ndarray(format="rgb24", interpolation=EXACT) for frame in coded])
    return np.ascontiguousarray(shown[:, :size, :size])


def _encoded(images: np.ndarray, quantizer: int) -> Iterator[av.Packet]:
    """Yield images of even sides as keyframes of one stream; with a constant quantizer none depends on another."""
    encoder = VideoCodecContext.create("libx264", "w")
    encoder.height, encoder.width = images.shape[1:3]
    encoder.pix_fmt, encoder.time_base, encoder.thread_count = "yuv420p", Fraction(1, _RATE), 1
    # the sums of squares that adaptive quantization would even out are those of the frame alone
    encoder.options = {"qp": str(quantizer), "preset": "medium", "x264-params": "keyint=1:bframes=0:scenecut=0"}
    reformatter = VideoReformatter()
    for number, image in enumerate(images):
        frame = reformatter.reformat(
            av.VideoFrame.from_ndarray(image, format="rgb24"), format="yuv420p", interpolation=EXACT
        )
        frame.pts, frame.time_base = number, encoder.time_base
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


CORRUPTIONS: dict[str, Corruption] = {
    **corruptions.CORRUPTIONS,
    "h264": Corruption(h264, "quantizer", 1, 51, whole=True),
}
"""Those of images, and one of clips."""


def corrupt(name: str, samples: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Apply a corruption by its name, on one thread; see `base.Modality.corrupt`."""
    if name == "h264":
        return h264(samples, strength, rows)
    return corruptions.corrupt(name, samples, strength, rows)
