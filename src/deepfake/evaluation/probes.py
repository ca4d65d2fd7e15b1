"""How much of the label can be told from a few figures of each image: classical models on the manifest's own folds.

Dozens of features are tried, so a leak is called one only where chance is an unlikely explanation: by the spread over
groups of its AUC (`resampling.trained_models`), after Holm over all probes of the table.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.special
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from deepfake.config.analysis import Severity
from deepfake.config.params import Evaluation
from deepfake.errors import InputError
from deepfake.evaluation import resampling, verdicts
from deepfake.evaluation.estimate import FLAT, Estimate
from deepfake.evaluation.evalset import EvalSet, Floats
from deepfake.evaluation.influence import Influence
from deepfake.evaluation.verdicts import Verdict

NATURES = {
    "geometry": "container",
    "framing": "container",
    "compression": "container",
    "metadata": "container",
    **dict.fromkeys(("timing", "coding", "container", "duration", "silence", "level", "band"), "container"),
    "size": "both",
}
"""What a family tells of: how an image is stored or framed, which is a shortcut for certain, or of its pixels, as the
others do. The size of a file is owed to both: rewritten at one size and quality, the sample's fakes still have smaller
files."""
JOINT = "all"
"""The name of the probe of all families together."""
LEVELS = ("feature", "family", "all", "source")
"""What a probe is given: one feature, one family, all of them; `source` is the last one against one fake source."""
_LEAF = 0.01
"""Smallest share of the training samples in a leaf of a probe of one feature."""
BOOSTING: dict[str, Any] = {
    "max_iter": 60,
    "learning_rate": 0.1,
    "max_leaf_nodes": 6,
    "l2_regularization": 1.0,
    "early_stopping": False,
    "random_state": 0,
}
"""Settings of the boosted trees, of every probe alike. Small, because a thousand samples may be a dozen groups; without
early stopping, which would draw samples and not groups."""
MODELS: dict[str, Callable[[int], Any]] = {
    "tree": lambda samples: DecisionTreeClassifier(
        max_depth=3, min_samples_leaf=max(5, round(_LEAF * samples)), random_state=0
    ),
    "boosting": lambda samples: HistGradientBoostingClassifier(**BOOSTING),
    "logistic": lambda samples: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
}
"""The probes, each made for a number of training samples. None is chosen by its score: a single feature gets a tree of
eight leaves, which also finds "fake if exactly 256"; several features get `blend`."""

Answer = Literal["shortcut", "no_shortcut", "undecided"]


@dataclass(frozen=True)
class Probe:
    """What a probe was given, and how well it told fakes from reals.

    Args:
        subject: what the features were measured on: the files, or a view.
        level: one of `LEVELS`.
        name: of the feature, the family or the source; `JOINT` for all families.
        family: of the features; `JOINT` for several.
        nature: `container` or `pixels`; `both` where the two stand together.
        figure: its AUC; None where it says the same of every sample of a fold.
        of_models: of several features, the AUC of each model (`blend`).
    """

    subject: str
    level: str
    name: str
    family: str
    nature: str
    figure: Influence | None
    of_models: dict[str, float]


def identities(manifest: pd.DataFrame) -> EvalSet:
    """Take the identity of development samples, without scores yet, and check that they can be cross-validated.

    Raises:
        InputError: fewer than two folds, a fold without reals or fakes, or a fold of a single group.
    """
    found = EvalSet.of(manifest.assign(logit=0.0))
    groups = found.groups_by_fold()
    if len(groups) < 2:
        raise InputError(f"manifest: {len(groups)} folds of development samples; probes need two or more")
    if (fewest := min(groups.values())) < 2:
        fold = next(fold for fold, count in groups.items() if count == fewest)
        raise InputError(f"manifest: fold {fold} has one group; use fewer folds or smaller groups")
    return found


def probe(
    subject: str,
    features: pd.DataFrame,
    families: Mapping[str, Sequence[str]],
    samples: EvalSet,
    *,
    joint: Sequence[str] | None = None,
) -> tuple[list[Probe], Floats]:
    """Probe each feature, each family, and all families together, which is also held against each fake source.

    Args:
        subject: what the features were measured on: the files, or a view.
        features: one row a sample; numbers, or text as categories.
        families: the columns of each family.
        samples: who they are.
        joint: the families that are probed together; None: all.

    Returns:
        The probes; a source that stands in one fold only has none. And the cross-fitted log-odds of the probe of all,
        shape [n].
    """
    seen = list(joint or families)
    together = [column for family in seen for column in families[family]]
    found = []
    for family, columns in families.items():
        nature = _nature([family])
        for column in columns:
            scores = out_of_fold("tree", features[[column]], samples)
            found.append(Probe(subject, "feature", column, family, nature, _auc(samples, scores), {}))
    for family, columns in families.items():
        if len(columns) > 1:
            scores, of_models = blend(features[list(columns)], samples)
            figure = _auc(samples, scores)
            found.append(Probe(subject, "family", family, family, _nature([family]), figure, of_models))
    scores, of_models = blend(features[together], samples)
    nature = _nature(seen)
    found.append(Probe(subject, JOINT, JOINT, JOINT, nature, _auc(samples, scores), of_models))
    for source, rows in _against_reals(samples):
        figure = _auc(samples.take(rows), scores[rows])
        found.append(Probe(subject, "source", source, JOINT, nature, figure, {}))
    return found, scores


def blend(features: pd.DataFrame, samples: EvalSet) -> tuple[Floats, dict[str, float]]:
    """Return each sample's cross-fitted log-odds, the mean of boosted trees' and of logistic regression's.

    With few samples the one is better, with many or with tangled features the other; the mean needs no choice, which
    would have to be made on the very folds that it is judged by.

    Returns:
        Shape [n]; and the AUC of each model alone, `boosting_auc` and `logistic_auc`.
    """
    each = {model: out_of_fold(model, features, samples) for model in ("boosting", "logistic")}
    aucs = {
        f"{model}_auc": float(resampling.auc(dataclasses.replace(samples, scores=scores)).values.mean())
        for model, scores in each.items()
    }
    return np.mean(list(each.values()), axis=0), aucs


def out_of_fold(model: str, features: pd.DataFrame, samples: EvalSet) -> Floats:
    """Return each sample's log-odds by a model that was trained on all other folds, shape [n].

    Args:
        model: a key of `MODELS`.
        features: numbers, or text as categories; no value is missing.
        samples: who they are.
    """
    values = matrix(features)
    scores = np.empty(len(values))
    for held_out, training in fold_rows(samples.folds):
        fitted = MODELS[model](len(training)).fit(values[training], samples.labels[training])
        if model == "tree":
            # a leaf without fakes has log-odds of minus infinity; one more of each class is as good a guess (Laplace)
            share, leaf = fitted.predict_proba(values[held_out])[:, 1], fitted.apply(values[held_out])
            size = fitted.tree_.n_node_samples[leaf]
            scores[held_out] = scipy.special.logit((share * size + 1) / (size + 2))
        else:
            scores[held_out] = fitted.decision_function(values[held_out])
    return scores


def fold_rows(folds: NDArray) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the rows of each fold and those of all others; OpenMP keeps to one thread meanwhile.

    Sums over threads come out in another order each time, and several processes would share the cores.
    """
    with threadpool_limits(1):
        for fold in np.unique(folds):
            inside = folds == fold
            yield np.flatnonzero(inside), np.flatnonzero(~inside)


