"""Trained detectors under corruption: the AUC that is retained, what each corruption costs, and who bears it better.

What a corruption costs is asked of these trained models; which of two recipes is better under corruption is asked of
the recipes, like every contrast of the study.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from deepfake import modalities
from deepfake.config import config_of
from deepfake.config.params import Evaluation
from deepfake.config.studies import Robustness
from deepfake.errors import InputError, unknown
from deepfake.evaluation import influence, resampling, verdicts
from deepfake.evaluation.evalset import EvalSet
from deepfake.evaluation.influence import Influence
from deepfake.progress import SILENT, Progress
from deepfake.reports import findings
from deepfake.studies import comparison
from deepfake.studies.robustness import findings as conclusions
from deepfake.studies.robustness import prediction
from deepfake.studies.robustness.findings import ALL
from deepfake.studies.robustness.prediction import HeldOut
from deepfake.tables import results as result_tables

NAME = "robustness"
CLEAN = "clean"
"""The condition in which nothing happens to a sample; its level is 0."""
_UNTESTED = dict.fromkeys(("difference", "low", "high", "p", "detectable"), np.nan) | {"verdict": "", "reason": ""}
_SAME = dict.fromkeys(("difference", "low", "high"), 0.0) | {"p": np.nan, "detectable": np.nan}
_SAME |= {"verdict": "equivalent", "reason": "it changes no sample"}


@dataclass(frozen=True)
class Curves:
    """The AUC of a run: on clean samples, and under each corruption from weak to strong."""

    clean: Influence
    corrupted: dict[str, list[Influence]]

    def mean(self, corruption: str = ALL) -> Influence:
        """Return the mean over all strengths of a corruption, or of all of them."""
        chosen = self.corrupted.values() if corruption == ALL else [self.corrupted[corruption]]
        return _mean([each for figures in chosen for each in figures])

    def at(self, level: int) -> Influence:
        """Return the mean over all corruptions at a strength, counted from 1; 0 is clean."""
        return _mean([figures[level - 1] for figures in self.corrupted.values()]) if level else self.clean


@dataclass(frozen=True)
class Tables:
    """What `run` writes; all rows but the clean ones have `comparison.told` of the AUC less that of clean samples.

    Args:
        conditions: one row a run and condition: `experiment, corruption, strength, level`, `auc` with its 95% CI, and
            `balanced_accuracy` at the thresholds chosen on clean samples.
        summary: one row a run and level, means over all corruptions: `auc` with its 95% CI, and the corruption that
            leaves the least, `worst, worst_auc`.
        corruptions: one row a run and corruption, means over all strengths, the costliest first, and one for `ALL`.
        contrasts: each further run against the first, by `baseline, experiment, corruption`: `comparison.told` of the
            difference in AUC under corruption, and `loss_change`, how much more it loses to corruption, with its 95%
            CI. A run that was held out on other samples is left out.
    """

    conditions: pd.DataFrame
    summary: pd.DataFrame
    corruptions: pd.DataFrame
    contrasts: pd.DataFrame


def run(
    experiments: Sequence[str],
    settings: Robustness,
    evaluation: Evaluation,
    *,
    name: str = NAME,
    progress: Progress = SILENT,
) -> Tables:
    """Corrupt the held-out samples of finished runs, and write what AUC is retained.

    Args:
        experiments: names of finished runs; the others are compared with the first.
        settings: the corruptions and their strengths.
        evaluation: confidence and region of practical equivalence.
        name: what the tables and the findings are called: `name`, `name_summary`, ...
        progress: told what is about to be decoded, and of the samples decoded and predicted.

    Raises:
        InputError: an unknown corruption, or a run that has not been trained.
    """
    if not (experiments and settings.corruptions):
        raise InputError("params.yaml: studies.robustness: name at least one run and one corruption")
    _check(experiments, settings)
    runs = {experiment: prediction.held_out(experiment, progress) for experiment in experiments}
    logits = prediction.predict(runs, settings.corruptions, progress)
    curves = {experiment: _curves(known, logits[experiment]) for experiment, known in runs.items()}
    found = Tables(
        _joined({one: _conditions(runs[one], curves[one], logits[one], settings, evaluation) for one in runs}),
        _joined({one: _summary(curves[one], evaluation) for one in runs}),
        _joined({one: _corruptions(curves[one], evaluation) for one in runs}),
        _contrasts(runs, curves, evaluation),
    )
    for suffix, frame in zip(("", "_summary", "_corruptions", "_contrasts"), vars(found).values(), strict=True):
        result_tables.write(frame, f"{name}{suffix}")
    findings.write(name, conclusions.of(found.corruptions, found.contrasts))
    return found


def _check(experiments: Sequence[str], settings: Robustness) -> None:
    """Check that all runs are of one modality, which has these corruptions at these strengths."""
    names = {config_of(name).view.modality for name in experiments}
    if len(names) > 1:
        raise InputError(
            f"params.yaml: studies.robustness.runs: of {', '.join(sorted(names))}; name runs of one modality"
        )
    known = modalities.load(names.pop()).known_corruptions()
    where = "params.yaml: studies.robustness.corruptions"
    for name, strengths in settings.corruptions.items():
        if name not in known:
            raise InputError(f"{where}: {unknown('corruption', name, known)}")
        for strength in strengths:
            if wrong := known[name].check(strength):
                raise InputError(f"{where}.{name}: {wrong}")


def _joined(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, names=["experiment"]).reset_index("experiment")


def _curves(known: HeldOut, logits: Mapping[str, np.ndarray]) -> Curves:
    corrupted = {corruption: [_auc(known.judged(one)) for one in each] for corruption, each in logits.items()}
    return Curves(_auc(known.judged(known.samples["logit"].to_numpy())), corrupted)


def _auc(judged: pd.DataFrame) -> Influence:
    return resampling.auc(EvalSet.of(judged))


def _mean(figures: Sequence[Influence]) -> Influence:
    return influence.contrast([1 / len(figures)] * len(figures), figures)


def _against_clean(clean: Influence, figures: Iterable[Influence], evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return, of each figure, itself with its 95% CI and the verdict on its difference to clean samples: one family."""
    figures = list(figures)
    differences = [influence.difference(clean, each) for each in figures]
    # saturation of gray images: an identity, which needs no test
    changed = [bool(each.within.any() or each.values.any()) for each in differences]
    estimates = [resampling.trained_models(each, confidence=evaluation.confidence) for each in differences]
    tested = [each for each, differs in zip(estimates, changed, strict=True) if differs]
    judged = iter(verdicts.compare(tested, evaluation.rope, evaluation.confidence))
    rows = []
    for figure, differs in zip(figures, changed, strict=True):
        told = comparison.told(next(judged), len(tested), evaluation.rope) if differs else _SAME
        rows.append(_estimated(figure, evaluation) | told)
    return rows


