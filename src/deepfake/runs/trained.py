"""A finished experiment, opened again: its configuration, its held-out samples, and the model of each fold."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from deepfake import tables
from deepfake.config import RunConfig, config_of, facts_of
from deepfake.config.params import Normalization
from deepfake.evaluation import pooling, summary
from deepfake.loading.batches import Loader
from deepfake.loading.pixels import place
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata
from deepfake.training import checkpoint


@dataclass(frozen=True)
class Trained:
    """What an experiment was, and what its training found out.

    Args:
        config: as it was when the experiment was trained, whatever params.yaml says now.
        scales: the statistics that each fold's images are normalised by.
        thresholds: the logit from which on each fold calls an image fake, from its inner validation.
    """

    config: RunConfig
    scales: list[Normalization]
    thresholds: list[float]


def read(experiment: str) -> Trained:
    """Read what a finished experiment left behind.

    Raises:
        InputError: it has not been trained, by another version of this program, or under another name.
    """
    config = config_of(experiment)
    found = checkpoint_metadata.read_records(experiment).values()
    return Trained(config, [record.normalization for record in found], [record.threshold for record in found])


def predicted(experiment: str, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return an experiment's predictions with label, source and group, in order of folds and of the manifest.

    Those of the first repeat: each development clip was held out once.

    Args:
        experiment: its name.
        manifest: `tables.MANIFEST` of its data set.

    Returns:
        `summary.join`, and `row`: the sample's place in the manifest. Of a clip, `sample_id` and `row` are those of
        the sample whose logit is nearest to the clip's: what is shown of it.
    """
    places = pd.Series(range(len(manifest)), index=manifest["sample_id"])
    predictions = tables.read(paths().predictions(experiment), tables.PREDICTIONS).query("repeat == 0")
    joined = summary.join(predictions, manifest, None)
    joined = joined.assign(row=places.loc[joined["sample_id"]].to_numpy())
    rows = pooling.by_clip(joined, facts_of(experiment)["pooling"])
    rows = rows.assign(sample_id=manifest["sample_id"].to_numpy()[rows["row"]])
    return rows.sort_values(["fold", "row"], ignore_index=True)


def loader_of(trained: Trained, fold: int, samples: np.ndarray, rows: np.ndarray, device: torch.device) -> Loader:
    """Return what serves stored samples as the model of a fold takes them; of labels it knows nothing.

    Args:
        trained: the run.
        fold: whose statistics the samples are normalised by.
        samples: stored, [n, ...], most often mapped from a file.
        rows: int [m], the samples that will be asked for.
        device: where they are needed.
    """
    return Loader(place(samples, rows, device), np.zeros(len(samples)), trained.config.view, trained.scales[fold])


def model_of(trained: Trained, fold: int, device: torch.device) -> nn.Module:
    """Return the model of a fold, ready to predict.

    Raises:
        InputError: its weights are missing or belong to another model or trunk.
    """
    config = trained.config
    model = checkpoint.detector(config, paths().checkpoint(config.experiment, fold))
    model.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return model.eval()
