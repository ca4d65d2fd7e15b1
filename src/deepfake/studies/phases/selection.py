"""What phase 2 decides, whom phase 4 goes on with, and which model is the final one: files that hold nothing else.

The evidence lies beside them in tables, so that a result that changes without changing the decision re-runs nothing.
All are chosen on held-out folds: the AUC of what was chosen is optimistic there. The test set plays no part.
"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from deepfake import tables
from deepfake.config import Decision, Final, Finalists, candidates, entries, table
from deepfake.config.params import Params
from deepfake.config.studies import Trained
from deepfake.errors import InputError
from deepfake.evaluation import selection
from deepfake.project import paths
from deepfake.tables import results as result_tables

FACTORS = {
    "resolution": "phase2b",
    "face_crop": "phase2c",
    "augmentation": "phase2d",
    "augmentation_of_faces": "phase2e",
}
"""The table that each factor of the decision is read from; which of the last two counts follows from the second."""


def decide(settings: Params) -> Decision:
    """Decide resolution, face crop and augmentation from phase 2's contrasts, and write decision and evidence.

    Each factor is decided by its own table: the costlier option is chosen when its mean gain in AUC, over the models of
    which one of the two runs is above chance, exceeds the region of practical equivalence. A view whose framing
    predicts the label is never chosen over one whose framing does not: what it gains may be the shortcut.

    Raises:
        InputError: a table does not vary its factor alone, or a view that is compared has not been probed.
    """
    framings = _framings(settings)
    tests = result_tables.read("phase2_tests")
    chance = result_tables.read("phase2_experiments").set_index("experiment")["chance"]
    rows = []
    for factor, table_name in FACTORS.items():
        pairs = tests[tests["table"] == table_name]
        ends = [pairs[end].map(chance) == "above_chance" for end in ("baseline", "experiment")]
        gains = pairs.loc[ends[0] | ends[1], "difference"]
        simple, other = (
            _value(settings, table_name, factor, pairs[end].tolist()) for end in ("baseline", "experiment")
        )
        better = len(gains) > 0 and float(gains.mean()) > settings.evaluation.rope
        refused = _refused(settings, _pairs(settings, table_name), framings) if better else ""
        rows.append(
            {
                "factor": factor,
                "table": table_name,
                "simple": simple,
                "other": other,
                "gain": float(gains.mean()) if len(gains) else None,
                "models": len(gains),
                "chosen": other if better and not refused else simple,
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
    _headline(settings, decision)
    return decision


def _headline(settings: Params, decision: Decision) -> None:
    """Put the AUC of the decided setting into phase 2's metrics, not that of the best: it may have been refused."""
    rows = result_tables.read("phase2_experiments")
    sides = settings.presets[settings.preset].resolution
    wanted = (getattr(sides, str(decision.resolution)), decision.face_crop, decision.augmentation != "none")
    found = rows[rows["geometry"] == "crop"].set_index(["resolution", "face_crop", "augmented"])
    if wanted not in found.index:
        return
    best = found.loc[[wanted]].sort_values("auc").iloc[-1]
    path = paths().study_metrics("phase2")
    metrics = json.loads(path.read_text(encoding="utf-8"))
    metrics |= {f"best_auc{end}": round(float(best[f"auc{end}"]), 6) for end in ("", "_low", "_high")}
    tables.write_text(json.dumps(metrics, indent=2) + "\n", path)


def rank(settings: Params) -> list[str]:
    """Rank the candidates by their held-out folds, and write the ranking and which of them phase 4 goes on with.

    Returns:
        The candidates that phase 4 goes on with, the best first.

    Raises:
        InputError: more are to be chosen than are ranked.
    """
    ranked = [name for name, run in candidates(settings).items() if run.ranked]
    known = result_tables.read("phase3_experiments").set_index("experiment").loc[ranked]
    order = _order(known, settings)
    best = selection.top(order, settings.presets[settings.preset].top)
    rows = [
        {
            "rank": place,
            "candidate": name,
            "auc": known.loc[name, "auc"],
            "parameters": known.loc[name, "parameters"],
            "chosen": name in best,
        }
        for place, name in enumerate(order, start=1)
    ]
    result_tables.write(pd.DataFrame(rows), "phase3_ranking")
    chosen = Finalists(runs=tuple(name for name in ranked if name in best))
    tables.write_text(chosen.model_dump_json(indent=2) + "\n", paths().finalists)
    return best


def final(settings: Params) -> str:
    """Choose the final model from phase 4's runs on all data, write which it is, and return its name."""
    chosen = _order(result_tables.read("phase4b_experiments").set_index("experiment"), settings)[0]
    tables.write_text(Final(run=chosen).model_dump_json(indent=2) + "\n", paths().final)
    return chosen


def _order(rows: pd.DataFrame, settings: Params) -> list[str]:
    """Order runs by AUC, ties going to the smaller model."""
    aucs = {str(name): float(value) for name, value in rows["auc"].items()}
    sizes = {str(name): int(value) for name, value in rows["parameters"].items()}
    return selection.rank(aucs, sizes, settings.evaluation.rope)


def _pairs(settings: Params, name: str) -> list[tuple[str, str]]:
    """Return the (simpler, other) runs of a table."""
    return [(baseline, run) for run, baselines in table(settings, name).items() for baseline in baselines]


def _framings(settings: Params) -> dict[str, dict[str, Any]]:
    """Return the probe of the framing of each view that is compared, by the name of the view."""
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
    """Return the view that may not be chosen for its AUC because its framing predicts the label, or nothing."""
    for pair in pairs:
        first, other = (_view(settings, name) for name in pair)
        if framings[other]["severity"] == "severe" and framings[first]["severity"] != "severe":
            return other
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
    """Return the value of a factor that runs of a table have in common."""

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
