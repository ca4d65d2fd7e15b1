"""Pictures of the conditions: what each view shows of an image, and what each augmentation does to it."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.config.params import Augmentation, Params
from deepfake.config.section import Section
from deepfake.loading import files
from deepfake.modalities.image import encoded, geometry, opencv
from deepfake.modalities.image.augmentation import AugmentationPlan
from deepfake.project import paths

VIEWS = {
    "crop": ("crop", False),
    "letterbox": ("letterbox", False),
    "letterbox_real": ("letterbox_real", False),
    "resize": ("resize", False),
    "face crop": ("crop", True),
}
"""Geometry, and whether the face is cut out."""
_SIDE = 160


def draw(settings: Params) -> None:
    """Draw one image of each source, as every view and under every augmentation, into two figures.

    Raises:
        InputError: the samples, the faces or a file is missing.
    """
    dataset = settings.dataset
    samples = tables.with_media(tables.read(paths().samples(dataset), tables.SAMPLES), paths().media(dataset))
    faces = tables.read(paths().faces(dataset), tables.FACES)
    # the middle sample of each source, real ones first
    chosen = samples.groupby(["label", "source"])["sample_id"].apply(lambda ids: ids.iloc[len(ids) // 2])
    samples = samples.set_index("sample_id", drop=False).loc[chosen].reset_index(drop=True)
    shown = {"the file": _decode(samples, geometry.regions(samples, "letterbox", None, 0), settings, white=True)}
    looked_for = chosen.isin(faces["sample_id"]).all()
    for name, (shape, face) in VIEWS.items():
        if face and not looked_for:  # no view in use cuts out faces
            continue
        regions = geometry.regions(samples, shape, faces if face else None, settings.faces.margin)
        shown[name] = _decode(samples, regions, settings)
    _figure(shown, samples, paths().photograph("views"))
    before = shown["crop"]
    named = {
        name: policy
        for name, policy in settings.augmentations.items()
        if isinstance(policy, Augmentation) and not policy.changes_nothing
    }
    policies = _single_steps(named["full"]) | named
    after = {name: _augment(samples, policy, settings) for name, policy in policies.items()}
    _figure({"before": before, **after}, samples, paths().photograph("augmentation"))


def _single_steps(policy: Augmentation) -> dict[str, Augmentation]:
    """Return policies that do one thing each, to every image, as strongly as a policy may."""
    nothing = Augmentation.model_validate(
        policy.model_dump()
        | {"flip": 0, "scale": {"min": 1, "max": 1}}
        | dict.fromkeys(("rotation", "brightness", "contrast", "saturation", "hue"), 0)
        | {
            "blur": {"probability": 0, "sigma": policy.blur.sigma.model_dump()},
            "noise": {"probability": 0, "std": policy.noise.std.model_dump()},
            "jpeg": {"probability": 0, "quality": policy.jpeg.quality.model_dump()},
        }
    )
    strongest = {
        "flip": {"flip": 1.0},
        "scale": {"scale": policy.scale.model_copy(update={"max": policy.scale.min})},
        "rotation": {"rotation": policy.rotation},
        "blur": {"blur": _always(policy.blur, "sigma", "min", policy.blur.sigma.max)},
        "noise": {"noise": _always(policy.noise, "std", "min", policy.noise.std.max)},
        "colour": {key: getattr(policy, key) for key in ("brightness", "contrast", "saturation", "hue")},
        "JPEG": {"jpeg": _always(policy.jpeg, "quality", "max", policy.jpeg.quality.min)},
    }
    return {name: nothing.model_copy(update=change) for name, change in strongest.items()}


def _always(step: Section, key: str, bound: str, value: float) -> Section:
    """Return a step that happens to every image, at its strongest."""
    return step.model_copy(update={"probability": 1.0, key: getattr(step, key).model_copy(update={bound: value})})


def _decode(samples: pd.DataFrame, regions: pd.DataFrame, settings: Params, *, white: bool = False) -> np.ndarray:
    """Decode a few samples; with `white`, what lies beyond an image is white like the page."""
    images = _read(samples, regions, settings, _SIDE)
    if white:
        images = images.copy()
        for image, width, height in zip(images, samples["width"], samples["height"], strict=True):
            scale = _SIDE / max(width, height)
            x, y = round((_SIDE - width * scale) / 2), round((_SIDE - height * scale) / 2)
            for border in (image[:y], image[_SIDE - y :], image[:, :x], image[:, _SIDE - x :]):
                border[:] = 255
    return images


def _read(samples: pd.DataFrame, regions: pd.DataFrame, settings: Params, size: int) -> np.ndarray:
    """Read and decode a few samples."""
    found = list(encoded.of(files.read(samples, regions, paths().raw(settings.dataset))))
    (images,) = opencv.decode([found], size, threads=1)
    return images


def _augment(samples: pd.DataFrame, policy: Augmentation, settings: Params) -> np.ndarray:
    """Decode samples as training does, oversampled, and apply a policy."""
    source = round(_SIDE * settings.cache.oversampling)
    images = _read(samples, geometry.regions(samples, "crop", None, 0), settings, source)
    rows = np.arange(len(samples))
    plan = AugmentationPlan(policy, seed=settings.shared.seed, epoch=0, source=source, size=_SIDE)
    # the backends agree; this one needs no torch, whose import would take most of the time
    return opencv.applier(policy, source=source, size=_SIDE)(images, plan.draws(rows, np.zeros_like(rows)))


def _figure(columns: dict[str, np.ndarray], samples: pd.DataFrame, path: Path) -> None:
    """Draw images in a grid: a row a sample, a column a condition."""
    figure, axes = plt.subplots(
        len(samples),
        len(columns),
        figsize=(1.5 * len(columns), 1.6 * len(samples)),
        layout="constrained",
        squeeze=False,
    )
    for column, (name, images) in enumerate(columns.items()):
        axes[0, column].set_title(name, fontsize=9, parse_math=False)
        for row, image in enumerate(images):
            axes[row, column].imshow(image)
            axes[row, column].set(xticks=[], yticks=[])
    for row, source in enumerate(samples["source"]):
        axes[row, 0].set_ylabel(source, fontsize=9, parse_math=False)
    with tables.atomic(path) as temporary:
        figure.savefig(temporary, dpi=130)
    plt.close(figure)
