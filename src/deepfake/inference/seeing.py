"""Samples as views show them, and the faces in them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deepfake.config import ViewConfig
from deepfake.config.images import Parts
from deepfake.config.params import Faces
from deepfake.inference.reading import Face
from deepfake.modalities.base import File, Medium, Modality

if TYPE_CHECKING:
    from deepfake.modalities.image.faces import Detections, Detector

_CORNERS = ["left", "top", "right", "bottom"]


class Eye:
    """Decodes files as a view shows them."""

    def __init__(self, modality: Modality, view: ViewConfig, parts: Parts, *, threads: int, cuda: bool):
        """Keep how to decode."""
        self._modality, self._view, self._parts = modality, view, parts
        self._decode = modality.decoder(view, threads=threads, cuda=cuda)

    def regions(self, samples: pd.DataFrame, faces: pd.DataFrame | None) -> pd.DataFrame:
        """Return what the view shows of samples (`Modality.regions`).

        Args:
            samples: the modality's `MEDIA`.
            faces: `tables.FACES` of them; None where nobody looked.
        """
        return self._modality.regions(samples, self._view, faces if self._view.face_margin is not None else None)

    def rows(self, samples: pd.DataFrame, faces: pd.DataFrame | None) -> list[tuple[Any, ...]]:
        """Return the same as decoding wants it."""
        shown = self.regions(samples, faces).drop(columns="sample_id")
        return list(shown.itertuples(index=False, name=None))

    def stream(self, files: Sequence[File]) -> Iterator[np.ndarray]:
        """Yield stored samples, as many at a time as the modality likes; raises what it does of a damaged file."""
        return self._decode(files)

    def decode(self, files: Sequence[File]) -> np.ndarray:
        """Return all of `stream`."""
        return np.concatenate(list(self.stream(files)))

    def fails(self, file: File) -> str:
        """Return why a file cannot be decoded, or nothing."""
        try:
            self.decode([file])
        except Exception as error:  # modalities raise what they like
            return self.words(file.medium, error)
        return ""

    def words(self, medium: Medium, error: Exception) -> str:
        """Return why a file could not be decoded, in the words of its inspection where that refuses it, too."""
        said = self._modality.inspect(medium, self._parts)
        return said if isinstance(said, str) else f"cannot be decoded: {error or type(error).__name__}"


class FaceFinder:
    """Looks for faces, many pictures at a time."""

    def __init__(self, settings: Faces, detector: "Detector", batch: int):
        """Keep how faces are found.

        Args:
            settings: the section `faces` of params.yaml.
            detector: finds them.
            batch: pictures that it sees together.
        """
        self._settings, self._detector, self._batch = settings, detector, batch

    def view(self, like: ViewConfig) -> ViewConfig:
        """Return the view through which faces are looked for: whole pictures, decoded as by another view."""
        size = self._settings.detection_size
        return like.model_copy(update={"view": "", "geometry": "letterbox", "face_margin": None, "size": size})

    def all(self, seen: np.ndarray, shown: pd.DataFrame, pool: ThreadPoolExecutor) -> list[tuple[Face, ...]]:
        """Return the faces of each picture, the largest first.

        Args:
            seen: uint8 [n, size, size, 3], through `view`.
            shown: what of its picture each square shows.
            pool: the detector works in its threads.
        """
        faces = []
        for start, found in self._detected(seen, pool):
            left, top, right, bottom = found.boxes.T
            sure = found.confidence >= self._settings.confidence
            for image, corners in enumerate(shown[_CORNERS].to_numpy()[start : start + self._batch]):
                mine = np.flatnonzero(sure & (found.image == image))
                largest = mine[np.argsort(-((right - left) * (bottom - top))[mine], kind="stable")]
                scale = (corners[2] - corners[0]) / self._settings.detection_size
                boxes = found.boxes[largest] * scale + np.tile(corners[:2], 2)
                values = np.column_stack([boxes, found.confidence[largest]])
                faces.append(tuple(Face(*row) for row in values.tolist()))
        return faces

    def largest(self, seen: np.ndarray, shown: pd.DataFrame, pool: ThreadPoolExecutor) -> pd.DataFrame:
        """Return the largest face of each picture, as when a data set's are found (`tables.FACES`).

        Arguments are those of `all`.
        """
        from deepfake.modalities.image.faces import locate

        parts = [
            locate(found, shown.iloc[start : start + self._batch], self._settings)
            for start, found in self._detected(seen, pool)
        ]
        return pd.concat(parts, ignore_index=True)

    def _detected(self, seen: np.ndarray, pool: ThreadPoolExecutor) -> "Iterator[tuple[int, Detections]]":
        """Yield the faces of each batch, and the first picture of it."""
        starts = range(0, len(seen), self._batch)
        yield from zip(
            starts, pool.map(self._detector.detect, [seen[at : at + self._batch] for at in starts]), strict=True
        )
