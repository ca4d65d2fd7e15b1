"""Sentences that follow from numbers; none of them is written before the numbers are there."""

from typing import Any

import pandas as pd

from deepfake.config import RunConfig
from deepfake.params import Quality, Range

READING = """## How to read this

- **AUC**: the chance that a random fake scores higher than a random real; 0.5 is guessing. It is computed on each
  held-out fold and averaged (± is the standard deviation over folds). Logits of different folds are never pooled.
- **Interval (groups)**: bootstrap over groups within folds, never over single samples, because those of one group
  resemble each other. It answers: what would these trained models score on other people? It is too narrow where a
  fold has fewer than about ten groups (see `bootstrap.auc_interval` for measured coverage).
- **Interval (folds)**: t interval over folds with Nadeau and Bengio's correction for overlapping training sets. It
  answers: what would the same recipe score, trained again on other data? With few folds it is wide.
- **Train/val gap**: AUC on the training samples minus AUC on the held-out fold, both under the evaluation transform.
- **Source AUC**: one generator's fakes against all reals. Their variance shows how much a detector leans on a
  single generator's trace.
- A model is **told from guessing** when both intervals lie above 0.5.
- **Significant** means that two tests agree after Holm's correction over the table: the paired bootstrap over
  groups (would it hold for other people?) and the corrected resampled t-test of Nadeau and Bengio over folds
  (would it hold for other training sets?).
- Checkpoints and thresholds are chosen on an inner validation inside the training folds. Neither the held-out
  fold nor the test set is seen by any choice."""

_QUICK = """> **This is the quick preset: small images, few epochs, networks trained from scratch.** It shows that the
> pipeline works, how the comparison is made, and how certain its answers are. It cannot tell which architecture
> detects deepfakes best: for that, run the `full` preset on a full data set."""

_SAMPLE = """> **The data is the embedded sample:** gray photographs of 40 people and manipulations of them by classical
> image processing, not by today's generators. Its scores say nothing about deepfakes in the wild."""


def scope(preset: str, dataset: str) -> str:
    """Say what the study can and cannot show, or nothing for a full study on a data set of one's own."""
    return "\n>\n".join(text for text, holds in ((_QUICK, preset == "quick"), (_SAMPLE, dataset == "sample")) if holds)


_GEOMETRY = {
    "crop": "central square",
    "letterbox": "whole image, letterboxed",
    "letterbox_real": "reals letterboxed, fakes' central square",
    "resize": "whole image squeezed into a square",
}


def view(config: RunConfig) -> str:
    """Say what a model sees of an image."""
    shown = _GEOMETRY[config.view.geometry]
    if config.view.face_margin is not None:
        shown = f"face crop with a margin of {config.view.face_margin:.0%} ({shown} where there is no face)"
    return f"{config.resolution}×{config.resolution} px, {shown}"


def augmentation(config: RunConfig) -> str:
    """Say what happens to training images."""
    policy = config.augmentation
    if policy is None:
        return "no augmentation"
    rules = {
        f"flip {policy.flip:.0%}": policy.flip,
        f"crop {policy.scale.min:.0%} to {policy.scale.max:.0%} of the side": 1 - policy.scale.min,
        f"rotation ±{policy.rotation:g}°": policy.rotation,
        f"blur {policy.blur.probability:.0%} (sigma {_range(policy.blur.sigma)} px)": policy.blur.probability,
        f"noise {policy.noise.probability:.0%} (std {_range(policy.noise.std)} of 255)": policy.noise.probability,
        f"brightness ±{policy.brightness:.0%}": policy.brightness,
        f"contrast ±{policy.contrast:.0%}": policy.contrast,
        f"saturation ±{policy.saturation:.0%}": policy.saturation,
        f"hue ±{policy.hue:g}°": policy.hue,
        f"JPEG {policy.jpeg.probability:.0%} (quality {_range(policy.jpeg.quality)})": policy.jpeg.probability,
    }
    return "augmentation: " + ", ".join(rule for rule, strength in rules.items() if strength)


def _range(limits: Range | Quality) -> str:
    """Return a range in words."""
    return f"{limits.min:g} to {limits.max:g}"


def statistics(config: RunConfig) -> str:
    """Say by which statistics images are normalised."""
    if config.normalization is None:
        return "normalised by the fold's real training images"
    return f"normalised by fixed statistics (mean {', '.join(f'{value:g}' for value in config.normalization.mean)})"


_TOLD = {"view": view, "augmentation": augmentation, "normalization": statistics}
"""What is said of the settings that have several values."""
_FOLLOWS = {"experiment", "model", "oversampling"}
"""What differs without being a condition of its own."""
_NAMELESS = {"view": {"view"}}
"""The names inside settings, which are no conditions either."""


