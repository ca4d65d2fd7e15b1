"""A finished study without any training: predictions of chosen quality for the runs of params.yaml.

What reads predictions (comparisons, selection, phases, reports) can be tried on it in a second or two.
"""

import json
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from deepfake import config, tables
from deepfake.config import RunConfig
from deepfake.config.params import Params
from deepfake.config.studies import Reevaluated
from deepfake.datasets import splits
from deepfake.evaluation import summary
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata, completion, weights
from deepfake.tables import results

SOURCES = {"wiki": 0, "text2img": 1, "inpainting": 1, "insight": 1}
PARAMETERS = {
    "simple_cnn": 393_361,
    "mobilenetv3_small_100": 1_518_881,
    "tf_efficientnet_lite0": 3_374_289,
    "tf_efficientnet_lite1": 4_141_769,
    "mobilenetv2_100": 2_225_153,
    "resnet34": 21_285_698,
    "resnet50": 23_510_081,
    "efficientnet_b0": 4_008_829,
    "convnext_tiny": 27_820_897,
}
"""Of the models of the study; others get a number of their own."""
SEVERITIES = {"none": 0.5, "weak": 0.65, "moderate": 0.8, "severe": 0.95}
"""The AUC of a probe by the severity that it is given."""
Quality = Callable[[str], float]
"""Maps the name of an experiment to how far its fakes lie above its reals, in standard deviations."""


def write_manifest(settings: Params, *, groups: int = 24, per_group: int = 4) -> pd.DataFrame:
    """Write a manifest as `deepfake split` would, of samples that have no files; and what is known of weights."""
    for name in PARAMETERS:
        facts = weights.Facts(model=name, sha256="0" * 64, mean=settings.imagenet.mean, std=settings.imagenet.std)
        tables.write_text(facts.model_dump_json(), paths().weights_facts(name))
    rows = [
        {
            "sample_id": f"{source}/{group:02d}_{number}",
            "clip_id": f"{source}/{group:02d}_{number}",
            "archive": f"{source}.zip",
            "path": f"{group:02d}_{number}.jpg",
            "dataset": settings.dataset,
            "modality": "image",
            "label": label,
            "source": source,
            "group": f"{group:02d}",
            "published": "",
            "width": 256 if label else 184,
            "height": 256 if label else 224,
            "format": "JPEG",
            "mode": "RGB",
            "fingerprint": "",
            "notes": "",
            "bytes": 9_000 + number,
            "sha256": f"{source}{group:02d}{number}".ljust(64, "0"),
        }
        for source, label in SOURCES.items()
        for group in range(groups)
        for number in range(per_group)
    ]
    samples = pd.DataFrame(rows)
    preset = settings.presets[settings.preset]
    sizes = {"folds": preset.folds, "test_ratio": preset.test_ratio, "repeats": preset.repeats}
    manifest = splits.split(samples, seed=settings.shared.seed, **sizes)
    tables.write(samples, paths().samples(settings.dataset), tables.SAMPLES)
    tables.write(samples, paths().media(settings.dataset), tables.MEDIA)
    tables.write(manifest, paths().manifest(settings.dataset), tables.MANIFEST)
    return manifest


