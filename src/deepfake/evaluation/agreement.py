"""Whether detectors agree, and whether they share errors beyond chance: from held-out predictions alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from deepfake import tables
from deepfake.errors import InputError
from deepfake.evaluation import influence, resampling
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet, Floats
from deepfake.evaluation.group_means import mean_over_groups
from deepfake.evaluation.influence import Influence, Part


@dataclass(frozen=True)
class Panel:
    """What m detectors say of the same n held-out samples; build it with `of`.

    Args:
        names: of the detectors.
        kinds: of each the architecture; others of its own say little of a detector's errors.
        samples: `sample_id, label, source, group, fold`, a row a sample.
        logits: float [n, m], comparable within a fold and a detector only.
        wrong: bool [n, m]: decided wrongly at the threshold of detector and fold.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    samples: pd.DataFrame
    logits: Floats
    wrong: NDArray[np.bool_]

    @classmethod
    def of(cls, verdicts: Mapping[str, pd.DataFrame], kinds: Mapping[str, str] | None = None) -> "Panel":
        """Put the verdicts of detectors on the samples that all of them held out in the same fold side by side.

        Args:
            verdicts: by detector, `hard_examples.judged`.
            kinds: by detector, its architecture; without it each is its own.

        Raises:
            InputError: there is no such sample.
        """
        keys = ["sample_id", "fold"]
        indexed = [frame.set_index(keys).sort_index() for frame in verdicts.values()]
        common = indexed[0].index
        for frame in indexed[1:]:
            common = common.intersection(frame.index)
        if not len(common):
            raise InputError(f"{', '.join(verdicts)}: no held-out sample in common; compare runs of one data set")
        aligned = [frame.loc[common] for frame in indexed]
        columns = [np.stack([frame[column].to_numpy() for frame in aligned], axis=1) for column in ("logit", "wrong")]
        samples = aligned[0].reset_index()[["sample_id", "label", "source", "group", "fold"]]
        named = tuple(kinds[name] if kinds else name for name in verdicts)
        return cls(tuple(verdicts), named, samples, columns[0].astype(np.float64), columns[1].astype(bool))

    def take(self, rows: NDArray) -> "Panel":
        """Return the chosen rows: a mask of shape [n] or row numbers."""
        samples = self.samples[rows] if rows.dtype == bool else self.samples.iloc[rows]
        return Panel(self.names, self.kinds, samples.reset_index(drop=True), self.logits[rows], self.wrong[rows])

    @property
    def called_fake(self) -> NDArray[np.bool_]:
        """Return the decisions, bool [n, m]."""
        return self.wrong != (self.samples["label"] == tables.FAKE).to_numpy()[:, None]

    def percentiles(self) -> Floats:
        """Return where each logit lies among its detector's logits of the fold, [n, m] in (0, 1); a tie counts half."""
        found = np.empty_like(self.logits)
        for rows in _rows_of(self.samples["fold"]):
            found[rows] = (rankdata(self.logits[rows], axis=0) - 0.5) / len(rows)
        return found

    def evalset(self) -> EvalSet:
        """Return the samples as the jackknife sees them; the scores play no part."""
        labels, groups, folds = (self.samples[name].to_numpy() for name in ("label", "group", "fold"))
        zeros = np.zeros(len(labels))
        return EvalSet(labels, zeros, groups.astype(str), folds.astype(np.int64), zeros.astype(np.int64))


class Agreement(NamedTuple):
    """How far two detectors agree.

    Args:
        kappa: Cohen's kappa of their decisions.
        spearman: the rank correlation of their logits, mean over folds.
        errors: Cohen's kappa of being wrong, within sources.
    """

    kappa: Influence
    spearman: Influence
    errors: Influence


def agreements(panel: Panel) -> dict[tuple[str, str], Agreement]:
    """Return how far each two detectors agree, by their names.

    The kappa of being wrong is the error consistency of Geirhos et al. 2020, "Beyond accuracy", taken within sources:
    what two detectors share because a source is hard for both does not count. It is 0 where errors are independent
    within each source, and 1 where they are the same.
    """
    evalset = panel.evalset()
    everything = np.zeros(len(panel.samples), np.intp)
    _, sources = np.unique(panel.samples["source"].to_numpy(str), return_inverse=True)
    correlations = _correlations(panel)
    found = {}
    for first, second in combinations(range(len(panel.names)), 2):
        decisions, errors = (
            _kappa(evalset, each[:, first], each[:, second], strata)
            for each, strata in ((panel.called_fake, everything), (panel.wrong, sources))
        )
        parts = [
            Part(part.fold, 0, part.codes, float(part.value[first, second]), part.without[:, first, second])
            for part in correlations
        ]
        spearman = influence.assemble(evalset, parts, bounded=False)
        found[panel.names[first], panel.names[second]] = Agreement(decisions, spearman, errors)
    return found


