"""Sentences that follow from numbers; none of them is written before the numbers are there."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake import project
from deepfake.config import RunConfig
from deepfake.config.images import Quality, Range
from deepfake.project import paths

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
- A model is **told from guessing** when both intervals lie above 0.5. Where neither of two models is, a ranking
  would rank noise, and none is given.
- **Significant** means that two tests agree after Holm's correction over the table: the paired bootstrap over
  groups (would it hold for other people?) and the corrected resampled t-test of Nadeau and Bengio over folds
  (would it hold for other training sets?).
- Checkpoints and thresholds are chosen on an inner validation inside the training folds. Neither the held-out
  fold nor the test set is seen by any choice."""

_QUICK = """> **This is no full study: small images, few epochs, networks trained from scratch.** It shows that the
> pipeline works, how the comparison is made, and how certain its answers are. It cannot tell which architecture
> detects deepfakes best: for that, run the `full` preset on a full data set."""

_SAMPLE = """> **The data is the embedded sample:** gray photographs of 40 people and manipulations of them by classical
> image processing, not by today's generators. Its scores say nothing about deepfakes in the wild."""


def picture(name: str, caption: str) -> str:
    """Return the Markdown of a figure."""
    return f"![{caption}]({_link(paths().figure(name))})"


def photographs(name: str, caption: str) -> str:
    """Return the Markdown of a picture that shows photographs."""
    return f"![{caption}]({_link(paths().photograph(name))})"


def csv(name: str) -> str:
    """Return the Markdown of a link to a table."""
    return f"[CSV]({_link(paths().table(name))})"


def _link(path: Path) -> str:
    """Return a path as the pages of the report link it."""
    return path.relative_to(paths().reports).as_posix()


def scope(preset: str, dataset: str) -> str:
    """Say what the study can and cannot show, or nothing for a full study on a data set of one's own."""
    return "\n>\n".join(text for text, holds in ((_QUICK, preset != "full"), (_SAMPLE, dataset == "sample")) if holds)


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


def weights(config: RunConfig) -> str:
    """Say what training starts from."""
    return "from ImageNet weights" if config.pretrained else "trained from scratch"


def loss(config: RunConfig) -> str:
    """Say what is minimised."""
    kind = config.loss
    if kind.type == "focal":
        alpha = kind.minority_alpha
        return f"focal loss (gamma {kind.gamma:g}, alpha {alpha:g} for the rarer class, {1 - alpha:g} for the other)"
    told = {"bce": "cross-entropy", "bce_pos_weight": "cross-entropy, fakes weighed by reals over fakes"}[kind.type]
    return f"{told}, labels smoothed by {kind.label_smoothing:g}" if kind.label_smoothing else told


def sampler(config: RunConfig) -> str:
    """Say which samples an epoch shows."""
    return {
        "shuffle": "shuffled samples",
        "weighted": "samples drawn with replacement, both classes as likely",
        "stratified": "stratified batches",
        "datasets": "samples drawn with replacement, all data sets as likely",
    }[config.sampler]


def class_ratio(config: RunConfig) -> str:
    """Say how many fakes there are for each real."""
    return "all samples" if config.class_ratio is None else f"{config.class_ratio:g} fakes for each real"


def domains(config: RunConfig) -> str:
    """Say from what features must not tell, beside what they must."""
    domain = config.domain
    if domain.column == "none":
        return "no domain head"
    return f"features made blind to the {domain.column} (lambda up to {domain.weight:g}, {domain.schedule} schedule)"


def _monitor(config: RunConfig) -> str:
    """Say what the best epoch is best in."""
    return f"best epoch by {config.monitor}"


def layers(config: RunConfig) -> str:
    """Say which layers are trained."""
    if config.probe is None:
        return "all layers trained"
    stage = f"features of stage {config.probe.stage}"
    if config.train == "all":
        return f"all layers trained, from a linear head on {stage}"
    drawn = f", {config.probe.draws} draws of each image" if config.augmentation else ""
    return f"a linear head on {stage} of a frozen trunk (logistic regression, C by inner validation{drawn})"


def _data(config: RunConfig) -> str:
    """Say what an experiment is trained on."""
    return "the union of data sets" if config.dataset == project.UNION else f"data set {config.dataset}"


def _start(config: RunConfig) -> str:
    """Say which trained experiment another one goes on from."""
    return f"goes on from {config.start_from}" if config.start_from else "starts anew"


def _trained_on(config: RunConfig) -> str:
    """Say which sources an experiment is trained on."""
    return f"trained without {config.holdout}" if config.holdout else "trained on all sources"


_TOLD = {
    "dataset": _data,
    "start_from": _start,
    "view": view,
    "augmentation": augmentation,
    "normalization": statistics,
    "pretrained": weights,
    "holdout": _trained_on,
    "loss": loss,
    "sampler": sampler,
    "class_ratio": class_ratio,
    "domain": domains,
    "monitor": _monitor,
    "probe": layers,
}
"""What is said of the settings that have several values."""
_FOLLOWS = {"experiment", "study", "model", "train", "oversampling", "keep_optimizer"}
"""What differs without being a condition of its own."""
_NAMELESS = {"view": {"view", "dataset"}}
"""The names inside settings, which are no conditions either."""