def write_run(
    settings: Params,
    name: str,
    manifest: pd.DataFrame,
    quality: float,
    *,
    own: float = 1.0,
    bias: float = 0.0,
    plots: bool = True,
    **facts: object,
) -> None:
    """Write what training an experiment would leave: predictions, configuration, records, history, plots, metrics.

    Args:
        settings: checked params.
        name: the experiment, or a re-evaluation.
        manifest: `tables.MANIFEST`.
        quality: how far its fakes lie above its reals; hardest are those of the source that it holds out.
        own: share of the noise that is the experiment's own; the rest all experiments have in common.
        bias: how far all of its logits lie towards fake, as those of a detector that saw few reals.
        plots: whether to write records of checkpoints, plots and metrics too, which takes most of the time.
        facts: more for its configuration.
    """
    study, entry = config.entries(settings)[name]
    run = weights.with_statistics(completion.resolved(settings, entry.of if isinstance(entry, Reevaluated) else name))
    if isinstance(entry, Reevaluated):
        view = config.resolve_view(settings, entry.view)
        run = run.model_copy(update={"experiment": name, "study": study, "view": view})
    (paths().study(study) / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sum(map(ord, name)))
    groups = manifest["group"].unique()
    by_group = dict(zip(groups, np.random.default_rng(0).normal(0, 0.3, len(groups)), strict=True))
    easier = {source: 1 + 0.3 * place for place, source in enumerate(SOURCES)}
    parts = []
    for fold in range(run.trainings):
        subset = splits.subsets(
            manifest,
            fold,
            fraction=run.fraction,
            val_ratio=run.val_ratio,
            seed=run.seed,
            class_ratio=run.class_ratio,
        )
        rows = manifest.loc[subset.index]
        shift = quality * rows["source"].map(easier) * (rows["label"] == tables.FAKE)
        shift = shift.where(rows["source"] != run.holdout, shift / 3) * np.where(subset == "train", 1.5, 1)
        common = np.random.default_rng(fold).normal(0, 1, len(manifest))[subset.index]
        noise = own * rng.normal(0, 1, len(rows)) + (1 - own) * common
        logit = bias + shift + rows["group"].map(by_group) + noise
        parts.append(
            rows[["sample_id", "clip_id"]].assign(
                **{"fold": fold, "repeat": fold // run.folds, "subset": subset, "logit": logit, "experiment": name},
                condition=tables.STANDARD_CONDITION,
            )
        )
    predictions = pd.concat(parts, ignore_index=True)[list(tables.PREDICTIONS.columns)]
    tables.write(predictions, paths().predictions(name), tables.PREDICTIONS)
    found = run.model_dump() | {
        "kind": entry.kind,
        "resolution": run.resolution,
        "parameters": PARAMETERS.get(run.model, 11_177_025 + sum(map(ord, run.model))),
        **({"reevaluates": entry.of} if isinstance(entry, Reevaluated) else {}),
        **facts,
    }
    tables.write_text(json.dumps(found), paths().config(name))
    tables.write_text("{}", paths().headline(name))
    if plots:
        joined = summary.join(predictions, manifest)
        if not isinstance(entry, Reevaluated):  # it has no checkpoints of its own
            _write_records(settings, run, joined)
        _write_plots(run, joined)


def _write_records(settings: Params, run: RunConfig, joined: pd.DataFrame) -> None:
    """Write what is known of each fold's checkpoint; thresholds and temperature follow from its inner validation."""
    for fold in range(run.trainings):
        rows = joined[(joined["subset"] == "validation") & (joined["fold"] == fold)]
        record = checkpoint_metadata.of(
            run,
            fold,
            epoch=1,
            metrics=_epoch(1, domains=False),
            normalization=run.normalization or settings.imagenet,
            sample_ids=rows["sample_id"].to_numpy(),
            labels=rows["label"].to_numpy(),
            logits=rows["logit"].to_numpy(),
        )
        tables.write_text(record.model_dump_json(), paths().checkpoint_record(run.experiment, fold))


_METRICS = (
    *("accuracy", "balanced_accuracy", "precision_fake", "recall_fake", "f1_fake"),
    *("precision_real", "recall_real", "f1_real", "f1_macro"),
)
"""What a history says of decisions at probability 0.5."""


def _epoch(epoch: int, *, domains: bool) -> dict[str, float]:
    """Return a row of a history: all gets better by epoch, training more than validation."""
    found = {"epoch": epoch, "lr": 0.001 / epoch, "train_loss": 1 / epoch, "train_class_loss": 0.6 / epoch}
    for part, pace in (("train", 0.1), ("validation", 0.05)):
        found[f"{part}_auc"] = 0.5 + pace * epoch
        found |= {f"{part}_{metric}": 0.3 + 0.02 * number + pace * epoch for number, metric in enumerate(_METRICS)}
    heads = {"loss": 1.1 + 0.1 * epoch, "accuracy": 0.5 / epoch, "weight": epoch / 2}
    heads = {f"{part}_domain_{name}": value for name, value in heads.items() for part in ("train", "validation")}
    return found | {"validation_loss": 0.7 / epoch} | (heads if domains else {})


def _write_plots(run: RunConfig, joined: pd.DataFrame) -> None:
    """Write what training leaves for people to look at."""
    name, folds = run.experiment, summary.by_fold(joined)
    tables.write_text(summary.headline_json(folds), paths().headline(name))
    domains = run.domain.column != "none"
    epochs = [_epoch(epoch, domains=domains) | {"fold": fold} for fold in range(run.trainings) for epoch in (1, 2)]
    tables.write_csv(pd.DataFrame(epochs), paths().history(name))
    held_out = joined[joined["subset"] == "held_out"]
    tables.write_csv(summary.roc(held_out), paths().roc(name))
    tables.write_csv(summary.confusion(held_out, folds), paths().confusion(name))


def write_probes(settings: Params, **severities: str) -> None:
    """Write what the probes say of the framing of each view: harmless, but for those whose severity is given."""
    rows = [
        {"subject": view, "level": "family", "name": "framing", "family": "framing", "nature": "container"}
        | {"auc": auc, "auc_low": auc - 0.05, "auc_high": auc + 0.04, "severity": severity}
        | {"verdict": "no_shortcut" if severity == "none" else "shortcut"}
        for view in settings.views
        for severity in [severities.get(view, "none")]
        for auc in [SEVERITIES[severity]]
    ]
    results.write(pd.DataFrame(rows).reindex(columns=list(results.RESULTS["probes"].columns)), "probes")


def write_study(
    settings: Params,
    quality: Quality | Mapping[str, float],
    *,
    candidates: bool = False,
    own: float = 1.0,
    plots: bool = True,
) -> pd.DataFrame:
    """Write a manifest, harmless probes, and the runs of phases 1 and 2, and of the custom run.

    Args:
        settings: checked params.
        quality: of each experiment; a mapping may leave out those of quality 1.
        candidates: whether to write the runs of phases 3 and 4 too; phase 2 must have been decided.
        own: as in `write_run`.
        plots: as in `write_run`.
    """
    quality_of = quality if callable(quality) else lambda name: quality.get(name, 1.0)
    manifest = write_manifest(settings)
    write_probes(settings)
    studies = ("custom", "phase1", "phase2", *(("phase3", "phase4") if candidates else ()))
    names = [name for name, entry in config.entries(settings).items() if entry.study in studies]
    for name in names:
        write_run(settings, name, manifest, quality_of(name), own=own, plots=plots)
    return manifest
