"""What phase 2 decides and whom phase 4 goes on with: files that hold the decision and nothing else.

The evidence lies beside it in tables, so that a result that changes without changing the decision re-runs nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.config import Decision, Finalists, candidates, entries, facts_of, table
from deepfake.config.params import Params
from deepfake.config.studies import Trained
from deepfake.errors import InputError
from deepfake.evaluation import bootstrap, selection
from deepfake.evaluation.statistics import held_out_share
from deepfake.project import paths
from deepfake.studies import comparison
from deepfake.tables import results as result_tables

FACTORS = {
    "resolution": "phase2b",
    "face_crop": "phase2c",
    "augmentation": "phase2d",
    "augmentation_of_faces": "phase2e",
}
"""The table that each factor of the decision is read from; which of the last two counts follows from the second."""


def decide(settings: Params) -> Decision:
    """Decide resolution, face crop and augmentation from the held-out folds, and write decision and evidence.

    Each factor is decided by its own table, averaged over the table's models; what was decided before it, the plan
    holds fixed at the higher resolution. The test set plays no part. A view whose framing gives fakes away is never
    chosen over one whose framing does not: what it gains may be the leak.

    Raises:
        InputError: an experiment has not been trained, a table does not vary its factor alone, or a view that is
            compared has not been audited.
    """
    framings = _framings(settings)
    rows = []
    for factor, table_name in FACTORS.items():
        pairs = _pairs(settings, table_name)
        joined = comparison.read({name for pair in pairs for name in pair}, settings.dataset)
        differences = np.stack([_fold_auc(joined[other]) - _fold_auc(joined[first]) for first, other in pairs])
        share = held_out_share(differences.shape[1])
        choice = selection.choose(differences, share, settings.selection.standard_errors)
        simple, other = (_value(settings, table_name, factor, [pair[end] for pair in pairs]) for end in (0, 1))
        refused = _refused(settings, pairs, framings) if choice.better else ""
        rows.append(
            {
                "factor": factor,
                "table": table_name,
                "simple": simple,
                "other": other,
                "gain": choice.gain,
                "standard_error": choice.error,
                "models": len(pairs),
                "chosen": other if choice.better and not refused else simple,
                "refused": refused,
            }
        )
    evidence = pd.DataFrame(rows).set_index("factor")
    chosen = evidence["chosen"]
    face_crop = bool(chosen["face_crop"])
    counts = "augmentation_of_faces" if face_crop else "augmentation"
    decision = Decision(resolution=chosen["resolution"], face_crop=face_crop, augmentation=chosen[counts])
    evidence["counts"] = [factor in ("resolution", "face_crop", counts) for factor in evidence.index]
    result_tables.write(evidence.reset_index(), "phase2_decision")
    tables.write_text(decision.model_dump_json(indent=2) + "\n", paths().decision)
    return decision


def rank(settings: Params) -> list[str]:
    """Rank the candidates by their held-out folds, and write the ranking and which of them phase 4 goes on with.

    Returns:
        The candidates that phase 4 goes on with, the best first.

    Raises:
        InputError: a candidate has not been trained, or more are to be chosen than are ranked.
    """
    ranked = [name for name, run in candidates(settings).items() if run.ranked]
    joined = comparison.read(ranked, settings.dataset)
    aucs = {name: _fold_auc(joined[name]) for name in ranked}
    sizes = {name: _parameters(name) for name in ranked}
    share = held_out_share(len(next(iter(aucs.values()))))
    order = selection.rank(aucs, sizes, share, settings.selection.standard_errors)
    best = selection.top(order, settings.presets[settings.preset].top)
    rows = [
        {"rank": place, "candidate": name, "auc": aucs[name].mean(), "parameters": sizes[name], "chosen": name in best}
        for place, name in enumerate(order, start=1)
    ]
    result_tables.write(pd.DataFrame(rows), "phase3_ranking")
    chosen = Finalists(runs=tuple(name for name in ranked if name in best))
    tables.write_text(chosen.model_dump_json(indent=2) + "\n", paths().finalists)
    return best


def _pairs(settings: Params, name: str) -> list[tuple[str, str]]:
    """Return the (simpler, other) experiments of a table."""
    return [(baseline, run) for run, baselines in table(settings, name).items() for baseline in baselines]


def _framings(settings: Params) -> dict[str, dict[str, Any]]:
    """Return the audit's probe of the framing of each view that is compared, by the name of the view."""
    views = {_view(settings, name) for each in FACTORS.values() for pair in _pairs(settings, each) for name in pair}
    for name in sorted(views - set(settings.studies.shortcuts.views)):
        raise InputError(f"studies.shortcuts.views: add {name}, which phase 2 may decide for")
    path = paths().table("probes")
    rows = result_tables.read("probes")
    framing = rows[(rows["level"] == "family") & (rows["name"] == "framing")].set_index("subject")
    for name in sorted(views - set(framing.index)):
        raise InputError(f"{path}: nothing about the framing of {name}; run deepfake probe again")
    found: Any = framing.to_dict("index")
    return found


def _refused(settings: Params, pairs: list[tuple[str, str]], framings: Mapping[str, dict[str, Any]]) -> str:
    """Return why the other option of a table may not be chosen for its AUC, or nothing."""
    for pair in pairs:
        views = [_view(settings, name) for name in pair]
        first, other = (framings[view] for view in views)
        if other["severity"] == "severe" and first["severity"] != "severe":
            return (
                f"the framing of {views[1]} alone tells fakes from reals (AUC {other['auc']:.3f} "
                f"[{other['auc_low']:.3f}, {other['auc_high']:.3f}], severe), that of {views[0]} does not do so "
                f"severely (AUC {first['auc']:.3f}, {first['severity']})"
            )
    return ""


def _view(settings: Params, experiment: str) -> str:
    return _run(settings, experiment).view


def _run(settings: Params, name: str) -> Trained:
    """Return a trained run of params.yaml."""
    run = entries(settings)[name].run
    if not isinstance(run, Trained):
        raise InputError(f"studies: {name} is not trained, and phase 2 decides by trained runs; name another")
    return run


def _value(settings: Params, name_of_table: str, factor: str, names: list[str]) -> object:
    """Return the value of a factor that experiments of a table have in common."""

    def value(name: str) -> object:
        entry = _run(settings, name)
        return (
            entry.augmentation
            if factor.startswith("augmentation")
            else getattr(settings.views[_view(settings, name)], factor)
        )

    values = {value(name) for name in names}
    if len(values) > 1:
        raise InputError(f"contrasts.{name_of_table}: {', '.join(names)} differ in their {factor}; name others")
    return values.pop()


def _fold_auc(joined: pd.DataFrame) -> np.ndarray:
    """Return the held-out AUC of each fold."""
    held_out = joined[joined["subset"] == "held_out"]
    return bootstrap.fold_auc(held_out["label"], held_out["logit"], held_out["fold"])


def _parameters(experiment: str) -> int:
    """Return the number of a trained experiment's parameters."""
    return facts_of(experiment)["parameters"]
