"""The study of clips: what pooling the frames of a clip brings, by how many frames, by source and by encoding."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.config import facts_of
from deepfake.config.params import Evaluation, Params
from deepfake.datasets import measuring
from deepfake.evaluation import influence, performance, resampling, summary
from deepfake.evaluation.evalset import EvalSet
from deepfake.evaluation.influence import Influence
from deepfake.evaluation.pooling import POOLINGS, Pooling, by_clip
from deepfake.progress import Progress
from deepfake.project import paths
from deepfake.studies import comparison, own_data
from deepfake.tables import results as result_tables

NAME = "video"
FRAME = "frame"
"""Instead of a way to pool: every frame has a verdict of its own."""
_UNTESTED = dict.fromkeys(("difference", "low", "high", "p", "detectable"), np.nan) | {"verdict": "", "reason": ""}


def write(clips: dict[str, pd.DataFrame], settings: Params, progress: Progress) -> None:
    """Write what pooling brings, by frames, sources and bit rates (`own_data.run`)."""
    assert settings.studies.video is not None
    dataset, counts = settings.studies.video.dataset, settings.studies.video.counts
    manifest = tables.read(paths().manifest(dataset), tables.MANIFEST)
    frames = {name: _frames(name, manifest) for name in clips}
    hows = {name: facts_of(name)["pooling"] for name in clips}
    result_tables.write(pooling(frames, settings.evaluation), "video_pooling")
    result_tables.write(by_frames(frames, hows, counts, settings.evaluation), "video_frames")
    result_tables.write(own_data.by_source(clips, settings.evaluation), "video_sources")
    result_tables.write(by_rate(clips, measuring.read(dataset, manifest), settings.evaluation), "video_rates")


def _frames(name: str, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return a run's predictions of held-out frames, with the `clip_id` and the identity of each."""
    predictions = tables.read(paths().predictions(name), tables.PREDICTIONS)
    return summary.join(predictions[predictions["subset"] == "held_out"], manifest, pooling=None)


def pooling(frames: Mapping[str, pd.DataFrame], evaluation: Evaluation) -> pd.DataFrame:
    """Compare the AUC of clips, whose frames' logits are pooled, with that of single frames.

    Args:
        frames: each run's predictions of held-out frames.
        evaluation: confidence and region of practical equivalence.

    Returns:
        One row a run and way to pool, the first of them `FRAME`: `auc` with its interval, and of the others the verdict
        (`comparison.told`) on the AUC of clips minus that of frames, with Holm's correction over the table.
    """
    figures = {
        name: {FRAME: _auc(each)} | {how: _auc(by_clip(each, how)) for how in POOLINGS} for name, each in frames.items()
    }
    return pd.DataFrame(_against_first(figures, "pooling", evaluation))


def by_frames(
    frames: Mapping[str, pd.DataFrame],
    hows: Mapping[str, Pooling],
    counts: Sequence[int],
    evaluation: Evaluation,
) -> pd.DataFrame:
    """Compare the AUC of clips by how many of their frames are pooled, with that of the fewest.

    Args:
        frames: each run's predictions of held-out frames.
        hows: how each run pools them.
        counts: how many of a clip's frames, ascending; beyond those that clips have, all of these count once.
        evaluation: confidence and region of practical equivalence.

    Returns:
        As `pooling`, with the number of `frames` instead.
    """
    figures = {}
    for name, each in frames.items():
        most = int(each.groupby(["fold", "clip_id"]).size().max())
        pooled = [count for count in counts if count < most] + [most]
        figures[name] = {count: _auc(by_clip(spread(each, count), hows[name])) for count in pooled}
    return pd.DataFrame(_against_first(figures, "frames", evaluation))


def by_rate(clips: Mapping[str, pd.DataFrame], features: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """Return the AUC of the clips of lower and of higher bit rates, each half against itself.

    Args:
        clips: each run's predictions, a row a clip.
        features: what the files show (`measuring.read`).
        evaluation: confidence of the intervals.

    Returns:
        One row a run and half: `rate` (lower, higher), its median `kilobits` a second, and `auc` with its interval. A
        half that lacks a class in some fold has no row.
    """
    rates = features.set_index("sample_id")["bit_rate"]
    halves = {"lower": rates[rates <= rates.median()], "higher": rates[rates > rates.median()]}
    rows = []
    for name, each in clips.items():
        for half, chosen in halves.items():
            part = own_data.held_out(each)
            part = part[part["clip_id"].isin(chosen.index)]
            if part.empty or part.groupby("fold")["label"].nunique().min() < 2:
                continue
            found = resampling.recipe(_auc(part), 0.5, evaluation.confidence)
            size = {"samples": found.n_samples, "groups": found.n_groups, "repeats": found.repeats}
            place = {"experiment": name, "rate": half, "kilobits": float(chosen.median()) / 1000}
            rows.append(place | performance.flat({"auc": found}) | size)
    columns = ["experiment", "rate", "kilobits", "auc", "auc_low", "auc_high", "samples", "groups", "repeats"]
    return pd.DataFrame(rows, columns=columns)


def spread(frames: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return so many frames of each clip, spread evenly over those that it has; all where it has no more.

    Args:
        frames: predictions; the frames of a clip have names that sort as they follow each other.
        count: at least one.
    """
    ordered = frames.sort_values(["fold", "clip_id", "sample_id"], kind="stable")
    clips = ordered.groupby(["fold", "clip_id"])["sample_id"]
    place, size = clips.cumcount().to_numpy(), clips.transform("size").to_numpy()
    # the middles of `count` equal parts of the clip
    chosen = np.zeros(len(ordered), dtype=bool)
    for part in range(count):
        chosen |= place == (size * (2 * part + 1)) // (2 * count)
    return ordered[chosen | (size <= count)]


def _auc(joined: pd.DataFrame) -> Influence:
    return resampling.auc(EvalSet.of(joined))


def _against_first(
    figures: Mapping[str, Mapping[Any, Influence]], column: str, evaluation: Evaluation
) -> Iterator[dict[str, Any]]:
    """Yield a row a run and figure: its AUC, and the verdict on its difference to the run's first; one family.

    Args:
        figures: of each run by what the column says.
        column: what tells a run's figures apart.
        evaluation: confidence and region of practical equivalence.
    """
    differences = []
    for each in figures.values():
        first, *others = each.values()
        differences += [influence.difference(first, one) for one in others]
    judged = iter(comparison.judge(differences, evaluation))
    for name, each in figures.items():
        for place, (said, figure) in enumerate(each.items()):
            found = resampling.recipe(figure, 0.5, evaluation.confidence)
            told = comparison.told(next(judged), len(differences), evaluation.rope) if place else _UNTESTED
            # a verdict on clips counts clips, also where it is held against single frames
            size = {"samples": found.n_samples, "groups": found.n_groups, "repeats": found.repeats}
            yield {"experiment": name, column: said} | performance.flat({"auc": found}) | told | size