def conditions(configs: list[RunConfig]) -> str:
    """Say whether experiments were trained under the same conditions, and what those of the first were."""
    return f"{sameness(configs)} {view(configs[0])}; {augmentation(configs[0])}; {training(configs[0])}."


def training(config: RunConfig) -> str:
    """Say how an experiment was trained, beside what it was shown."""
    if config.train == "head":
        return (
            f"{statistics(config)}; {config.fraction:.0%} of the development groups, {config.folds} grouped folds; "
            f"{layers(config)}; {', '.join(tell(config) for tell in (class_ratio, loss, sampler))}; {weights(config)}"
        )
    return (
        f"{statistics(config)}; {config.fraction:.0%} of the development groups, {config.folds} grouped folds; AdamW, "
        f"learning rate {config.lr:g}, weight decay {config.weight_decay:g}, cosine schedule over {config.epochs} "
        f"epochs, early stopping after {config.early_stopping_patience}, {_monitor(config)}; batches of "
        f"{config.batch_size}; {', '.join(tell(config) for tell in (class_ratio, loss, sampler, domains))}; "
        f"{weights(config)}"
    )


def sameness(configs: list[RunConfig]) -> str:
    """Say whether experiments differ in their model alone, and where else they differ."""
    differing = _differing(configs)
    if not differing:
        return "Identical conditions for all:"
    listed = "; ".join(f"{key}: {_shared_out(key, configs)}" for key in differing)
    return (
        f"**The conditions differ**, so a difference in AUC is not the model's alone ({listed}). "
        f"Those of {configs[0].experiment}:"
    )


def varied(pairs: list[tuple[RunConfig, RunConfig]]) -> str:
    """Say what differs between each baseline and its experiment, which should be one condition."""
    changes: dict[str, None] = {}
    keys: set[str] = set()
    for first, other in pairs:
        differing = _differing([first, other])
        keys |= set(differing)
        changes |= dict.fromkeys(f"{_tell(key, first)} → {_tell(key, other)}" for key in differing)
    several = f" **{len(keys)} conditions differ, so a difference is not due to one of them.**" if len(keys) > 1 else ""
    return f"Varied: {'; '.join(changes)}.{several}"


def _differing(configs: list[RunConfig]) -> list[str]:
    """Return the conditions in which experiments differ; their models are none."""
    left_out: Any = {**dict.fromkeys(_FOLLOWS, True), **_NAMELESS}
    dumped = [config.model_dump(exclude=left_out) for config in configs]
    return [key for key in dumped[0] if any(values[key] != dumped[0][key] for values in dumped)]


def _shared_out(key: str, configs: list[RunConfig]) -> str:
    """Return each value of a condition with the experiments that have it."""
    holders: dict[str, list[str]] = {}
    for config in configs:
        holders.setdefault(_tell(key, config), []).append(config.experiment)
    return ", ".join(f"{value} in {listed(names)}" for value, names in holders.items())


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


def listed(names: Iterable[str]) -> str:
    """Return `a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def standard_errors(count: float) -> str:
    """Return a number of standard errors."""
    return "1 standard error" if count == 1 else f"{count:g} standard errors"


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
        f"{interval(test)}; Holm-adjusted {p_value(test['p_bootstrap_holm'])} by bootstrap over groups, "
        f"{p_value(test['p_ttest_holm'])} by corrected t-test over folds)"
    )
    if not known.loc[[name, baseline], "learned"].any():
        return f"**{name}** is {figures}; neither does better than guessing, so ranking the two would rank noise."
    if test["significant"]:
        return f"**{name}** is {figures}: significant at {significance:g}."
    agree = min(test["p_bootstrap_holm"], test["p_ttest_holm"]) <= significance
    why = "the two tests do not agree" if agree else "neither test tells it from noise"
    return f"**{name}** is {figures}: **not significant** at {significance:g}; {why}."


def p_value(value: float) -> str:
    """Return a p-value as it is written."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def gap(row: Any, limit: float) -> str:
    """Say how large the train/val gap is, and what that means where a detector has learned something.

    Args:
        row: of an experiment.
        limit: `interpretation.gap`.
    """
    size = row["train_val_gap"]
    figures = f"**{row['experiment']}** scores {row['train_auc']:.3f} on its own training samples, a gap of {size:.3f}"
    if not row["learned"]:
        return f"{figures}; what it makes of held-out samples is not told from guessing, so the gap is not interpreted."
    if size > limit:
        return f"{figures}: more than {limit:g}, so a part of that it has learned by heart."
    return f"{figures}: no more than {limit:g}."


def sources(row: Any, columns: list[str]) -> str:
    """Name the source that an experiment finds easiest and the one it finds hardest."""
    aucs = {column.removeprefix("auc_"): row[column] for column in columns}
    easiest, hardest = max(aucs, key=aucs.__getitem__), min(aucs, key=aucs.__getitem__)
    return (
        f"For **{row['experiment']}** {easiest} is the easiest source (AUC {aucs[easiest]:.3f}) and {hardest} "
        f"the hardest ({aucs[hardest]:.3f})."
    )
