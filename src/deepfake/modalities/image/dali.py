"""The backend of NVIDIA DALI: the same graphs on the CPU and on the GPU.

Every input is fed from Python, by index lists that are decided there: DALI's own readers and their policies for the
last batch repeat and drop samples, and stop for good at a file of zero bytes. There are no Python workers. Metadata are
taken off before: DALI 2.4.0 ends the process at some that are damaged.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from nvidia.dali import fn
from nvidia.dali.pipeline import Pipeline, pipeline_def
from nvidia.dali.types import Constant, DALIDataType, DALIImageType, DALIInterpType
from PIL import Image

from deepfake.config.params import Augmentation
from deepfake.modalities.image import decoding, metadata, orientation
from deepfake.modalities.image.augmentation import Draws, blur_window, noise_bank, possible
from deepfake.modalities.image.encoded import Encoded
from deepfake.modalities.image.pil import decode_file

if TYPE_CHECKING:
    import torch

    from deepfake.modalities.image.backends import Augment

_AT_ONCE = 32
"""Plain files that are decoded in one run: it bounds the memory for images at their full size."""

_DRAWN = {
    "matrix": "geometry",
    "blur": "blur",
    "noise": "noise",
    "noise_offset": "noise",
    "colour": "colour",
    "quality": "jpeg",
}
"""The step that reads each field of `Draws`."""


def decode(
    batches: Iterable[Sequence[Encoded]], size: int, *, threads: int, cuda: bool = False
) -> Iterator[np.ndarray]:
    """Decode batches of files with DALI, and with PIL those that are not plain or that DALI fails at.

    See `backends.Backend`.
    """
    plainly = _Decoder(size, threads, cuda)
    with ThreadPoolExecutor(threads) as pool:
        for batch in batches:
            images = np.empty((len(batch), size, size, 3), np.uint8)
            stored = [_stored(file) if file.plain else None for file in batch]
            plain = [row for row, one in enumerate(stored) if one is not None]
            others = [row for row, one in enumerate(stored) if one is None]
            waiting = pool.map(decode_file, [batch[row] for row in others], repeat(size))
            for start in range(0, len(plain), _AT_ONCE):
                rows = plain[start : start + _AT_ONCE]
                images[rows] = plainly.decode([one for row in rows if (one := stored[row])])
            for row, image in zip(others, waiting, strict=True):
                images[row] = image
            yield images


def decoder(size: int, *, threads: int, cuda: bool) -> Pipeline:
    """Return the pipeline that decodes plain files; it is built when it first runs."""
    return _decoding(
        size,
        "mixed" if cuda else "cpu",
        batch_size=_AT_ONCE,
        num_threads=threads,
        device_id=0 if cuda else None,
        prefetch_queue_depth=1,
        py_num_workers=0,
    )


@pipeline_def
def _decoding(size: int, device: str) -> Any:
    """Decode, cut out and resize."""
    images: Any = fn.decoders.image(
        _input("data", DALIDataType.UINT8, 1),
        device=device,
        output_type=DALIImageType.RGB,
        adjust_orientation=False,  # nothing is left that says it
        use_fast_idct=False,  # it shifts pixels
        jpeg_fancy_upsampling=True,  # as libjpeg does on the CPU
        hw_decoder_load=0.0,  # or it would depend on the place in the batch which of two decoders makes an image
    )
    images = fn.slice(
        images,
        _input("start", DALIDataType.INT32, 1),
        _input("shape", DALIDataType.INT32, 1),
        axes=(0, 1),
        out_of_bounds_policy="pad",
        fill_values=0,
    )
    return fn.resize(images, size=(size, size), interp_type=DALIInterpType.INTERP_TRIANGULAR, antialias=True)


class _Stored(NamedTuple):
    """A file as DALI gets it: without metadata, the region as it is stored, and what sets that upright."""

    file: Encoded
    data: bytes
    region: orientation.Region
    turn: Image.Transpose | None


def _stored(file: Encoded) -> _Stored | None:
    """Return what DALI gets of a plain file; nothing where it would fail, which it does not survive each time."""
    bare = metadata.of_jpeg(file.data)
    if not bare.usual:
        return None
    value = orientation.read(bare.exif).value
    if value not in orientation.TURNS:
        return _Stored(file, bare.data, file.region, None)
    with decoding.opened(file.data, ("JPEG",)) as image:
        size = image.size
    return _Stored(file, bare.data, orientation.stored(file.region, size, value), orientation.TURNS[value])


class _Decoder:
    """A pipeline that is built again after a failure: DALI decodes nothing more with one that has failed."""

    def __init__(self, size: int, threads: int, cuda: bool):
        self._size = size
        self._build = partial(decoder, size, threads=threads, cuda=cuda)
        self._pipeline = self._build()

    def decode(self, files: Sequence[_Stored]) -> np.ndarray:
        """Decode some files, uint8 [b, size, size, 3]; a view that is valid until the next call.

        Where a run fails, each of its files is tried alone, so that what stands beside a file changes none of its
        pixels; one that DALI cannot decode is PIL's, whose errors are raised.
        """
        try:
            return self._run(files)
        except RuntimeError:
            self._pipeline = self._build()
        if len(files) == 1:
            return decode_file(files[0].file, self._size)[None]
        return np.concatenate([self.decode([file]).copy() for file in files])

    def _run(self, files: Sequence[_Stored]) -> np.ndarray:
        """Decode some files as they are stored, then turn the small results."""
        left, top, right, bottom = np.array([file.region for file in files], np.int32).T
        (images,) = self._pipeline.run(
            data=[np.frombuffer(file.data, np.uint8) for file in files],
            start=np.stack([top, left], axis=1),
            shape=np.stack([bottom - top, right - left], axis=1),
        )
        decoded = np.asarray(images.as_cpu().as_tensor())
        if any(file.turn is not None for file in files):
            decoded = decoded.copy()
        for row, file in enumerate(files):
            if file.turn is not None:
                decoded[row] = Image.fromarray(decoded[row]).transpose(file.turn)
        return decoded


def augmenter(policy: Augmentation, *, source: int, size: int, batch_size: int, device: "torch.device") -> "Augment":
    """Build what applies a policy with DALI; see `backends.Backend`.

    One iterator of it is in use at a time: to start the next one ends the one before.
    """
    return _Augmenter(policy, source, size, batch_size, device)


class _Augmenter:
    """One pipeline for all epochs, built at first use: one that was built before a fork has no threads after it."""

    def __init__(self, policy: Augmentation, source: int, size: int, batch_size: int, device: "torch.device"):
        self._policy, self._source, self._size = policy, source, size
        self._batch_size, self._device = batch_size, device
        # on the CPU the training has the cores; a GPU has room for the next batch beside it
        self._ahead = device.type == "cuda"
        self._running = False
        self._current: Generator[torch.Tensor] | None = None
        steps = possible(policy, source=source, size=size)
        self._drawn = [name for name, step in _DRAWN.items() if step in steps]

    def __call__(self, batches: Iterable[tuple["torch.Tensor", Draws]]) -> Iterator["torch.Tensor"]:
        """Return the batches, augmented; the iterator before this one ends, so that no batch of it is left inside."""
        if self._current is not None:
            self._current.close()
        self._current = self._augment(batches)
        return self._current

    def _augment(self, batches: Iterable[tuple["torch.Tensor", Draws]]) -> Generator["torch.Tensor"]:
        """Yield the batches, augmented; on a GPU the next one is under way by then."""
        try:
            for images, draws in batches:
                before = self._collect() if self._running else None
                self._start(images, draws)
                if before is not None:
                    yield before
                if not self._ahead:
                    yield self._collect()
            if self._running:
                yield self._collect()
        finally:
            if self._running:
                self._collect()

    @cached_property
    def _pipeline(self) -> Pipeline:
        cuda = self._device.type == "cuda"
        return _augmenting(
            self._policy,
            self._source,
            self._size,
            "gpu" if cuda else "cpu",
            batch_size=self._batch_size,
            num_threads=1,
            device_id=(self._device.index or 0) if cuda else None,
            prefetch_queue_depth=1,
            py_num_workers=0,
        )

    def _start(self, images: "torch.Tensor", draws: Draws) -> None:
        """Hand a batch to the pipeline, which copies it, and let it run."""
        # of a CPU tensor, DALI would ask for the CUDA stream
        self._pipeline.feed_input("images", images if images.is_cuda else images.numpy())
        for name in self._drawn:
            self._pipeline.feed_input(name, getattr(draws, name))
        self._pipeline.schedule_run()
        self._running = True

    def _collect(self) -> "torch.Tensor":
        """Return what was started, in memory of its own: what happens to the pipeline's is DALI's affair."""
        import torch

        self._running = False
        stream = torch.cuda.current_stream(self._device) if self._device.type == "cuda" else None
        (images,) = self._pipeline.outputs(stream)
        return torch.from_dlpack(images.as_tensor()).clone()


@pipeline_def(enable_conditionals=True)
def _augmenting(policy: Augmentation, source: int, size: int, device: str) -> Any:
    """Apply the steps that are possible, each to the images that drew it."""
    steps = possible(policy, source=source, size=size)
    images: Any = fn.external_source(name="images", device=device, dtype=DALIDataType.UINT8, layout="HWC")
    if "geometry" in steps:
        matrix = _input("matrix", DALIDataType.FLOAT, 2)
        images = _warp(images, matrix, size) if policy.rotation else _crop(images, matrix, size)
    if "blur" in steps:
        sigma = _input("blur", DALIDataType.FLOAT, 0)
        if sigma > 0:
            images = fn.gaussian_blur(images, sigma=sigma, window_size=blur_window(policy, size))
    if "noise" in steps:
        std = _input("noise", DALIDataType.FLOAT, 0)
        offset = _input("noise_offset", DALIDataType.INT32, 1)
        if std > 0:
            bank: Any = Constant(noise_bank(size), device=device)
            piece = fn.slice(bank, start=offset, shape=(size, size), axes=(0, 1))
            factor = std.gpu() if device == "gpu" else std
            images = fn.cast(images + factor * piece, dtype=DALIDataType.UINT8)
    if "colour" in steps:
        colour = _input("colour", DALIDataType.FLOAT, 2)
        images = fn.cast(fn.coord_transform(images, MT=colour), dtype=DALIDataType.UINT8)
    if "jpeg" in steps:
        quality = _input("quality", DALIDataType.INT32, 0)
        if quality > 0:
            images = fn.jpeg_compression_distortion(images, quality=quality)
    return images


def _input(name: str, dtype: DALIDataType, ndim: int) -> Any:
    """Return what is fed under a name, on the CPU: a condition or an argument of an operator."""
    return fn.external_source(name=name, dtype=dtype, ndim=ndim)


def _crop(images: Any, matrix: Any, size: int) -> Any:
    """Sample without rotation; a region that ends before it starts is mirrored."""
    start = fn.stack(matrix[1, 2], matrix[0, 2])
    step = fn.stack(matrix[1, 1], matrix[0, 0])
    return fn.resize(
        images,
        size=(size, size),
        roi_start=start,
        roi_end=start + size * step,
        interp_type=DALIInterpType.INTERP_LINEAR,
        antialias=False,
    )


def _warp(images: Any, matrix: Any, size: int) -> Any:
    """Sample with rotation; to round afterwards takes less time than to let the operator do it."""
    sampled = fn.warp_affine(images, matrix=matrix, size=(size, size), dtype=DALIDataType.FLOAT)
    return fn.cast(sampled, dtype=DALIDataType.UINT8)
