"""Which run predicts when nobody names one, and what is known of a run's limits, as far as reports are there."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from deepfake import project, run_files
from deepfake.config import read_final
from deepfake.config.params import Params
from deepfake.datasets import catalog
from deepfake.errors import InputError, unknown
from deepfake.evaluation.calibration import TEMPERATURES
from deepfake.project import paths
from deepfake.runs import detectors
from deepfake.runs.detectors import Detector

_UNTRIED = "not tried on another data set"
_UNUSABLE = "not usable"
_SEVERE = "severe"
"""What the audit says of a framing that predicts the label."""
_TRAIN = "run deepfake train, or dvc repro"


class Choice(NamedTuple):
    """A run, and why it was chosen, in one line."""

    detector: Detector
    why: str


class _Candidate(NamedTuple):
    """A run that may be chosen.

    Args:
        name: of the run.
        unaudited: its views whose framing nobody audited, while that of others was.
        in_domain: whether it was trained on the study's data set.
        dataset: what it was trained and judged on.
        fraction: share of the data set's development groups that it was trained and judged on.
        auc: its held-out AUC, None when unknown.
        parameters: their number.
    """

    name: str
    unaudited: tuple[str, ...]
    in_domain: bool
    dataset: str
    fraction: float
    auc: float | None
    parameters: int

    @property
    def samples(self) -> tuple[bool, str, float]:
        """Return what the AUCs of two candidates must have in common to be compared."""
        return bool(self.unaudited), self.dataset, self.fraction

    @property
    def place(self) -> tuple[bool, bool, float, float, int, str]:
        """Return what candidates are sorted by, the best first."""
        auc = -1.0 if self.auc is None else self.auc
        return bool(self.unaudited), not self.in_domain, -self.fraction, -auc, self.parameters, self.name


def best(settings: Params, *, faces: bool) -> Choice:
    """Return the study's final model (`Project.final`), or the best run there is where none has been chosen.

    Then considered are the finished runs on the study's data set or on the union, trained on all sources and in their
    natural proportion, whose view can be shown of any file and does not predict the label by its framing
    (the table `probes`; without it nothing is refused). Runs with a view that is not in that table come last, and runs
    on the study's data set before those on the union. Held-out AUCs are compared only where they are of the same
    samples: runs on a larger share of the groups come first, then the higher AUC counts, and of equals fewer
    parameters.

    Args:
        settings: the checked params.yaml.
        faces: whether faces are looked for, which some views need.

    Raises:
        InputError: there is none, or the final model is not here.
    """
    if paths().final.exists():
        return _final()
    candidates, refused = _candidates(settings, faces)
    failed: set[str] = set()
    for one in sorted(candidates, key=lambda one: one.place):
        try:
            detector = detectors.read(one.name)
        except InputError:
            failed.add(one.name)
            refused[_UNUSABLE] += 1
            continue
        rivals = [other for other in candidates if other.samples == one.samples and other.name not in failed]
        return Choice(detector, _why(one, rivals) + _told(refused))
    raise InputError(f"{paths().runs}: no run that can predict{_told(refused)}; {_TRAIN}")


def _final() -> Choice:
    """Return the model that the study ends with."""
    name = read_final()
    if name not in _runs():
        raise InputError(
            f"{paths().final}: the study's final model is {name}, which is not in {paths().runs}; run dvc pull, or "
            f"deepfake train {name}, or name another one with --run"
        )
    return Choice(detectors.read(name), f"{name}: the study's final model")


def named(name: str) -> Detector:
    """Read the run of a name, which is that of a folder below `Project.runs` and no path.

    Raises:
        InputError: there is no such run, or as in `detectors.read`.
    """
    known = _runs()
    if name not in known:
        said = unknown("run", name, known) if known else "no run that can predict"
        raise InputError(f"{paths().runs}: {said}; {_TRAIN}")
    return detectors.read(name)


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
        said.append("trained on the embedded sample, photographs of 40 people")
    if config.holdout is not None:
        said.append(f"trained without {config.holdout}")
    if config.class_ratio is not None:
        said.append(f"trained on {config.class_ratio:g} fakes for each real")
    tested = _tested(detector.name)
    auc = _auc(detector.name)
    held_out = "held-out AUC unknown" if auc is None else f"held-out AUC {auc:.3f} on {config.dataset}"
    said.append(tested or held_out)
    audited = _framings()
    said += [_framing(view) for view in sorted(detector.views) if audited.get(view) == _SEVERE]
    said += [_unaudited(view) for view in sorted(detector.views) if audited and view not in audited]
    said += _audited(detector.name)
    said.append(_out_of_domain(detector.name))
    for bound, words in zip(TEMPERATURES, ("not calibrated", "hardly counts"), strict=True):
        folds = [str(fold) for fold, record in detector.records.items() if record.temperature == bound]
        if folds:
            said.append(f"{words}: fold {', '.join(folds)}")
    return "; ".join(said)


def _runs() -> list[str]:
    """Return the names of all runs that have a configuration."""
    return sorted(path.parent.name for path in paths().runs.glob(f"*/*/{run_files.RUN_CONFIG}"))


def _candidates(settings: Params, faces: bool) -> tuple[list[_Candidate], Counter[str]]:
    """Return the runs that may be chosen, and how many others there are by the reason why they are not."""
    audited = _framings()
    found: list[_Candidate] = []
    refused: Counter[str] = Counter()
    for name in _runs():
        try:
            facts = detectors.read_facts(name)
            members = facts["ensemble"]["experiments"] if facts["kind"] == "ensemble" else []
            parts = [facts, *(detectors.read_facts(member) for member in members)]
            reason = _unfit(parts, settings, audited, faces)
            views = dict.fromkeys(part["view"]["view"] for part in parts)
            one = _Candidate(
                name,
                tuple(view for view in views if audited and view not in audited),
                facts["dataset"] == settings.dataset,
                facts["dataset"],
                facts["fraction"],
                _auc(name),
                int(facts["parameters"]),
            )
        except (InputError, KeyError, TypeError, ValueError):
            reason, one = _UNUSABLE, None
        if reason or one is None:
            refused[reason] += 1
        else:
            found.append(one)
    return found, refused


def _unfit(parts: Sequence[dict[str, Any]], settings: Params, audited: Mapping[str, str], faces: bool) -> str:
    """Return why a run, or an ensemble and its members, is not chosen by itself, or nothing."""
    for one in parts:
        view = one["view"]
        if one["dataset"] not in (settings.dataset, project.UNION):
            return "trained on another data set"
        if one["holdout"] is not None or one["class_ratio"] is not None:
            return "trained without a source or out of proportion"
        if view["geometry"] == "letterbox_real":
            return "in need of labels"
        if view["face_margin"] is not None and not faces:
            return "in need of faces"
        if audited.get(view["view"]) == _SEVERE:
            return f"refused because {_framing(view['view'])}"
    return ""


def _why(one: _Candidate, rivals: Sequence[_Candidate]) -> str:
    """Return why a run was chosen.

    Args:
        one: the run.
        rivals: those whose AUC is of the same samples, and the run itself.
    """
    said = "AUC unknown"
    if one.auc is not None:
        share = "" if one.fraction == 1 else f"{one.fraction:.0%} of "
        known = sum(rival.auc is not None for rival in rivals)
        said = f"held-out AUC {one.auc:.3f} on {share}{one.dataset}, the highest of {known}"
    return "; ".join([f"{one.name}: {said}", *map(_unaudited, one.unaudited)])


def _told(refused: Counter[str]) -> str:
    """Return how many runs were not considered, and why."""
    counts = [f"{count} {reason}" for reason, count in refused.items() if count]
    return f" (not considered: {', '.join(counts)})" if counts else ""


def _framing(view: str) -> str:
    return f"the framing of {view} alone predicts the label"


def _unaudited(view: str) -> str:
    return f"the framing of {view} is not audited"


def _framings() -> dict[str, str]:
    """Return how severely the framing of each audited view alone predicts the label; empty without an audit."""
    rows = _rows(paths().table("probes"), ("subject", "level", "name", "severity"))
    framing = rows[(rows["level"] == "family") & (rows["name"] == "framing")]
    return dict(zip(framing["subject"], framing["severity"], strict=True))


def _auc(name: str) -> float | None:
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
    """Return what a run is worth on data sets that it was not trained on."""
    columns = ("experiment", "dataset", "in_domain", "auc", "auc_low", "auc_high")
    rows = _rows(paths().table("generalization_cells"), columns)
    others = rows[(rows["experiment"] == name) & (rows["in_domain"] == 0) & rows["auc"].notna()]
    figures = [
        f"{row['dataset']} {row['auc']:.3f} [{row['auc_low']:.3f}, {row['auc_high']:.3f}]"
        for row in others.to_dict("records")
    ]
    return f"AUC out-of-domain: {', '.join(figures)}" if figures else _UNTRIED


def _rows(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return columns of a table; no rows when it, or one of them, is missing."""
    try:
        return pd.read_csv(path, usecols=list(columns))
    except (FileNotFoundError, ValueError):
        return pd.DataFrame(columns=list(columns))
