"""How much of the label can be told from a few figures of each image: classical models on the manifest's own folds.

A leak is called one only when chance is an unlikely explanation, because dozens of features are tried: both intervals
lie above 0.5 and a test that is corrected for the number of probes agrees.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.special
import scipy.stats
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
from deepfake.evaluation import bootstrap, statistics
from deepfake.evaluation.bootstrap import Floats

NATURES = {
    "geometry": "container",
    "framing": "container",
    "compression": "container",
    "metadata": "container",
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
NOTHING = dict.fromkeys(("auc", "auc_low", "auc_high", "fold_low", "fold_high"), 0.5) | {"p": 1.0}
"""The figures of a probe that says the same of every sample."""


@dataclass(frozen=True)
class Samples:
    """Who the samples of the development set are, one row a sample, in the order of every table of features.

    Args:
        labels: 0 real or 1 fake.
        groups: their groups.
        folds: their folds.
        sources: who made them.
    """

    labels: NDArray[np.int64]
    groups: NDArray
    folds: NDArray
    sources: NDArray

    @classmethod
    def of(cls, manifest: pd.DataFrame) -> "Samples":
        """Take the identity of development samples, and check that they can be cross-validated.

        Raises:
            InputError: fewer than two folds, a fold without reals or fakes, or a fold of a single group.
        """
        found = cls(*(manifest[column].to_numpy() for column in ("label", "group", "fold", "source")))
        groups = manifest.groupby("fold")["group"].nunique()
        if len(groups) < 2:
            raise InputError(f"manifest: {len(groups)} folds of development samples; probes need two or more")
        bootstrap.fold_auc(found.labels, np.zeros(len(manifest)), found.folds)  # says which fold lacks a class
        if groups.min() < 2:
            raise InputError(f"manifest: fold {groups.idxmin()} has one group; use fewer folds or smaller groups")
        return found

    def where(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Samples":
        """Return some of the samples."""
        return Samples(self.labels[rows], self.groups[rows], self.folds[rows], self.sources[rows])


def probe(
    subject: str,
    features: pd.DataFrame,
    families: Mapping[str, Sequence[str]],
    samples: Samples,
    evaluation: Evaluation,
    seed: int,
    *,
    joint: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, Floats]:
    """Probe each feature, each family, and all families together, which is also held against each fake source.

    Args:
        subject: what the features were measured on: the files, or a view.
        features: one row a sample; numbers, or text as categories.
        families: the columns of each family.
        samples: who they are.
        evaluation: confidence and replicates.
        seed: of the bootstrap.
        joint: the families that are probed together; None: all.

    Returns:
        One row a probe: `subject, level` (`LEVELS`), `name, family, nature` (container or pixels; both where the two
        stand together), `auc`, the interval over groups `auc_low, auc_high`, that over folds `fold_low, fold_high`,
        `p` of there being no leak, and of several features the AUC of each model (`blend`). A source too rare to be
        resampled has no row. And the cross-fitted log-odds of the probe of all, shape [n].
    """
    seen = list(joint or families)
    together = [column for family in seen for column in families[family]]
    rows: list[dict[str, Any]] = []
    unknown = {"boosting_auc": np.nan, "logistic_auc": np.nan}

    def add(level: str, name: str, family: str, scores: Floats, samples: Samples, **more: float) -> None:
        nature = _nature(seen if family == JOINT else [family])
        row = {"level": level, "name": name, "family": family, "nature": nature}
        rows.append(row | unknown | _figures(scores, samples, evaluation, seed) | more)

    for family, columns in families.items():
        for column in columns:
            add("feature", column, family, out_of_fold("tree", features[[column]], samples), samples)
    for family, columns in families.items():
        if len(columns) > 1:
            scores, of_models = blend(features[list(columns)], samples)
            add("family", family, family, scores, samples, **of_models)
    scores, of_models = blend(features[together], samples)
    add(JOINT, JOINT, JOINT, scores, samples, **of_models)
    for source, chosen in _against_reals(samples):
        # a source that stands in a few groups only may be lost by more than half of the resamplings
        with contextlib.suppress(InputError):
            add("source", source, JOINT, scores[chosen], samples.where(chosen))
    table = pd.DataFrame(rows)
    table.insert(0, "subject", subject)
    return table, scores


def blend(features: pd.DataFrame, samples: Samples) -> tuple[Floats, dict[str, float]]:
    """Return each sample's cross-fitted log-odds, the mean of boosted trees' and of logistic regression's.

    With few samples the one is better, with many or with tangled features the other; the mean needs no choice, which
    would have to be made on the very folds that it is judged by.

    Returns:
        Shape [n]; and the AUC of each model alone, `boosting_auc` and `logistic_auc`.
    """
    each = {model: out_of_fold(model, features, samples) for model in ("boosting", "logistic")}
    aucs = {
        f"{model}_auc": float(bootstrap.fold_auc(samples.labels, scores, samples.folds).mean())
        for model, scores in each.items()
    }
    return np.mean(list(each.values()), axis=0), aucs


def out_of_fold(model: str, features: pd.DataFrame, samples: Samples) -> Floats:
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


def judge(rows: pd.DataFrame, severity: Severity, significance: float) -> pd.DataFrame:
    """Say how bad each leak is.

    Args:
        rows: the probes of all subjects (`probe`).
        severity: the AUC from which on a leak is weak, moderate, severe.
        significance: largest corrected p-value of a leak.

    Returns:
        The rows with `p_holm`, corrected for the number of probes of its level, and `severity`. That is `none` unless
        both intervals lie above 0.5 and the corrected test agrees, whatever the AUC.
    """
    adjusted = rows.groupby("level")["p"].transform(lambda values: statistics.holm(values.to_numpy()))
    sure = (rows[["auc_low", "fold_low"]].min(axis=1) > 0.5) & (adjusted <= significance)
    names = np.array(["none", *(limits := severity.model_dump())])
    reached = np.searchsorted(list(limits.values()), rows["auc"], side="right")
    return rows.assign(p_holm=adjusted, severity=np.where(sure, names[reached], "none"))


def _figures(scores: Floats, samples: Samples, evaluation: Evaluation, seed: int) -> dict[str, float]:
    """Return the AUC of a probe with its intervals, and the p-value of there being no leak.

    The p-value belongs to the interval over groups: its reach below the estimate on the logit scale, taken as so many
    standard errors of a t distribution with groups less folds degrees of freedom. Unlike a count of replicates it can
    be smaller than one over their number, which a correction for dozens of probes needs.
    """
    labels, groups, folds = samples.labels, samples.groups, samples.folds
    if pd.Series(scores).groupby(folds).nunique().eq(1).all():
        return NOTHING  # what all images have in common; many features are, and resampling would say the same
    of_folds = bootstrap.fold_auc(labels, scores, folds)
    found = bootstrap.auc_interval(
        labels,
        scores,
        groups,
        folds,
        replicates=evaluation.bootstrap_replicates,
        seed=seed,
        confidence=evaluation.confidence,
    )
    over_folds = statistics.fold_interval(of_folds, 1 / (len(of_folds) - 1), evaluation.confidence)
    # as in `auc_interval`: an AUC of 1 counts as half a pair short of it
    counts = [np.bincount(labels[folds == fold]) for fold in np.unique(folds)]
    half = 0.5 / min(int(reals * fakes) for reals, fakes in counts)
    estimate, low = scipy.special.logit(np.clip([found.estimate, found.low], half, 1 - half))
    freedom = len(np.unique(groups)) - len(of_folds)
    error = (estimate - low) / scipy.stats.norm.ppf((1 + evaluation.confidence) / 2)
    # no spread: equally far from chance in all resamplings, or a probe that says the same of every sample
    p = float(2 * scipy.stats.t.sf(max(estimate, 0) / error, freedom)) if error > 0 else float(estimate <= 0)
    return {
        "auc": found.estimate,
        "auc_low": found.low,
        "auc_high": found.high,
        "fold_low": over_folds.low,
        "fold_high": over_folds.high,
        "p": p,
    }


def _nature(families: Sequence[str]) -> str:
    """Return whether a probe of some families sees the container, the pixels, or both."""
    natures = {NATURES.get(family, "pixels") for family in families}
    return natures.pop() if len(natures) == 1 else "both"


def _against_reals(samples: Samples) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each fake source and the rows of it and of all reals, in the folds that it stands in if those are several.

    A source in one fold only says nothing of how it would be found in another one.
    """
    fakes = pd.DataFrame({"source": samples.sources, "fold": samples.folds})[samples.labels == 1]
    for source, found in fakes.groupby("source"):
        if found["fold"].nunique() > 1:
            mine = (samples.labels == 0) | (samples.sources == source)
            yield str(source), mine & np.isin(samples.folds, found["fold"].unique())
