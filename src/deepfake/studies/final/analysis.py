"""What the final model is worth: the detector that `deepfake predict` ships, on the test set, opened once."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from deepfake import runtime, tables
from deepfake.config import facts_of, read_final
from deepfake.config.params import Params
from deepfake.evaluation import calibration, metrics, pooling, resampling
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet
from deepfake.evaluation.influence import Influence
from deepfake.evaluation.reliability import with_noise
from deepfake.loading import views
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.reports import findings
from deepfake.reports.findings import Finding
from deepfake.runs import detectors, shipped
from deepfake.studies import comparison, results
from deepfake.studies.final.page import NAME
from deepfake.studies.operating_points import curves
from deepfake.tables import results as result_tables

_SCORED = {
    "average precision": lambda labels, logits: metrics.classification(labels, logits)["average_precision"],
    "EER": metrics.eer,
    "Brier": lambda labels, logits: metrics.classification(labels, logits)["brier"],
    "ECE": metrics.ece,
}
_DECIDED = {"balanced accuracy": "balanced_accuracy", "recall (fake)": "recall_fake", "recall (real)": "recall_real"}


def run(settings: Params, progress: Progress = SILENT) -> list[Finding]:
    """Open the test set for the final model, and write its figures, its metrics and its finding.

    Raises:
        InputError: no final model was chosen, or it is not here.
    """
    name = read_final()
    detector = detectors.read(name)
    manifest = tables.read(paths().manifest(settings.dataset), tables.MANIFEST)
    rows = np.flatnonzero(manifest["split"] == "test")
    images = {
        key: views.pixels(
            view, manifest, threads=settings.shared.num_workers, cuda=runtime.has_gpu(), progress=progress
        )
        for key, view in detector.views.items()
    }
    samples = manifest.iloc[rows]
    clips = pooling.codes(samples["clip_id"])
    logits = shipped.logits(detector, images, rows, clips, facts_of(name)["pooling"])
    test = (samples if clips is None else samples.drop_duplicates("clip_id")).assign(logit=logits, fold=0)
    threshold = shipped.scale(detector).threshold
    figures = measure(test, threshold, settings.evaluation.confidence)
    result_tables.write(figures, "final_test")
    write_curves(name, test, threshold, settings.evaluation.confidence)
    known: dict[Any, Any] = figures.set_index("metric").to_dict("index")
    auc = known["AUC"]
    headline = {f"auc{end}": round(float(auc[column]), 6) for end, column in _ENDS.items()}
    headline |= {key: round(float(known[metric]["value"]), 6) for key, metric in _HEADLINE.items()}
    comparison.write_metrics(NAME, {"model": name, **headline}, [])
    found = [
        Finding(
            id="test",
            question=f"Is the final model ({results.title(facts_of(name))}) above chance on the test set?",
            verdict=_verdict(auc),
            measure="AUC",
            key=True,
            **findings.figures_of(auc, "value", "low", "high", "p"),
        )
    ]
    return list(findings.write(NAME, found).values())


_ENDS = {"": "value", "_low": "low", "_high": "high"}
_HEADLINE = {"balanced_accuracy": "balanced accuracy", "eer": "EER", "ece": "ECE"}


def _verdict(auc: Any) -> findings.Verdict:
    """Return whether the interval of the AUC lies above chance; one figure, so nothing is corrected."""
    return "undecided" if pd.isna(auc["low"]) else "above_chance" if auc["low"] > 0.5 else "undecided"


def write_curves(name: str, test: pd.DataFrame, threshold: float, confidence: float) -> None:
    """Write the curves of calibrated logits of a test set, what they decide and how far they can be believed.

    Args:
        name: the model's.
        test: with `label, group, logit` and `fold` 0.
        threshold: from which logit on a sample is predicted fake.
        confidence: of the intervals, by the jackknife over groups.
    """
    sure = partial(resampling.trained_models, confidence=confidence)
    curves.write(NAME, {name: test}, sure)
    curves.write_decided(NAME, {name: curves.Decided(test, {0: threshold})}, sure)
    bins = with_noise(calibration.reliability(test["label"], test["logit"]))
    result_tables.write(bins.assign(experiment=name, scaled=True), f"{NAME}_reliability")
    counts = metrics.confusion(test["label"], test["logit"], threshold)
    counts = counts.reset_index().melt("actual", var_name="predicted", value_name="count")
    result_tables.write(counts.assign(experiment=name), f"{NAME}_confusion")


def measure(test: pd.DataFrame, threshold: float, confidence: float) -> pd.DataFrame:
    """Return the figures of calibrated logits of a test set at a threshold.

    Args:
        test: with `label, source, group, logit` and `fold` 0.
        threshold: from which logit on a sample is predicted fake.
        confidence: of the intervals, by the jackknife over groups.

    Returns:
        One row a figure: `metric, value, low, high, p, samples, groups, note`; `AUC` is over pairs of different groups.
    """
    whole = EvalSet.of(test)

    def told(metric: str, estimate: Estimate, note: str = "") -> dict[str, object]:
        ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high, "p": estimate.p}
        return {"metric": metric, **ends, "samples": estimate.n_samples, "groups": estimate.n_groups, "note": note}

    def sure(influence: Influence) -> Estimate:
        return resampling.trained_models(influence, confidence=confidence)

    rows = [
        told("AUC", sure(resampling.auc(whole)), "pairs of different groups"),
        told("AUC, all pairs", sure(resampling.auc(whole, "all"))),
        *(told(f"AUC, {source}", sure(one)) for source, one in resampling.source_aucs(whole).items()),
    ]
    floor = f"{calibration.ece_floor(test['logit'].to_numpy()):.3f} by chance alone"
    for metric, function in _SCORED.items():
        note = floor if metric == "ECE" else ""
        rows.append(told(metric, sure(resampling.recomputed(whole, function, bounded=True)[0]), note))
    called = test["logit"].to_numpy() >= threshold
    for metric, key in _DECIDED.items():
        figure = resampling.counted(whole, called, resampling.COUNTED[key], bounded=True)
        rows.append(told(metric, sure(figure), f"at the shipped threshold, logit {threshold:.2f}"))
    frame = pd.DataFrame(rows)
    # chance is .5 for areas and balanced accuracy alone
    return frame.assign(p=frame["p"].where(frame["metric"].str.startswith(("AUC", "balanced"))))
