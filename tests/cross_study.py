"""A comparison across data sets of made-up predictions: what each detector is worth where is chosen here."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from conftest import ROOT
from deepfake import config, project, tables
from deepfake.config import RunConfig, params
from deepfake.config.params import Params
from deepfake.evaluation import thresholds
from deepfake.project import paths
from deepfake.studies.cross_domain.cells import Cell
from deepfake.studies.generalization.external import ExternalRow

IN_DOMAIN, EDITED, RESENT = "sample", "sample_edited", "sample_resent"
SOURCES = {
    IN_DOMAIN: ("wiki", "inpainting", "insight", "text2img"),
    EDITED: ("camera", "paste", "morph", "liquify"),
    RESENT: ("wiki", "inpainting", "insight", "text2img"),
}
"""The reals first."""
BASELINE, OTHER = "backbone_in_domain", "other_in_domain"
QUALITY = {
    BASELINE: (2.5, 0.6, 1.7),
    OTHER: (2.6, 0.6, 1.7),
    "backbone_combined": (2.4, 2.2, 1.8),
    "other_combined": (2.4, 2.2, 1.8),
    "backbone_combined_invariant": (2.4, 2.2, 1.8),
    "backbone_finetuned": (1.2, 2.4, 1.0),
    "backbone_target": (0.2, 2.4, 0.2),
    "ensemble_mean": (2.8, 0.8, 1.8),
    "ensemble_fitted": (2.8, 0.8, 1.8),
}
"""How far fakes lie above reals at home, on the edited and on the resent data set, in standard deviations."""
SHIFT = {IN_DOMAIN: 0.0, EDITED: 0.0, RESENT: 1.5}
"""By how much all logits lie higher: what retuned thresholds fix."""
WEAK = "insight"
"""The source that lies lower than the others."""
FOLDS = 4


_TRAINED = {
    BASELINE: {"model": "simple_cnn"},
    OTHER: {"model": "resnet18"},
    "backbone_combined": {"model": "simple_cnn", "dataset": "union"},
    "other_combined": {"model": "resnet18", "dataset": "union", "epochs": "short"},
    "backbone_combined_invariant": {"model": "simple_cnn", "dataset": "union", "domain": {"column": "dataset"}},
    "backbone_finetuned": {
        "kind": "fine-tuned",
        "model": "simple_cnn",
        "dataset": EDITED,
        "start_from": BASELINE,
    },
    "backbone_target": {"model": "simple_cnn", "dataset": EDITED},
}
_ENSEMBLES = {
    name: {"kind": "ensemble", "members": [BASELINE, OTHER], "weights": name[9:]}
    for name in ("ensemble_mean", "ensemble_fitted")
}
RUNS = _TRAINED | _ENSEMBLES
"""The runs of the comparison, so that others in params.yaml change no test."""


def settings_of(
    root: Path,
    *runs: str,
    datasets: tuple[str, ...] = (EDITED, RESENT),
    union: tuple[str, ...] = (EDITED,),
) -> Params:
    """Write a project of nothing but params and catalog, with all runs or those named, and return its params."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values["studies"]["generalization"] = {
        "datasets": list(datasets),
        "union": list(union),
        "base": {"view": "crop_high", "epochs": "long"},
        "runs": {name: RUNS[name] for name in runs or RUNS},
    }
    (root / "data").mkdir(parents=True)
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    shutil.copy(ROOT / "data/catalog.yaml", root / "data/catalog.yaml")
    return params.load(root / "params.yaml")


def configs_of(settings: Params) -> dict[str, RunConfig]:
    """Return what each detector was trained under; ensembles are like their first member."""
    found = {}
    for name in settings.studies.generalization.runs:
        run = config.resolve(settings, BASELINE if name in _ENSEMBLES else name)
        found[name] = run.model_copy(update={"experiment": name, "model": "ensemble"} if name in _ENSEMBLES else {})
    return found


def samples(dataset: str, groups: int, per_group: int) -> pd.DataFrame:
    """Return the samples of a data set; a group stands in the same fold of all of them."""
    return pd.DataFrame(
        [
            (f"{source}/{group:02d}_{number}", int(place > 0), source, f"{group:02d}", group % FOLDS)
            for place, source in enumerate(SOURCES[dataset])
            for group in range(groups)
            for number in range(per_group)
        ],
        columns=["sample_id", "label", "source", "group", "own_fold"],
    )


def predictions(
    dataset: str, quality: float, seed: int, groups: int, per_group: int, brightness: float = 0.5
) -> pd.DataFrame:
    """Return the logits of all folds' models: held-out samples of a fold, and the next fold's as inner validation."""
    known = samples(dataset, groups, per_group)
    measured = features(dataset, groups, per_group)["mean_r"].to_numpy()
    common, own = np.random.default_rng(7), np.random.default_rng(seed)
    hardness = dict(zip(sorted(known["group"].unique()), 0.3 * common.normal(size=groups), strict=True))
    parts = []
    for fold in range(FOLDS):
        logit = known["label"] * (quality + known["group"].map(hardness) - 0.8 * (known["source"] == WEAK))
        logit += SHIFT[dataset] + fold + brightness * (measured - 100) / 10 + own.normal(size=len(known))
        for subset, inside in (("held_out", fold), ("validation", (fold + 1) % FOLDS)):
            rows = known["own_fold"] == inside
            parts.append(known[rows].assign(fold=fold, subset=subset, logit=logit[rows]))
    columns = ["fold", "subset", "sample_id", "label", "source", "group", "logit"]
    return pd.concat(parts, ignore_index=True)[columns]


