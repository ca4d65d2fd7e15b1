"""The backend of PIL and OpenCV: on a CPU the fastest, and the same pixels on every machine.

OpenCV warps, recolours and compresses small images several times faster than DALI does on a CPU
(`deepfake bench loading`).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from deepfake.config.params import Augmentation
from deepfake.modalities.image import pil
from deepfake.modalities.image.augmentation import Draws, blur_window, noise_bank, possible

if TYPE_CHECKING:
    import torch

    from deepfake.modalities.image.backends import Augment

Step = Callable[[np.ndarray, Draws, int], np.ndarray]
"""Maps an image (uint8 [h, w, 3]) of a row of the draws; it may return the same image."""

decode = pil.decode


def augmenter(policy: Augmentation, *, source: int, size: int, batch_size: int, device: "torch.device") -> "Augment":
    """Build what applies a policy with OpenCV, on the CPU wherever the images are; see `backends.Backend`."""
    import torch

    apply = applier(policy, source=source, size=size)

    def augment(batches: Iterable[tuple["torch.Tensor", Draws]]) -> Iterator["torch.Tensor"]:
        for images, draws in batches:
            yield torch.from_numpy(apply(images.cpu().numpy(), draws)).to(device)

    return augment


def applier(policy: Augmentation, *, source: int, size: int) -> Callable[[np.ndarray, Draws], np.ndarray]:
    """Return what maps images, uint8 [b, source, source, 3], to augmented ones, uint8 [b, size, size, 3]; no torch."""
    steps = _steps(policy, source, size)

    def apply(images: np.ndarray, draws: Draws) -> np.ndarray:
        cv2.setNumThreads(1)  # folds run side by side, each on one thread
        results = np.empty((len(images), size, size, 3), np.uint8)
        for row, image in enumerate(images):
            for step in steps:
                image = step(image, draws, row)
            results[row] = image
        return results

    return apply


def _steps(policy: Augmentation, source: int, size: int) -> list[Step]:
    """Return the steps that are possible under a policy, in their order."""
    window = blur_window(policy, size)
    bank = noise_bank(size)
    # OpenCV counts from the centre of the first pixel, the draws from its corner
    corner = np.array([0.5, 0.5], np.float32)

    def geometry(image: np.ndarray, draws: Draws, row: int) -> np.ndarray:
        matrix = draws.matrix[row].copy()
        matrix[:, 2] += matrix[:, :2] @ corner - corner
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def blur(image: np.ndarray, draws: Draws, row: int) -> np.ndarray:
        sigma = float(draws.blur[row])
        return cv2.GaussianBlur(image, (window, window), sigma, borderType=cv2.BORDER_REFLECT_101) if sigma else image

    def noise(image: np.ndarray, draws: Draws, row: int) -> np.ndarray:
        std, (y, x) = float(draws.noise[row]), draws.noise_offset[row]
        if not std:
            return image
        return cv2.addWeighted(image, 1.0, bank[y : y + size, x : x + size], std, 0.0, dtype=cv2.CV_8U)

    def colour(image: np.ndarray, draws: Draws, row: int) -> np.ndarray:
        return cv2.transform(image, draws.colour[row])

    def jpeg(image: np.ndarray, draws: Draws, row: int) -> np.ndarray:
        quality = int(draws.quality[row])
        if not quality:
            return image
        # OpenCV takes blue for the first channel; for JPEG, which keeps less of some colours, that matters
        blue_first = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)

    order = {"geometry": geometry, "blur": blur, "noise": noise, "colour": colour, "jpeg": jpeg}
    chosen = possible(policy, source=source, size=size)
    return [step for name, step in order.items() if name in chosen]