def _estimated(figure: Influence, evaluation: Evaluation) -> dict[str, Any]:
    found = resampling.trained_models(figure, 0.5, evaluation.confidence)
    size = {"samples": found.n_samples, "groups": found.n_groups, "repeats": found.repeats}
    return {"auc": found.value, "auc_low": found.low, "auc_high": found.high} | size


def _conditions(
    known: HeldOut, curves: Curves, logits: Mapping[str, np.ndarray], settings: Robustness, evaluation: Evaluation
) -> pd.DataFrame:
    places = [
        {"corruption": corruption, "strength": strength, "level": number + 1}
        for corruption in curves.corrupted
        for number, strength in enumerate(settings.corruptions[corruption])
    ]
    figures = [figure for each in curves.corrupted.values() for figure in each]
    told = _against_clean(curves.clean, figures, evaluation)
    first = {"corruption": CLEAN, "strength": np.nan, "level": 0} | _estimated(curves.clean, evaluation) | _UNTESTED
    rows = [first] + [place | one for place, one in zip(places, told, strict=True)]
    values = [known.samples["logit"].to_numpy(), *(one for each in logits.values() for one in each)]
    return pd.DataFrame(rows).assign(balanced_accuracy=[_balanced_accuracy(known, one) for one in values])


def _balanced_accuracy(known: HeldOut, logits: np.ndarray) -> float:
    """Return the mean over folds of the mean share of reals and of fakes that are called what they are."""
    judged = known.judged(logits)
    folds, labels = judged["fold"].to_numpy(), judged["label"].to_numpy()
    right = (judged["logit"].to_numpy() >= np.asarray(known.run.thresholds)[folds]) == labels
    return float(pd.Series(right).groupby([folds, labels]).mean().mean())


