"""Print the tables of docs/statistics.md: errors and power of the procedure as implemented, in simulated worlds.

Usage: python docs/simulate_statistics.py [simulations a row] [groups of the world, if not all]

Detectors are really trained: a linear discriminant on a random part of its features, so that another training gives
another detector. The two that are compared see different features of one distribution; equal shifts make equal recipes.
"""

import sys
from dataclasses import dataclass

import numpy as np
import scipy.stats

from deepfake.evaluation import resampling, verdicts
from deepfake.evaluation.estimate import FLAT
from deepfake.evaluation.evalset import EvalSet
from deepfake.evaluation.influence import Influence, difference

FEATURES, USED, RIDGE = 12, 4, 5.0
PERSON, PERSON_ON_FAKES, IN_COMMON = 0.5, 0.35, 0.5
"""SD of a person's effect on all images and on fakes alone, and the correlation of what two detectors see."""
ROPE = 0.02
ENUMERATED_GROUPS = 14
"""Most groups of which all sign flips are enumerated."""


@dataclass(frozen=True)
class World:
    """How many people, folds, and images of each kind a person."""

    groups: int
    folds: int
    reals: int
    fakes: int


WORLDS = [World(10, 4, 20, 58), World(18, 4, 20, 58), World(200, 5, 1, 3)]
SHIFTS = [0.25, 0.35, 0.45]
"""Shift of the second detector's fakes; the first one's is SHIFTS[0]."""


def sign_flips(figure: Influence, null: float = 0.0, replicates: int = 9999, seed: int = 0) -> float:
    """Return the two-sided p-value of the figure being `null`, from flipping the signs of the groups' contributions.

    All flips are enumerated for few groups; else they are drawn, and the data count as one more draw. Never 0.
    """
    if figure.reason:
        return float("nan")
    groups = len(figure.groups)
    # back from the scale on which squares sum to the variance
    spread = figure.about.mean(axis=0) * np.sqrt((groups - 1) / groups)
    contributions = spread + (figure.values.mean() - null) / groups
    if abs(contributions.sum()) < FLAT:
        return 1.0
    if groups <= ENUMERATED_GROUPS:
        bits = np.arange(2 ** (groups - 1))[:, None] >> np.arange(groups)
        extreme = np.abs((1 - 2 * (bits & 1)) @ contributions) >= abs(contributions.sum()) * (1 - 1e-9)
        return float(extreme.mean())
    rng, hits = np.random.default_rng(seed), 1
    for start in range(0, replicates, 1000):
        signs = rng.choice([-1.0, 1.0], size=(min(1000, replicates - start), groups))
        hits += int((np.abs(signs @ contributions) >= abs(contributions.sum()) * (1 - 1e-9)).sum())
    return hits / (replicates + 1)


def sample(world, shifts, rng):
    """Return features [detectors, n, FEATURES], labels [n] and groups [n]."""
    groups = np.repeat(np.arange(world.groups), world.reals + world.fakes)
    labels = np.tile(np.repeat([0, 1], [world.reals, world.fakes]), world.groups)

    def noise(rows):
        common, own = rng.normal(size=(1, rows, FEATURES)), rng.normal(size=(len(shifts), rows, FEATURES))
        return np.sqrt(IN_COMMON) * common + np.sqrt(1 - IN_COMMON) * own

    person, on_fakes = PERSON * noise(world.groups), PERSON_ON_FAKES * noise(world.groups)
    features = noise(len(labels)) + person[:, groups]
    features += labels[:, None] * (on_fakes[:, groups] + np.array(shifts)[:, None, None])
    return features, labels, groups


def train(features, labels, rng):
    """Return the weights of a ridge discriminant on USED features drawn at random, shape [FEATURES]."""
    used = rng.permutation(FEATURES)[:USED]
    means = np.stack([features[labels == kind][:, used].mean(axis=0) for kind in (0, 1)])
    centred = features[:, used] - means[labels]
    weights = np.zeros(FEATURES)
    weights[used] = np.linalg.solve(centred.T @ centred + RIDGE * np.eye(USED), means[1] - means[0])
    return weights


def true_auc(weights, shift):
    """Return the AUC over pairs of different people of the whole population."""
    variance = (weights @ weights) * (2 + 2 * PERSON**2 + PERSON_ON_FAKES**2)
    return scipy.stats.norm.cdf(weights.sum() * shift / np.sqrt(variance))


def cross_validate(world, shifts, repeats, rng):
    """Return an EvalSet for each detector, and the true AUC of each training, shape [detectors, repeats * folds]."""
    features, labels, groups = sample(world, shifts, rng)
    scores, folds = np.empty((2, repeats, len(labels))), np.empty((repeats, len(labels)), dtype=int)
    truth = np.empty((2, repeats * world.folds))
    for repeat in range(repeats):
        fold_of = rng.permutation(np.arange(world.groups) % world.folds)[groups]
        folds[repeat] = repeat * world.folds + fold_of
        for fold in range(world.folds):
            out = fold_of == fold
            for detector, shift in enumerate(shifts):
                weights = train(features[detector, ~out], labels[~out], rng)
                scores[detector, repeat, out] = features[detector, out] @ weights
                truth[detector, repeat * world.folds + fold] = true_auc(weights, shift)
    rows = (np.tile(labels, repeats), np.tile(groups, repeats), folds.ravel())
    numbers = np.repeat(np.arange(repeats), len(labels))
    sets = [EvalSet.of_arrays(rows[0], both.ravel(), *rows[1:], repeats=numbers) for both in scores]
    return sets, truth


def first_repeat(evalset):
    """Return the rows of a plain cross-validation."""
    return evalset.take(evalset.repeats == 0)


def simulate(world, shifts, repeats, simulations, seed=0):
    """Return shares of the simulations, by name."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(simulations):
        sets, truth = cross_validate(world, shifts, repeats, rng)
        true = (truth[1] - truth[0])[: world.folds].mean()
        one = difference(*(resampling.auc(first_repeat(evalset)) for evalset in sets))
        many = difference(*(resampling.auc(evalset) for evalset in sets))
        share = resampling.trained_models(resampling.auc(first_repeat(sets[0])))
        trained, single, recipe = resampling.trained_models(one), resampling.recipe(one), resampling.recipe(many)
        (verdict,) = verdicts.compare([recipe], ROPE)
        rows.append(
            {
                "true": (truth[1] - truth[0]).mean(),
                "trained": trained.p <= 0.05,
                "flips": sign_flips(one, 0.0, replicates=499, seed=1) <= 0.05,
                "recipe 1": single.p <= 0.05,
                f"recipe {repeats}": recipe.p <= 0.05,
                "better": verdict.word == "better",
                "worse": verdict.word == "worse",
                "equivalent": verdict.word == "equivalent",
                "covers difference": trained.low <= true <= trained.high,
                "covers AUC": share.low <= truth[0, : world.folds].mean() <= share.high,
                "above chance": verdicts.against_chance([share], ROPE)[0].word == "above_chance",
                "seen at 80%": verdicts.detectable(recipe, ROPE),
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def main(simulations, groups=None):
    """Print one Markdown row for each world and shift, and one with detectors at chance."""
    header = None
    for world in [world for world in WORLDS if groups in (None, world.groups)]:
        for shifts in [(0.0, 0.0), *((SHIFTS[0], shift) for shift in SHIFTS)]:
            found = simulate(world, shifts, 3, simulations)
            if header is None:
                header = ["groups", "folds", "shifts", *found]
                print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
            cells = [world.groups, world.folds, "{}, {}".format(*shifts), *(f"{value:.3f}" for value in found.values())]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["500"]))
