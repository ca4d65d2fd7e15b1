"""Views as runs resolve them, for tests that have no params.yaml."""

from typing import Any

from deepfake.config import ViewConfig


def pixel_view(size: int, **changes: Any) -> ViewConfig:
    """Return a view of images: central squares of a size, unless said otherwise."""
    facts = {"dataset": "tiny", "view": "crop_low", "modality": "image", "geometry": "crop", "face_margin": None}
    return ViewConfig.model_validate(facts | {"size": size, "seconds": None, "loader": "opencv"} | changes)
