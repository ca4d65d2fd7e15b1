"""Views of params.yaml, resolved to all that decides what a model sees of a sample."""

from typing import Any

from deepfake.config.decisions import Decision
from deepfake.config.images import PixelView
from deepfake.config.params import Params
from deepfake.config.resolved import ViewConfig
from deepfake.config.section import Section
from deepfake.config.sound import SoundView
from deepfake.errors import InputError, unknown


def resolve_view(settings: Params, view: str, where: str = "views", dataset: str | None = None) -> ViewConfig:
    """Resolve a view of a data set (by default the study's) with the sizes of the chosen preset.

    Raises:
        InputError: no such view; `where` says who named it.
    """
    if view not in settings.views:
        raise InputError(f"{where}: {unknown('view', view, settings.views)}")
    entry, preset = settings.views[view], settings.presets[settings.preset]
    heard = isinstance(entry, SoundView)
    return ViewConfig(
        dataset=dataset or settings.dataset,
        view=view,
        modality=entry.modality,
        geometry=entry.front_end if heard else entry.geometry,
        face_margin=settings.faces.margin if not heard and entry.face_crop else None,
        size=entry.bins if heard else sized(preset.resolution, entry.resolution),
        seconds=settings.ingest.window if heard else None,
        loader=preset.loader,
    )


def decided_view(settings: Params, decision: Decision) -> str:
    """Return the view that shows what was decided.

    Raises:
        InputError: there is none.
    """
    for name, view in settings.views.items():
        wanted = ("image", "crop", decision.resolution, decision.face_crop)
        if isinstance(view, PixelView) and (view.modality, view.geometry, view.resolution, view.face_crop) == wanted:
            return name
    raise InputError(
        f"views: none with geometry: crop, resolution: {decision.resolution} and face_crop: "
        f"{str(decision.face_crop).lower()}, which phase 2 may decide for; add one"
    )


def sized(words: Section, value: Any) -> Any:
    """Return a size: a number as it is, a word as the preset means it."""
    return getattr(words, value) if isinstance(value, str) else value