def matrix(features: pd.DataFrame) -> Floats:
    """Return features as numbers, float [n, columns]: a category becomes one column of 0 and 1 for each value."""
    text = [column for column in features if pd.api.types.is_string_dtype(features[column])]
    return pd.get_dummies(features, columns=text, dtype=float).to_numpy(np.float64)


def judge(found: Sequence[Probe], severity: Severity, evaluation: Evaluation) -> pd.DataFrame:
    """Say how bad each leak is.

    Args:
        found: the probes of all subjects: one table.
        severity: the AUC from which on a leak is weak, moderate, severe.
        evaluation: confidence of the conclusions.

    Returns:
        One row a probe: `subject, level, name, family, nature`, the AUC of each model (`blend`), `auc` (over pairs of
        different groups), `p` of there being no leak, and after Holm over all probes that vary: the interval
        `auc_low, auc_high` and `p_holm` of what is concluded. `severity` is the band of the AUC where it is above
        chance, else `none`. `verdict`: `shortcut` where there is a severity, `no_shortcut` where the AUC is sure to
        be below the weakest, else `undecided`, for the `reason` given if there is one.
    """
    varying = [each.figure for each in found if each.figure is not None]
    estimates = [floored(figure, evaluation.confidence) for figure in varying]
    # on the AUC's own scale: on the logit's, a perfect leak has a larger p-value than one that is nearly so
    plain = [dataclasses.replace(each, bounded=False) for each in estimates]
    judged = iter(
        zip(estimates, verdicts.against_chance(plain, severity.weak - 0.5, evaluation.confidence), strict=True)
    )
    nothing = dict.fromkeys(("auc", "auc_low", "auc_high"), 0.5) | {"p": 1.0, "p_holm": 1.0}
    nothing |= {"severity": "none", "verdict": "no_shortcut", "reason": ""}
    rows = []
    for each in found:
        identity = {name: getattr(each, name) for name in ("subject", "level", "name", "family", "nature")}
        of_models = dict.fromkeys(("boosting_auc", "logistic_auc"), np.nan) | each.of_models
        rows.append(identity | of_models | (nothing if each.figure is None else _told(*next(judged), severity)))
    return pd.DataFrame(rows)


