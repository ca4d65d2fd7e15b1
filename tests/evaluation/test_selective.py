"""Selective risk, against sums by hand, the published optimum, and the truth."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from deepfake.evaluation import resampling, selective
from deepfake.evaluation.evalset import EvalSet


def test_risks_by_hand():
    assert selective.risks([False, True, False, True], [4, 3, 2, 1]) == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])


def test_samples_of_equal_confidence_count_as_the_mean_of_all_their_orders():
    errors, confidence = np.array([0, 1, 1, 0, 0, 1]), np.array([3, 2, 2, 2, 1, 1])
    orders = [
        [0, *middle, *last] for middle in itertools.permutations([1, 2, 3]) for last in itertools.permutations([4, 5])
    ]
    expected = np.mean([np.cumsum(errors[order]) / np.arange(1, 7) for order in orders], axis=0)
    assert selective.risks(errors, confidence) == pytest.approx(expected)
    assert selective.risks(errors[::-1], confidence[::-1]) == pytest.approx(expected)


def test_no_order_has_a_smaller_area_than_the_least():
    errors = np.array([1, 0, 0, 1, 0, 0])
    areas = [selective.risks(errors, order).mean() for order in itertools.permutations(range(6))]
    assert min(areas) == pytest.approx(selective.least(2, 6))


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.7])
def test_the_least_area_is_the_published_one(rate):
    """Geifman et al. 2019: r + (1 - r) ln(1 - r), for many samples."""
    assert selective.least(round(rate * 20000), 20000) == pytest.approx(rate + (1 - rate) * np.log1p(-rate), abs=1e-4)


def test_without_errors_and_with_nothing_else_the_area_is_0_and_1():
    assert (selective.least(0, 9), selective.least(9, 9)) == (0, 1)


def simulated(seed: int, strength: float, groups: int = 25) -> EvalSet:
    """Return margins whose distribution is known: a person's shift is part of the unit variance."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), 24)
    label = np.tile([0, 1], 12 * groups)
    noise = rng.normal(0, 0.4, groups)[group] + rng.normal(0, np.sqrt(1 - 0.16), len(label))
    return EvalSet.of_arrays(label, strength * (2 * label - 1) + noise, group)


def test_a_detector_without_any_order_gains_nothing_by_abstaining():
    rng = np.random.default_rng(1)
    label = np.tile([0, 1], 600)
    wrong = rng.random(1200) < 0.3
    margins = np.where(label ^ wrong, 1, -1) * rng.uniform(0.1, 5, 1200)
    found = selective.examine(EvalSet.of_arrays(label, margins, np.arange(1200) // 20), resampling.trained_models)
    assert found.aurc.low < wrong.mean() < found.aurc.high
    assert found.curve["risk"].iloc[-1] == pytest.approx(wrong.mean())


def test_folds_are_averaged_and_never_pooled():
    """Margins of one fold are a hundred times those of the other; each leaves its own least confident half."""
    label = np.array([0, 0, 1, 1] * 6)
    margins = np.array([-4, 3, 2, -1] * 3 + [-400, -300, 200, 100] * 3, dtype=float)
    evalset = EvalSet.of_arrays(label, margins, np.arange(24) // 4, np.repeat([0, 1], 12))
    curve = selective.examine(evalset, resampling.recipe).curve
    risk = dict(zip(curve["coverage"].round(2), curve["risk"], strict=True))
    assert [risk[coverage] for coverage in (0.25, 0.5, 1.0)] == pytest.approx([0, (1 / 2 + 0) / 2, (1 / 2 + 0) / 2])


def test_intervals_cover_the_truth_of_other_people():
    """At half coverage the risk is P(wrong | |margin| > its median), by numerical integration of two normals."""
    strength, covered = 0.8, 0
    grid = np.linspace(-8, 8, 40001)
    density = norm.pdf(grid, strength)
    cut = np.interp(0.5, *np.array(_folded(grid, strength)))
    beyond = np.abs(grid) > cut
    truth = density[beyond & (grid < 0)].sum() / density[beyond].sum()
    assert selective.COVERAGES[9] == pytest.approx(0.5)
    for seed in range(120):
        row = selective.examine(simulated(seed, strength), resampling.trained_models).curve.iloc[9]
        covered += row["low"] <= truth <= row["high"]
    assert 0.88 <= covered / 120 <= 0.99


def _folded(grid: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the distribution of the margin's size."""
    sizes = grid[grid >= 0]
    return norm.cdf(sizes, strength) - norm.cdf(-sizes, strength), sizes