def table(panel: Panel, found: Mapping[tuple[str, str], Agreement], confidence: float) -> pd.DataFrame:
    """Return one row a pair of detectors.

    Returns:
        Columns `first, second, samples, groups`; `kappa`, `spearman` and `error_kappa` (`Agreement`), each with the
        ends of its 95% CI `_low, _high` (cluster jackknife); `both_wrong`, the share of samples that both get wrong,
        and `independent`, what it would be if errors were independent within each source.
    """
    rows = []
    place = {name: column for column, name in enumerate(panel.names)}
    for (first, second), figures in found.items():
        row = {"first": first, "second": second, "samples": len(panel.samples)}
        row["groups"] = panel.samples["group"].nunique()
        for name, figure in zip(("kappa", "spearman", "error_kappa"), figures, strict=True):
            estimate = resampling.trained_models(figure, confidence=confidence)
            row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        wrong = panel.wrong[:, [place[first], place[second]]]
        shares = pd.DataFrame(wrong).groupby(panel.samples["source"].to_numpy()).transform("mean")
        row |= {"both_wrong": wrong.all(axis=1).mean(), "independent": shares.prod(axis=1).mean()}
        rows.append(row)
    names = [f"{name}{end}" for name in ("kappa", "spearman", "error_kappa") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["first", "second", "samples", "groups", *names, "both_wrong", "independent"])


def mean_errors(panel: Panel, found: Mapping[tuple[str, str], Agreement]) -> Influence | None:
    """Return the mean over pairs of different architectures of the kappa of being wrong; None without such a pair."""
    kind = dict(zip(panel.names, panel.kinds, strict=True))
    chosen = [figures.errors for (first, second), figures in found.items() if kind[first] != kind[second]]
    return influence.contrast([1 / len(chosen)] * len(chosen), chosen) if chosen else None


class Rescued(NamedTuple):
    """What detectors of other architectures make of a detector's errors.

    Args:
        errors: how many it makes.
        others: how many detectors are asked.
        right: the mean share of these that decide such a sample rightly; None without an error or others.
        independent: what that would be if errors were independent within each source.
        nobody: the share of its errors that none of them decides rightly.
    """

    errors: int
    others: int
    right: Estimate | None
    independent: float
    nobody: float


def rescued(panel: Panel, confidence: float) -> dict[str, Rescued]:
    """Return, by detector, how often those of other architectures are right where it is wrong."""
    by_source = pd.DataFrame(~panel.wrong).groupby(panel.samples["source"].to_numpy()).transform("mean").to_numpy()
    found = {}
    for column, name in enumerate(panel.names):
        errors = panel.wrong[:, column]
        others = np.array(panel.kinds) != panel.kinds[column]
        if not (errors.any() and others.any()):
            found[name] = Rescued(int(errors.sum()), int(others.sum()), None, float("nan"), float("nan"))
            continue
        right = ~panel.wrong[np.ix_(errors, others)]
        groups = panel.samples.loc[errors, "group"]
        estimate = mean_over_groups(right.mean(axis=1), groups, bounded=True, confidence=confidence)
        independent = float(by_source[np.ix_(errors, others)].mean())
        nobody = float((~right.any(axis=1)).mean())
        found[name] = Rescued(int(errors.sum()), int(others.sum()), estimate, independent, nobody)
    return found


class _Correlations(NamedTuple):
    """`influence.Part` of all pairs at once: value [m, m], without [groups, m, m]."""

    fold: int
    codes: NDArray[np.intp]
    value: Floats
    without: Floats


def _correlations(panel: Panel) -> list[_Correlations]:
    """Return the rank correlations of logits within each fold, and those without each of its groups."""
    _, codes = np.unique(panel.samples["group"].to_numpy(str), return_inverse=True)
    parts = []
    for rows in _rows_of(panel.samples["fold"]):
        present = np.unique(codes[rows])
        without = [_spearman(panel.logits[rows[codes[rows] != code]]) for code in present]
        fold = int(panel.samples["fold"].iloc[rows[0]])
        parts.append(_Correlations(fold, present, _spearman(panel.logits[rows]), np.stack(without)))
    return parts


def _spearman(logits: Floats) -> Floats:
    """Return the rank correlations of columns, [m, m]; of a column without any spread they are 0."""
    if len(logits) < 2:
        return np.zeros((logits.shape[1], logits.shape[1]))
    ranks = rankdata(logits, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.atleast_2d(np.corrcoef(ranks, rowvar=False)))


def _kappa(evalset: EvalSet, first: NDArray, second: NDArray, strata: NDArray) -> Influence:
    """Return Cohen's kappa of two yes-or-no judgements within strata, counts pooled over folds."""
    names, codes = np.unique(evalset.groups, return_inverse=True)
    shape = (len(names), int(strata.max()) + 1, 4)
    cell = (codes * shape[1] + strata) * 4 + 2 * first + second
    counts = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
    total = counts.sum(axis=0)
    part = Part(0, 0, np.arange(len(names)), float(kappa(total)), kappa(total - counts))
    return influence.assemble(evalset, [part], bounded=False)


def kappa(counts: Floats) -> Floats:
    """Return Cohen's kappa within strata: agreement beyond chance, over what is left beyond chance.

    Args:
        counts: float [..., strata, 4]: both no, second alone yes, first alone yes, both yes. Of a single stratum it is
            Cohen's (1960); of several, agreement and chance are counted in each and added up.

    Returns:
        [...], 0 where both always say the same one thing, of which nothing follows.
    """
    neither, second, first, both = np.moveaxis(counts, -1, 0)
    size = neither + second + first + both
    by_chance = (neither + second) * (neither + first) + (both + second) * (both + first)
    expected = np.divide(by_chance, size, out=np.zeros_like(size), where=size > 0).sum(axis=-1)
    beyond, left = (neither + both).sum(axis=-1) - expected, size.sum(axis=-1) - expected
    return np.divide(beyond, left, out=np.zeros_like(beyond), where=left > 1e-9)


def _rows_of(folds: pd.Series) -> list[NDArray[np.intp]]:
    """Return the row numbers of each fold."""
    return [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
