"""What an image gives away without a look at its content: how it is stored, and plain statistics of its pixels.

Figures of the container (size, compression, metadata) say nothing about what a picture shows: where they tell fakes
from reals, a detector can do so without looking. Statistics of the pixels may be the trace of a generator or of
processing.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from deepfake.modalities.image import decoding
from deepfake.modalities.image.families import COLOUR, SHARPNESS
from deepfake.progress import SILENT, Progress

_SMALLEST = 16
"""Shorter side in pixels below which nothing is said about sharpness: two blocks of JPEG."""
_CHUNK = 64
"""Files that are read before their statistics are taken."""
_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
"""The luminance table of ITU-T T.81, annex K.1, row by row."""
_QUALITIES = np.arange(1, 101)
_SCALES = np.where(_QUALITIES < 50, 5000 // _QUALITIES, 200 - 2 * _QUALITIES)
_TABLES = np.clip((np.outer(_SCALES, _LUMA) + 50) // 100, 1, 255)
"""The table of each quality from 1 to 100, as libjpeg scales it (jcparam.c)."""
_SAMPLINGS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}


def of_pixels(pixels: Sequence[np.ndarray] | np.ndarray, *, threads: int, progress: Progress = SILENT) -> pd.DataFrame:
    """Measure decoded images, for example those of a view.

    Args:
        pixels: uint8 [n, height, width, 3], RGB.
        threads: how many images are measured at once.
        progress: told of the images done.

    Returns:
        One row an image, in their order: the columns of `PIXELS`.
    """
    rows: list[dict[str, float]] = []
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(pixels), _CHUNK):
            rows += pool.map(pixel_statistics, pixels[start : start + _CHUNK])
            progress.advance("measuring images", len(rows), len(pixels))
    return pd.DataFrame(rows, columns=[*COLOUR, *SHARPNESS])


def of_file(data: bytes) -> dict[str, Any]:
    """Return the columns of `CONTAINER` and `PIXELS` of an encoded image that ingest has accepted.

    Where a format has no such thing, 0 or "none". `quality` is that of the libjpeg table nearest to the luminance
    table; `luma_mean`, `luma_dc` and `luma_last` are the table's mean, first and last entry. `exif` counts the tags,
    `segments` the application and comment segments of a JPEG, or what PIL lists as `info` of other formats.
    """
    return decoding.decoded(data, partial(_of_image, size=len(data)))


def _of_image(image: ImageFile, size: int) -> dict[str, Any]:
    """Return the columns of an image that is opened."""
    pixels = np.asarray(decoding.upright(image))
    return _container(image, size, pixels.shape[1], pixels.shape[0]) | pixel_statistics(pixels)


def _container(image: ImageFile, size: int, width: int, height: int) -> dict[str, Any]:
    """Return the columns of `CONTAINER` of an image that is loaded."""
    jpeg = image if isinstance(image, JpegImageFile) else None
    quantization = jpeg.quantization if jpeg else {}
    luma, chroma = (np.array(quantization.get(number, [0])) for number in (0, 1))
    # of a JPEG with EXIF but no density PIL says 72 dpi, which no one wrote
    written = image.info.get("jfif_unit") if jpeg else True
    dpi = float(image.info.get("dpi", (0,))[0]) if written else 0.0
    return {
        "width": width,
        "height": height,
        "aspect": width / height,
        "pixels": width * height,
        "bytes": size,
        "bytes_per_pixel": size / (width * height),
        "format": image.format or "",
        "mode": image.mode,
        "quality": quality(luma) if jpeg else 0,
        "luma_mean": float(luma.mean()),
        "chroma_mean": float(chroma.mean()),
        "luma_dc": int(luma[0]),
        "luma_last": int(luma[-1]),
        "chroma_dc": int(chroma[0]),
        "subsampling": _subsampling(jpeg) if jpeg else "none",
        "progressive": int(bool(image.info.get("progressive") or image.info.get("interlace"))),
        "exif": _tags(image),
        "icc": int("icc_profile" in image.info),
        "segments": len(jpeg.applist if jpeg else image.info),
        # a density of 0/0 is none
        "dpi": dpi if np.isfinite(dpi) else 0.0,
    }


def _tags(image: ImageFile) -> int:
    """Return the number of EXIF tags, 0 of those that are broken."""
    try:
        return len(image.getexif())
    except Exception:  # PIL lets through what its parser stumbles over
        return 0


def quality(luma: np.ndarray) -> int:
    """Return the libjpeg quality, 1 to 100, whose luminance table is nearest to one, int [64], row by row."""
    return int(_QUALITIES[np.abs(_TABLES - luma).sum(axis=1).argmin()])


def pixel_statistics(pixels: np.ndarray) -> dict[str, float]:
    """Return plain statistics of an image's pixels: the columns of `PIXELS`.

    Mean and standard deviation of each channel in [0, 255], and `saturation`, the mean spread between a pixel's
    channels (0: gray). Of the luma: `laplacian`, the log of 1 plus the variance of its Laplacian; `high_frequency`, the
    share of its spectral power along rows and columns above half the Nyquist frequency; `noise`; `resampling_x` and
    `resampling_y`, the `periodicity` along rows and columns; `blockiness`, the log of the mean step over the borders of
    8-pixel blocks over that inside blocks. Those six are 0 for images under 16 px.

    Args:
        pixels: uint8 [height, width, 3], RGB.
    """
    mean, std = (part.ravel() for part in cv2.meanStdDev(pixels))
    red, green, blue = cv2.split(pixels)
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    colour = dict(zip(COLOUR, (*mean.tolist(), *std.tolist(), float(spread.mean())), strict=True))
    if min(pixels.shape[:2]) < _SMALLEST:
        return colour | dict.fromkeys(SHARPNESS, 0.0)
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    laplacian = cv2.Laplacian(luma, cv2.CV_32F)[1:-1, 1:-1]
    across = np.ascontiguousarray(luma.T)
    return colour | {
        "laplacian": float(np.log1p(laplacian.var(dtype=np.float64))),
        "high_frequency": (_high_frequency(luma) + _high_frequency(across)) / 2,
        "noise": noise(luma),
        "resampling_x": periodicity(luma),
        "resampling_y": periodicity(across),
        "blockiness": (_blockiness(luma) + _blockiness(across)) / 2,
    }


def noise(luma: np.ndarray) -> float:
    """Return the standard deviation of the noise in a picture, float32 [height, width].

    Immerkaer 1996, "Fast noise variance estimation": the mean response to a mask that is blind to structures up to the
    second order.
    """
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = cv2.filter2D(luma, cv2.CV_32F, mask)[1:-1, 1:-1]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(response).mean(dtype=np.float64))


def periodicity(luma: np.ndarray) -> float:
    """Return how periodic the second derivative along the rows is: the trace that interpolation leaves.

    Gallagher 2005, "Detection of linear and cubic interpolation in JPEG compressed images": an interpolated row's
    second derivative has a variance that repeats with the sampling of the original. Its magnitude is averaged over rows
    and has a spectrum with a peak then. JPEG's own blocks make peaks at multiples of 1/8, which are left out;
    `blockiness` measures them.

    Returns:
        The log of the spectrum's largest value over its median, between 0.1 and 0.5 cycles a pixel.
    """
    derivative = np.abs(np.diff(luma, n=2, axis=1)).mean(axis=0, dtype=np.float64)
    # trends of the picture itself would outshine the peak
    derivative = derivative - cv2.blur(derivative[None], (9, 1), borderType=cv2.BORDER_REFLECT)[0]
    spectrum = np.abs(np.fft.rfft(derivative * np.hanning(len(derivative))))
    frequency = np.fft.rfftfreq(len(derivative))
    of_blocks = np.abs(frequency * 8 - np.rint(frequency * 8)) / 8 < 1.5 / len(derivative)
    wanted = spectrum[(frequency > 0.1) & ~of_blocks]
    middle = float(np.median(wanted)) if len(wanted) else 0.0
    return float(np.log(wanted.max() / middle)) if middle > 0 else 0.0


def _high_frequency(luma: np.ndarray) -> float:
    """Return the share of the rows' spectral power above half the Nyquist frequency, without the constant part."""
    window = np.hanning(luma.shape[1]).astype(np.float32)
    rows = (luma - luma.mean(axis=1, keepdims=True)) * window
    power = (np.abs(np.fft.rfft(rows, axis=1)) ** 2).sum(axis=0)
    total = float(power.sum())
    return float(power[np.fft.rfftfreq(luma.shape[1]) > 0.25].sum()) / total if total else 0.0


def _blockiness(luma: np.ndarray) -> float:
    """Return the log of the mean step over the borders of 8-pixel blocks, over that inside blocks.

    After Wang, Sheikh and Bovik 2002, "No-reference perceptual quality assessment of JPEG compressed images".
    """
    steps = np.abs(np.diff(luma, axis=1)).mean(axis=0, dtype=np.float64)
    border = np.arange(1, luma.shape[1]) % 8 == 0
    # 0.1 of a gray level, so that a flat picture has no blocks rather than an undefined ratio
    return float(np.log((steps[border].mean() + 0.1) / (steps[~border].mean() + 0.1)))


def _subsampling(jpeg: JpegImageFile) -> str:
    """Return a JPEG's chroma subsampling in the usual notation, or `gray`."""
    layers = jpeg.layer
    if len(layers) < 3:
        return "gray"
    (_, across, down, _), (_, chroma_across, chroma_down, _) = layers[:2]
    factors = (across // chroma_across, down // chroma_down)
    return _SAMPLINGS.get(factors, f"{factors[0]}x{factors[1]}")