def features(dataset: str, groups: int, per_group: int) -> pd.DataFrame:
    """Return features: of the edited data set other widths, of the resent one other widths and a lower quality."""
    known = samples(dataset, groups, per_group)
    generator = np.random.default_rng(len(dataset))
    kinds = tables.FEATURES.columns
    values = {name: 0 if kind == "int" else 0.0 if kind == "float" else "none" for name, kind in kinds.items()}
    frame = pd.DataFrame([values] * len(known)).assign(sample_id=known["sample_id"], format="JPEG", mode="RGB")
    frame["width"] = {IN_DOMAIN: 184, EDITED: generator.choice([128, 184, 240], len(known)), RESENT: 120}[dataset]
    low = {IN_DOMAIN: 75, EDITED: 40, RESENT: 30}[dataset]
    frame["quality"] = generator.integers(low, low + 20, len(known))
    frame["mean_r"] = generator.normal(100, 10, len(known))
    frame["subsampling"] = generator.choice(["4:2:0", "4:4:4"], len(known), p=[0.9, 0.1])
    return frame


def cells_of(
    settings: Params,
    *,
    quality: dict[str, tuple[float, ...]] | None = None,
    groups: int = 24,
    per_group: int = 4,
) -> list[Cell]:
    """Return every detector on every data set; thresholds are those of the first data set that it has seen."""
    configs = configs_of(settings)
    found = []
    datasets = [IN_DOMAIN, *settings.studies.generalization.datasets]
    strengths = quality or QUALITY
    for number, name in enumerate(configs):
        exposed = _seen(configs, name, settings)
        joined = {
            dataset: predictions(dataset, strength, 10 * number + place, groups, per_group)
            for place, (dataset, strength) in enumerate(zip(SOURCES, strengths[name], strict=True))
            if dataset in datasets
        }
        own = joined[next(dataset for dataset in datasets if dataset in exposed)]
        inner = own[own["subset"] == "validation"].groupby("fold")
        cuts = {int(fold): thresholds.youden(rows["label"], rows["logit"]) for fold, rows in inner}
        found += [Cell(name, dataset, dataset in exposed, frame, cuts) for dataset, frame in joined.items()]
    return found


def _seen(configs: dict[str, RunConfig], name: str, settings: Params) -> set[str]:
    """Return the data sets that a detector was trained on."""
    own = configs[name]
    found = {IN_DOMAIN, *settings.studies.generalization.union} if own.dataset == project.UNION else {own.dataset}
    return found | (_seen(configs, own.start_from, settings) if own.start_from else set())


def features_of(settings: Params, groups: int = 24, per_group: int = 4) -> dict[str, pd.DataFrame]:
    """Return the features of every data set."""
    return {
        dataset: features(dataset, groups, per_group)
        for dataset in (IN_DOMAIN, *settings.studies.generalization.datasets)
    }


def external_rows() -> list[ExternalRow]:
    """Return a reported result with nothing but its accuracy, and external predictions without scores."""
    shares = {f"{name}{end}": 0.6 + step for name in ("accuracy", "f1") for end, step in ENDS.items()}
    return [
        ExternalRow("Original Eval (reported)", "its own", None, {"accuracy": 0.997}, reported=True),
        ExternalRow("Theirs", "their files", 120, shares, reported=False),
    ]


ENDS = {"": 0.0, "_low": -0.1, "_high": 0.1}


def write_inputs(settings: Params, **sizes: int) -> None:
    """Write what the comparison reads beside the cells: each detector's configuration, each data set's features."""
    for name, each in configs_of(settings).items():
        (paths().study("generalization") / name).mkdir(parents=True)
        facts = each.model_dump() | ({"ensemble": {"experiments": [BASELINE, OTHER]}} if name in _ENSEMBLES else {})
        tables.write_text(json.dumps(facts), paths().config(name))
        tables.write_text("{}", paths().headline(name))
    for dataset, frame in features_of(settings, **sizes).items():
        tables.write(frame, paths().features(dataset), tables.FEATURES)
        tables.write(manifest_of(dataset, frame), paths().manifest(dataset), tables.MANIFEST)


def manifest_of(dataset: str, features: pd.DataFrame) -> pd.DataFrame:
    """Return the manifest of a data set: who is who in it, and of which files features were taken."""
    names = features["sample_id"]
    words = dict.fromkeys(("archive", "path", "source", "group", "stratum"), "") | {"folds": "0", "split": "dev"}
    known = pd.DataFrame({"sample_id": names, "clip_id": names, "sha256": features["sha256"]})
    return known.assign(**words, dataset=dataset, modality="image", label=0, bytes=1, fold=0, fraction_rank=0.0)
