"""Faces found by MTCNN, many images at a time, and their places in the images' own pixels.

Zhang et al. 2016, "Joint face detection and alignment using multitask cascaded convolutional networks", as in
facenet-pytorch, which carries the weights.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from deepfake import tables
from deepfake.config.params import Faces
from deepfake.modalities.image.geometry import CORNERS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # facenet-pytorch 2.5.3 has docstrings and calls that newer versions deprecate
    from facenet_pytorch import MTCNN
    from facenet_pytorch.models.utils.detect_face import detect_face

LANDMARKS = [column for column in tables.FACES.columns if column.endswith(("_x", "_y"))]
"""Columns of the five points, in MTCNN's order."""


@dataclass(frozen=True)
class Detections:
    """All faces of a batch of images, one row a face, in the order of the images.

    Args:
        image: int64 [n], the face's image in the batch.
        confidence: float64 [n], in [0, 1].
        boxes: float64 [n, 4], left, top, right, bottom; may reach beyond the image.
        points: float64 [n, 5, 2], x and y of the eyes, the nose and the corners of the mouth, left before right
            as seen in the picture.
    """

    image: np.ndarray
    confidence: np.ndarray
    boxes: np.ndarray
    points: np.ndarray


class Detector:
    """MTCNN with the thresholds and the pyramid of facenet-pytorch."""

    def __init__(self, settings: Faces, device: torch.device):
        """Load the weights.

        Args:
            settings: the section `faces` of params.yaml.
            device: where the networks run.
        """
        self._device = device
        self._min_face = settings.min_face * settings.detection_size
        # pooling is several times faster on a CPU when the channels of a pixel lie together
        self._mtcnn = MTCNN(device=device).to(memory_format=torch.channels_last)

    def detect(self, images: np.ndarray) -> Detections:
        """Return all faces of a batch.

        Rounding depends on how many images a batch has: the same bits need the same batches.

        Args:
            images: uint8 [b, size, size, 3], RGB.
        """
        net = self._mtcnn
        # the planes lie apart, for the pyramid and the crops are averaged plane by plane: half the time of that
        planes = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).contiguous()
        # MTCNN.detect would put the faces into arrays of objects, by image and sorted: not needed here
        with torch.inference_mode():
            boxes, points = detect_face(
                planes.permute(0, 2, 3, 1),
                self._min_face,
                net.pnet,
                net.rnet,
                net.onet,
                net.thresholds,
                net.factor,
                self._device,
            )
        found = np.concatenate([np.asarray(rows, np.float64).reshape(-1, 5) for rows in boxes])
        return Detections(
            image=np.repeat(np.arange(len(images)), [len(rows) for rows in boxes]),
            confidence=found[:, 4],
            boxes=found[:, :4],
            points=np.concatenate([np.asarray(rows, np.float64).reshape(-1, 5, 2) for rows in points]),
        )


def locate(detections: Detections, regions: pd.DataFrame, settings: Faces) -> pd.DataFrame:
    """Choose the largest face of each image and give its place in the image.

    Args:
        detections: faces of a batch, in pixels of the squares that the detector saw.
        regions: `tables.REGIONS` of the batch: what each square shows of its image; square regions.
        settings: the section `faces` of params.yaml.

    Returns:
        `tables.FACES`, one row an image, in the order of the regions. Coordinates count from the image's left and
        top edge and are not clipped. An image has a face when one is at least as confident as the settings say.
    """
    left, top, right, bottom = detections.boxes.T
    sure = detections.confidence >= settings.confidence
    # the last of equal images is the largest of its faces, the first of them where several are as large
    order = np.lexsort((-np.arange(len(sure)), (right - left) * (bottom - top), detections.image))
    order = order[sure[order]]
    last = np.flatnonzero(np.diff(detections.image[order], append=-1))
    chosen = order[last]
    image = detections.image[chosen]

    corners = regions[CORNERS].to_numpy()[image]
    scale = ((corners[:, 2] - corners[:, 0]) / settings.detection_size)[:, None]
    # x, y, x, y, ... of the box's corners and the points alike
    seen = np.concatenate([detections.boxes[chosen], detections.points[chosen].reshape(-1, 10)], axis=1)
    places = np.zeros((len(regions), 14))
    places[image] = seen * scale + np.tile(corners[:, :2], 7)
    confidence = np.zeros(len(regions))
    confidence[image] = detections.confidence[chosen]

    table = pd.DataFrame(places, columns=[*CORNERS, *LANDMARKS])
    table.insert(0, "sample_id", regions["sample_id"].to_numpy())
    table.insert(1, "faces", np.bincount(detections.image[sure], minlength=len(regions)))
    table.insert(2, "confidence", confidence)
    return table