def floored(figure: Influence, confidence: float) -> Estimate:
    """Return how sure an AUC is; one that is the same in every group, as a rule of the files is, has half a sample's.

    `Estimate` refuses to conclude anything without a spread between groups, since scores may be constant; a probe's
    vary, and a rule that all groups follow alike is the surest leak of all.
    """
    found = resampling.trained_models(figure, 0.5, confidence)
    if figure.reason or not found.reason or found.df <= 0 or not np.abs(figure.within).max() <= FLAT:
        return found
    facts = (found.df, found.n_samples, found.n_groups, found.repeats)
    return Estimate.of(found.value, found.grain, *facts, bounded=True, grain=found.grain, confidence=confidence)


def _told(estimate: Estimate, verdict: Verdict, severity: Severity) -> dict[str, Any]:
    """Return what is concluded of a probe, as columns."""
    low, high = estimate.interval(verdict.confidence)
    names = np.array(["none", *(limits := severity.model_dump())])
    sure = verdict.word == "above_chance"
    reached = str(names[np.searchsorted(list(limits.values()), estimate.value, side="right")]) if sure else "none"
    answer: Answer = "shortcut" if reached != "none" else "undecided"
    if reached == "none" and (verdict.word == "at_chance" or (sure and high < severity.weak)):
        answer = "no_shortcut"
    plain = verdict.estimate
    return {
        "auc": estimate.value,
        "auc_low": low,
        "auc_high": high,
        # a p-value too small for a float is not 0
        "p": float(np.maximum(2 * min(plain.above(0.5), plain.below(0.5)), np.finfo(float).tiny)),
        "p_holm": verdict.p,
        "severity": reached,
        "verdict": answer,
        "reason": estimate.reason,
    }


def _auc(samples: EvalSet, scores: Floats) -> Influence | None:
    """Return the AUC of a probe's scores, or None where all samples of a fold have the same."""
    if pd.Series(scores).groupby(samples.folds).nunique().eq(1).all():
        return None
    return resampling.auc(dataclasses.replace(samples, scores=scores))


def _nature(families: Sequence[str]) -> str:
    """Return whether a probe of some families sees the container, the pixels, or both."""
    natures = {NATURES.get(family, "pixels") for family in families}
    return natures.pop() if len(natures) == 1 else "both"


def _against_reals(samples: EvalSet) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each fake source and the rows of it and of all reals, in the folds that it stands in if those are several.

    A source in one fold only says nothing of how it would be found in another one.
    """
    fakes = pd.DataFrame({"source": samples.sources, "fold": samples.folds})[samples.labels == 1]
    for source, found in fakes.groupby("source"):
        if found["fold"].nunique() > 1:
            mine = (samples.labels == 0) | (samples.sources == source)
            yield str(source), mine & np.isin(samples.folds, found["fold"].unique())