def _summary(curves: Curves, evaluation: Evaluation) -> pd.DataFrame:
    levels = range(1, 1 + len(next(iter(curves.corrupted.values()))))
    told = _against_clean(curves.clean, map(curves.at, levels), evaluation)
    rows = [_estimated(curves.clean, evaluation) | _UNTESTED, *told]
    least = [(CLEAN, float(curves.clean.values.mean()))]
    for level in levels:
        aucs = {name: float(each[level - 1].values.mean()) for name, each in curves.corrupted.items()}
        least.append(min(aucs.items(), key=lambda pair: pair[1]))
    worst = pd.DataFrame(least, columns=["worst", "worst_auc"])
    return pd.concat([pd.DataFrame(rows), worst], axis=1).assign(level=range(len(rows)))


def _corruptions(curves: Curves, evaluation: Evaluation) -> pd.DataFrame:
    # the mean of all is asked first, by itself
    whole = _against_clean(curves.clean, [curves.mean()], evaluation)
    each = _against_clean(curves.clean, [curves.mean(name) for name in curves.corrupted], evaluation)
    rows = [{"corruption": name} | one for name, one in zip((ALL, *curves.corrupted), whole + each, strict=True)]
    found = pd.DataFrame(rows)
    return pd.concat([found.iloc[:1], found.iloc[1:].sort_values("auc", kind="stable")], ignore_index=True)


def _contrasts(runs: Mapping[str, HeldOut], curves: Mapping[str, Curves], evaluation: Evaluation) -> pd.DataFrame:
    baseline, *others = runs
    rows = []
    for name in others:
        if _paired(runs[baseline], runs[name]):
            rows += [
                {"baseline": baseline, "experiment": name} | row
                for row in _contrast(curves[baseline], curves[name], evaluation)
            ]
    return pd.DataFrame(rows, columns=[*("baseline", "experiment", "corruption"), *_CONTRAST])


_CONTRAST = [
    *("difference", "low", "high", "p", "verdict", "reason", "detectable", "samples", "groups", "repeats"),
    *("loss_change", "loss_change_low", "loss_change_high"),
]


def _paired(first: HeldOut, second: HeldOut) -> bool:
    """Tell whether two runs were held out on the same samples, training by training."""
    keys = ["sample_id", "fold", "repeat"]
    return first.samples[keys].equals(second.samples[keys])


def _contrast(baseline: Curves, other: Curves, evaluation: Evaluation) -> list[dict[str, Any]]:
    rows = []
    # the mean of all is asked first, by itself
    for family in ([ALL], list(baseline.corrupted)):
        pairs = [(baseline.mean(name), other.mean(name)) for name in family]
        judged = comparison.judge([influence.difference(*pair) for pair in pairs], evaluation)
        for name, pair, verdict in zip(family, pairs, judged, strict=True):
            changed = influence.contrast([1, -1, -1, 1], [*pair, baseline.clean, other.clean])
            loss = resampling.recipe(changed, confidence=evaluation.confidence)
            more = {"loss_change": loss.value, "loss_change_low": loss.low, "loss_change_high": loss.high}
            rows.append({"corruption": name} | comparison.told(verdict, len(family), evaluation.rope) | more)
    return rows
