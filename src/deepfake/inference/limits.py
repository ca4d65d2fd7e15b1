"""What a run is, and what is known of how far it can be trusted, as far as reports are there."""

import json
from pathlib import Path

import pandas as pd

from deepfake import project
from deepfake.config import read_final
from deepfake.config.params import Params
from deepfake.datasets import catalog
from deepfake.evaluation.calibration import TEMPERATURES
from deepfake.project import paths
from deepfake.runs.detectors import Detector

SEVERE = "severe"
"""What the audit says of a framing that predicts the label."""
_EVALUATED = ("generalization", "audio")
"""Studies that evaluate runs on other data sets."""
_UNTRIED = "not tried on another data set"


def describe(detector: Detector) -> str:
    """Return what a run is: its models, and what they were trained on."""
    configs = [member.trained.config for member in detector.members]
    models = ", ".join(dict.fromkeys(config.model for config in configs))
    kind = f"ensemble of {models}" if len(configs) > 1 else models
    return f"{detector.name}: {kind}, trained on {configs[0].dataset}, {len(detector.shipped)} folds"


def limits(detector: Detector, settings: Params) -> str:
    """Return what is known of how far a run can be trusted, in one line."""
    config = detector.members[0].trained.config
    joined = (
        {settings.dataset, *settings.studies.generalization.union}
        if config.dataset == project.UNION
        else {config.dataset}
    )
    said = []
    if config.preset != "full":
        said.append(f"the {config.preset} preset: small images, a short training")
    if joined <= set(catalog.GENERATED):
        said.append(
            "trained on the embedded sample, photographs of 40 people"
            if config.dataset in (settings.dataset, project.UNION)
            else f"trained on {config.dataset}, a small sample that is embedded"
        )
    if config.holdout is not None:
        said.append(f"trained without {config.holdout}")
    if config.class_ratio is not None:
        said.append(f"trained on {config.class_ratio:g} fakes for each real")
    tested = _tested(detector.name)
    auc = auc_of(detector.name)
    held_out = "held-out AUC unknown" if auc is None else f"held-out AUC {auc:.3f} on {config.dataset}"
    said.append(tested or held_out)
    audited = framings(settings, detector.modality)
    said += [framing(view) for view in sorted(detector.views) if audited.get(view) == SEVERE]
    said += [unaudited(view) for view in sorted(detector.views) if audited and view not in audited]
    said += _audited(detector.name)
    said.append(_out_of_domain(detector.name))
    for bound, words in zip(TEMPERATURES, ("not calibrated", "hardly counts"), strict=True):
        folds = [str(fold) for fold, record in detector.records.items() if record.temperature == bound]
        if folds:
            said.append(f"{words}: fold {', '.join(folds)}")
    return "; ".join(said)


def framings(settings: Params, modality: str) -> dict[str, str]:
    """Return how severely the framing of each audited view alone predicts the label; empty without an audit.

    Views of other modalities are left out: their audit says nothing of these.
    """
    rows = _rows(paths().table("probes"), ("subject", "level", "name", "severity"))
    found = rows[(rows["level"] == "family") & (rows["name"] == "framing")]
    others = {name for name, view in settings.views.items() if view.modality != modality}
    rated = dict(zip(found["subject"], found["severity"], strict=True))
    return {name: severity for name, severity in rated.items() if name not in others}


def auc_of(name: str) -> float | None:
    """Return the held-out AUC of a run, when its metrics are there."""
    try:
        return float(json.loads(paths().headline(name).read_text(encoding="utf-8"))["auc"])
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def _tested(name: str) -> str:
    """Return what the final model reached on the test set, which no other run is evaluated on."""
    rows = _rows(paths().table("final_test"), ("metric", "value", "low", "high", "samples", "groups"))
    found = rows[rows["metric"] == "AUC"].to_dict("records")
    if not paths().final.exists() or read_final() != name or not found:
        return ""
    row = found[0]
    ends = f"[{row['low']:.3f}, {row['high']:.3f}]"
    return f"test AUC {row['value']:.3f} {ends}, {row['samples']:.0f} samples of {row['groups']:.0f} groups"


def _audited(name: str) -> list[str]:
    """Return what the audit says of a run, for each leak that was held against it."""
    figures = ("leak_auc", "residual_auc", "residual_auc_low", "residual_auc_high")
    rows = _rows(paths().table("shortcuts_runs"), ("experiment", "leak", *figures))
    return [
        f"AUC {row['residual_auc']:.3f} [{row['residual_auc_low']:.3f}, {row['residual_auc_high']:.3f}] without what "
        f"simple features of {row['leak']} predict (their AUC {row['leak_auc']:.3f})"
        for row in rows[rows["experiment"] == name].to_dict("records")
    ]


def _out_of_domain(name: str) -> str:
    """Return what a run is worth on data sets that it was not trained on; of an unknown spread the AUC alone."""
    columns = ("experiment", "dataset", "in_domain", "auc", "auc_low", "auc_high")
    rows = pd.concat([_rows(paths().table(f"{study}_cells"), columns) for study in _EVALUATED])
    others = rows[(rows["experiment"] == name) & (rows["in_domain"] == 0) & rows["auc"].notna()]
    figures = [
        f"{row['dataset']} {row['auc']:.3f}"
        + (f" [{row['auc_low']:.3f}, {row['auc_high']:.3f}]" if pd.notna(row["auc_low"]) else "")
        for row in others.to_dict("records")
    ]
    return f"AUC out-of-domain: {', '.join(figures)}" if figures else _UNTRIED


def _rows(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return columns of a table; no rows when it, or one of them, is missing."""
    try:
        return pd.read_csv(path, usecols=list(columns))
    except (FileNotFoundError, ValueError):
        return pd.DataFrame(columns=list(columns))


def framing(view: str) -> str:
    """Return what is wrong with a view whose framing is severe."""
    return f"the framing of {view} alone predicts the label"


def unaudited(view: str) -> str:
    """Return what is said of a view that nobody audited."""
    return f"the framing of {view} is not audited"
