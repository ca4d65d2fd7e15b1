import numpy as np
import pytest

from deepfake.errors import InputError
from deepfake.evaluation import selection

SHARE = 1 / 3


def error(differences: np.ndarray) -> float:
    """The corrected standard error, written out: sqrt((1/k + n_test/n_train) s^2)."""
    k = len(differences)
    return float(np.sqrt((1 / k + SHARE) * np.var(differences, ddof=1)))


def test_a_gain_counts_as_such_only_beyond_its_standard_error():
    differences = np.array([[0.02, 0.05, 0.01, 0.04], [0.04, 0.01, 0.03, 0.00]])
    choice = selection.choose(differences, SHARE, 1.0)
    by_fold = differences.mean(axis=0)
    assert choice.gain == pytest.approx(by_fold.mean())
    assert choice.error == pytest.approx(error(by_fold))
    just = choice.gain / choice.error
    assert selection.choose(differences, SHARE, just * 0.999).better
    assert not selection.choose(differences, SHARE, just * 1.001).better


@pytest.mark.parametrize("differences", [np.zeros((1, 4)), np.full((2, 4), -0.1), [[0.3, -0.3, 0.1, -0.1]]])
def test_what_brings_nothing_is_not_chosen(differences):
    assert not selection.choose(np.array(differences), SHARE, 1.0).better
    assert not selection.choose(np.array(differences), SHARE, 0.0).better


def test_a_steady_gain_without_any_spread_is_chosen():
    assert selection.choose(np.full((1, 4), 0.01), SHARE, 1.0).better


AUCS = {
    "large": np.array([0.90, 0.92, 0.91, 0.93]),
    "small": np.array([0.89, 0.93, 0.90, 0.93]),  # a tie with large
    "middle": np.array([0.80, 0.82, 0.81, 0.83]),  # clearly behind both
    "worst": np.array([0.60, 0.62, 0.61, 0.63]),
}
SIZES = {"large": 25_000_000, "small": 400_000, "middle": 4_000_000, "worst": 100_000}


def test_a_tie_goes_to_the_smaller_model():
    lead = AUCS["large"] - AUCS["small"]
    assert 0 < lead.mean() <= error(lead)
    assert selection.rank(AUCS, SIZES, SHARE, 1.0) == ["small", "large", "middle", "worst"]


def test_without_ties_the_auc_alone_decides():
    assert selection.rank(AUCS, SIZES, SHARE, 0.0) == ["large", "small", "middle", "worst"]


def test_size_never_outweighs_a_clear_lead():
    assert selection.rank(AUCS, dict.fromkeys(SIZES, 1) | {"worst": 0}, SHARE, 1.0)[-1] == "worst"


def test_the_order_of_the_candidates_plays_no_part():
    backwards = dict(reversed(AUCS.items()))
    assert selection.rank(backwards, SIZES, SHARE, 1.0) == selection.rank(AUCS, SIZES, SHARE, 1.0)


def test_more_than_there_are_cannot_be_chosen():
    assert selection.top(["a", "b"], 2) == ["a", "b"]
    with pytest.raises(InputError, match="3 candidates are to be chosen, but only 2 are ranked"):
        selection.top(["a", "b"], 3)
