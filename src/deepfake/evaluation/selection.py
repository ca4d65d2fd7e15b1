"""Choosing the best from out-of-fold results: what lies within the region of practical equivalence is a tie.

The simpler choice wins a tie. Whatever is chosen so was chosen on held-out folds, and its AUC there is optimistic.
"""

from collections.abc import Mapping

from deepfake.errors import InputError


def rank(aucs: Mapping[str, float], sizes: Mapping[str, int], rope: float) -> list[str]:
    """Order models from best to worst; a tie goes to the one with fewer parameters.

    Each place goes to the smallest of those left that the best of those left does not lead by more than a tie.

    Args:
        aucs: mean AUC of each model on the same held-out folds.
        sizes: parameters of each model.
        rope: a lead of no more than this is a tie.
    """
    left, order = list(aucs), []
    while left:
        best = max(aucs[name] for name in left)
        tied = [name for name in left if best - aucs[name] <= rope]
        chosen = min(tied, key=lambda name: (sizes[name], -aucs[name], name))
        order.append(chosen)
        left.remove(chosen)
    return order


def top(order: list[str], count: int) -> list[str]:
    """Return the first of an order.

    Raises:
        InputError: there are not so many.
    """
    if count > len(order):
        raise InputError(f"top: {count} candidates are to be chosen, but only {len(order)} are ranked")
    return order[:count]
