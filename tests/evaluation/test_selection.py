"""The rule of ties: a lead within the region of practical equivalence goes to the smaller model."""

import pytest

from deepfake.errors import InputError
from deepfake.evaluation import selection

AUCS = {"large": 0.915, "small": 0.90, "middle": 0.815, "worst": 0.60}
SIZES = {"large": 25_000_000, "small": 400_000, "middle": 4_000_000, "worst": 100_000}


def test_a_tie_goes_to_the_smaller_model():
    assert selection.rank(AUCS, SIZES, 0.02) == ["small", "large", "middle", "worst"]


def test_a_lead_beyond_the_region_decides_whatever_the_sizes():
    assert selection.rank(AUCS, SIZES, 0.01) == ["large", "small", "middle", "worst"]
    assert selection.rank(AUCS, SIZES, 0.0) == ["large", "small", "middle", "worst"]


def test_a_lead_of_exactly_the_region_is_a_tie():
    assert selection.rank({"large": 0.75, "small": 0.5}, SIZES, 0.25) == ["small", "large"]


def test_ties_are_with_the_best_and_do_not_chain():
    # each is within 0.02 of the next, the last is not of the first
    chain = {"a": 0.90, "b": 0.885, "c": 0.87}
    assert selection.rank(chain, {"a": 3, "b": 2, "c": 1}, 0.02) == ["b", "a", "c"]


def test_of_equally_large_models_the_better_wins_and_the_order_plays_no_part():
    sizes = dict.fromkeys(AUCS, 1)
    backwards = dict(reversed(AUCS.items()))
    assert selection.rank(AUCS, sizes, 0.02) == selection.rank(backwards, sizes, 0.02) == list(AUCS)


def test_more_than_there_are_cannot_be_chosen():
    assert selection.top(["a", "b"], 1) == ["a"]
    with pytest.raises(InputError, match="3 candidates are to be chosen, but only 2 are ranked"):
        selection.top(["a", "b"], 3)