def sameness(configs: list[RunConfig]) -> str:
    """Say whether experiments differ in their model alone, and where else they differ."""
    first = configs[0]
    dumped = [config.model_dump(exclude={**dict.fromkeys(_FOLLOWS, True), **_NAMELESS}) for config in configs]
    differing = [key for key in dumped[0] if any(values[key] != dumped[0][key] for values in dumped)]
    if not differing:
        return "Identical conditions for all:"
    listed = "; ".join(
        f"{key}: " + ", ".join(f"{_tell(key, config)} in {config.experiment}" for config in configs)
        for key in differing
    )
    return (
        f"**The conditions differ**, so a difference in AUC is not the model's alone ({listed}). "
        f"Those of {first.experiment}:"
    )


def _tell(key: str, config: RunConfig) -> str:
    """Return a setting in words."""
    return _TOLD[key](config) if key in _TOLD else str(getattr(config, key))


def faces(rates: pd.DataFrame) -> str:
    """Say in how many images of each source a face was found, and why that matters."""
    each = ", ".join(f"{row['source']} {row['share']:.1%}" for _, row in rates.iterrows())
    spread = rates["share"].max() - rates["share"].min()
    warning = (
        " The rates differ by more than five points, so under a face crop the missing faces alone give away a source."
        if spread > 0.05
        else ""
    )
    return (
        f"The detector (MTCNN) finds a face in {rates['found'].sum():,} of {rates['samples'].sum():,} images "
        f"({each}); under a face crop the others show their central square.{warning}"
    )


def interval(row: Any, prefix: str = "") -> str:
    """Return `[low, high]` of a row, from its columns of that name behind a prefix."""
    return f"[{row[prefix + 'low']:.3f}, {row[prefix + 'high']:.3f}]"


def learned(row: Any, confidence: float) -> str:
    """Say whether an experiment does better than guessing."""
    intervals = f"{interval(row, 'auc_')} over groups, {interval(row, 'fold_')} over folds"
    figures = f"AUC {row['auc']:.3f}, {confidence:.0%} interval {intervals}"
    if row["learned"]:
        return f"**{row['experiment']}** tells fakes from reals better than chance ({figures})."
    return (
        f"**{row['experiment']}** cannot be told from guessing: an interval reaches down to chance ({figures}). "
        "With this budget it is not a result about the architecture."
    )


def difference(test: Any, rows: pd.DataFrame, confidence: float, significance: float) -> str:
    """Say how an experiment compares with the baseline, and whether that is more than noise."""
    name, baseline = test["experiment"], test["baseline"]
    known = rows.set_index("experiment")
    if test["difference"] == 0 and test["low"] == 0 and test["high"] == 0:
        return f"**{name}** and **{baseline}** give the same predictions."
    direction = "above" if test["difference"] > 0 else "below"
    figures = (
        f"{abs(test['difference']):.3f} {direction} {baseline} ({confidence:.0%} interval of the difference "
        f"{interval(test)}; Holm-adjusted {_p(test['p_bootstrap_holm'])} by bootstrap over groups, "
        f"{_p(test['p_ttest_holm'])} by corrected t-test over folds)"
    )
    if not known.loc[[name, baseline], "learned"].any():
        return f"**{name}** is {figures}; neither does better than guessing, so ranking the two would rank noise."
    if test["significant"]:
        return f"**{name}** is {figures}: significant at {significance:g}."
    agree = min(test["p_bootstrap_holm"], test["p_ttest_holm"]) <= significance
    why = "the two tests do not agree" if agree else "neither test tells it from noise"
    return f"**{name}** is {figures}: **not significant** at {significance:g}; {why}."


def _p(value: float) -> str:
    """Return a p-value as it is written."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def gap(row: Any) -> str:
    """Say what the train/val gap means."""
    size = row["train_val_gap"]
    return f"**{row['experiment']}** scores {row['train_auc']:.3f} on its own training samples, a gap of {size:.3f}."


def sources(row: Any, columns: list[str]) -> str:
    """Name the source that an experiment finds easiest and the one it finds hardest."""
    aucs = {column.removeprefix("auc_"): row[column] for column in columns}
    easiest, hardest = max(aucs, key=aucs.__getitem__), min(aucs, key=aucs.__getitem__)
    return (
        f"For **{row['experiment']}** {easiest} is the easiest source (AUC {aucs[easiest]:.3f}) and {hardest} "
        f"the hardest ({aucs[hardest]:.3f})."
    )
