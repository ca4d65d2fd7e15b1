"""The manifest of a data set: its own splits, or those of the study's data set, whose people it shows."""

from collections.abc import Mapping

import pandas as pd

from deepfake import tables
from deepfake.config.params import Params
from deepfake.config.studies import OwnData
from deepfake.datasets import near_duplicates, shared_identities, splits
from deepfake.datasets.entries import DataSet
from deepfake.errors import InputError, unknown
from deepfake.project import paths


def write(dataset: str, settings: Params, catalog: Mapping[str, DataSet]) -> pd.DataFrame:
    """Give every sample of a data set its split and fold, and write the manifest.

    A data set whose groups are those of the one that detectors are trained on which are asked about it (`groups_of`, of
    either or of a third one) gets their folds; any other one is split by itself.

    Returns:
        `tables.MANIFEST`.

    Raises:
        InputError: the data set is unknown or was not ingested, or cannot be split so.
    """
    if dataset not in catalog:
        raise InputError(f"{unknown('data set', dataset, catalog)} (the catalog is {paths().catalog})")
    home, preset = _home(dataset, settings), settings.presets[settings.preset]
    follows = (
        dataset != home
        and home in catalog
        and shared_identities.origin(dataset, catalog) == shared_identities.origin(home, catalog)
    )
    if follows and catalog[dataset].splits is not None:
        raise InputError(
            f"data set {dataset}: splits keep a published test set, but {home} shows the same people (groups_of), "
            "whose folds it gets; remove splits from the catalog"
        )
    samples = tables.read(paths().samples(dataset), tables.SAMPLES)
    pairs = near_duplicates.read(paths().near_duplicates(dataset))
    bound = pairs if catalog[dataset].near_duplicates == "join" else None
    if follows:
        leaders = tables.read(paths().samples(home), tables.SAMPLES)
        led = tables.read(paths().manifest(home), tables.MANIFEST)
        manifest = shared_identities.follow(samples, leaders, led, bound)
    else:
        manifest = splits.split(
            samples,
            folds=preset.folds,
            repeats=preset.repeats,
            test_ratio=preset.test_ratio,
            seed=settings.shared.seed,
            bound=bound,
            published=samples["published"] if catalog[dataset].splits is not None else None,
        )
    tables.write(manifest, paths().manifest(dataset), tables.MANIFEST)
    return manifest


def _home(dataset: str, settings: Params) -> str:
    """Return the data set whose folds a data set may get: what the detectors are trained on that are asked about it."""
    studies = (section for _, section in settings.studies if isinstance(section, OwnData))
    return next((study.dataset for study in studies if dataset in study.others), settings.dataset)
