"""A data set beside the study's, brought as far as a trained detector needs it, in one go."""

import json
from collections.abc import Callable

from deepfake import config, layout, runtime, tables
from deepfake.config import resolve_view
from deepfake.data import catalog, ingest, partition
from deepfake.loading import views
from deepfake.params import Params
from deepfake.studies import probing

Progress = Callable[[int, int], None]


def wanted_views(settings: Params) -> list[str]:
    """Return the views that detectors of the comparison across data sets look through."""
    section = settings.cross_dataset
    models = [*section.models, *settings.transfers, *settings.finetunings]
    names = [member for model in models for member in _members(settings, model)]
    return sorted({_view(settings, name) for name in names})


def _members(settings: Params, model: str) -> tuple[str, ...]:
    """Return the experiments behind a model."""
    return settings.ensembles[model].experiments if model in settings.ensembles else (model,)


def _view(settings: Params, experiment: str) -> str:
    """Return the view of an experiment; of a candidate as phase 2 decided it."""
    return config.resolve(settings, experiment).view.view


def run(
    dataset: str,
    settings: Params,
    *,
    announce: Callable[[str], None] = lambda line: None,
    progress: Callable[[str], Progress] = lambda title: lambda done, total: None,
) -> str:
    """Ingest and split a data set, measure its files, and write what the views of the comparison show of it.

    Args:
        dataset: of the catalog.
        settings: the checked params.yaml.
        announce: called with a line about what is about to be decoded.
        progress: called with what is begun; gives what is called with the images done and their total.

    Returns:
        What there is of it, in a sentence.

    Raises:
        InputError: the data set is unknown, missing, or cannot be split.
    """
    entry = catalog.find(dataset)
    catalog.require(dataset)
    told = ingest.write(
        dataset, entry, settings.ingest, threads=runtime.cores(), progress=progress(f"{dataset}: ingesting")
    )
    partition.write(dataset, settings, catalog.load())
    probing.measure(dataset, threads=runtime.cores(), progress=progress(f"{dataset}: measuring"))
    shown = [resolve_view(settings, name, dataset=dataset) for name in wanted_views(settings)]
    if any(view.face_margin is not None for view in shown):
        from deepfake.studies import faces  # torch and MTCNN, which other views have no use for

        loader = settings.presets[settings.preset].loader
        faces.run(dataset, settings.faces, loader, table=None, on_progress=progress(f"{dataset}: finding faces"))
    for view in shown:
        views.write(
            view,
            threads=runtime.cores(),
            cuda=runtime.has_gpu(),
            announce=announce,
            progress=progress(f"{dataset}: decoding"),
        )
    written = [layout.manifest(dataset), layout.features(dataset)]
    written += [layout.view_facts(dataset, view.view) for view in shown]
    hashes = {path.as_posix(): runtime.file_hash(path) for path in written}
    tables.write_text(json.dumps(hashes, indent=2) + "\n", layout.away(dataset))
    return told
