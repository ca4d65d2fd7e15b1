import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_curve

from deepfake.errors import InputError
from deepfake.evaluation import thresholds
from deepfake.evaluation.thresholds import RULES, youden

CHOSEN = [name for name in RULES if name != "half"]


def j(labels, logits, threshold):
    called = np.asarray(logits) >= threshold
    labels = np.asarray(labels)
    return called[labels == 1].mean() - called[labels == 0].mean()


finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def samples(draw):
    """Labels with both classes, and logits on a coarse grid, so that ties are common."""
    labels = draw(st.lists(st.integers(0, 1), min_size=2, max_size=40).filter(lambda x: 0 < sum(x) < len(x)))
    logits = draw(st.lists(st.integers(-8, 8), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(logits) / 2


def middles(logits):
    """All cuts, highest first: above all, between neighbours, below all."""
    distinct = np.unique(logits)[::-1]
    return [distinct[0] + 1, *((distinct[:-1] + distinct[1:]) / 2), distinct[-1] - 1]


def macro_f1(labels, called):
    return f1_score(labels, called, average="macro")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-6, 6) | finite), min_size=2, max_size=30), finite)
def test_no_threshold_is_better(rows, other):
    labels, logits = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=float)
    labels[:2] = 0, 1
    threshold = youden(labels, logits)
    best = j(labels, logits, threshold)
    for candidate in [other, *logits, np.inf, -np.inf]:
        assert best >= j(labels, logits, candidate) - 1e-12
    assert np.isfinite(threshold) or logits.max() == np.finfo(float).max


@pytest.mark.parametrize(
    ("rule", "score"),
    [("best_f1", macro_f1), ("best_balanced_accuracy", balanced_accuracy_score), ("youden", balanced_accuracy_score)],
)
@settings(max_examples=100, deadline=None)
@given(sample=samples())
def test_the_highest_of_the_best_cuts_is_found(rule, score, sample):
    labels, logits = sample
    cuts = middles(logits)
    scores = np.array([score(labels, (logits >= cut).astype(int)) for cut in cuts])
    assert RULES[rule](labels, logits) == cuts[np.flatnonzero(scores > scores.max() - 1e-9)[0]]


@pytest.mark.parametrize(("rule", "most"), [("fpr_1", 0.01), ("fpr_5", 0.05)])
@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), reals=st.sampled_from([3, 19, 20, 21, 99, 100, 101, 400]))
def test_the_lowest_cut_that_accuses_few_enough_is_found(rule, most, seed, reals):
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [reals, 30])
    logits = np.round(rng.normal(labels), 1)
    fpr, tpr, _ = roc_curve(labels, logits, drop_intermediate=False)
    threshold = RULES[rule](labels, logits)
    assert threshold == [cut for cut in middles(logits) if np.mean(logits[labels == 0] >= cut) <= most][-1]
    assert np.mean(logits[labels == 1] >= threshold) == pytest.approx(tpr[fpr <= most].max())


def test_one_real_in_twenty_is_five_percent():
    labels, logits = np.repeat([0, 1], [20, 1]), np.array([*range(20), 18.5])
    assert RULES["fpr_5"](labels, logits) == 18.25
    assert RULES["fpr_1"](labels, logits) == 20.0


def test_half_is_probability_one_half():
    assert RULES["half"]([0, 1], [5.0, 9.0]) == 0.0


def test_every_rule_is_in_all_of():
    labels, logits = np.arange(60) % 2, np.random.default_rng(0).normal(size=60)
    assert thresholds.all_of(labels, logits) == {name: rule(labels, logits) for name, rule in RULES.items()}
    assert RULES[thresholds.TUNED] is youden


def test_it_lies_midway_between_the_classes():
    for rule in CHOSEN:
        assert RULES[rule]([0, 0, 1, 1], [-3.0, -1.0, 2.0, 5.0]) == 0.5


def test_of_equal_cuts_the_one_that_accuses_the_fewest_reals_wins():
    # cutting above -1 and above 1 both give J = 1/2
    assert youden([0, 1, 0, 1], [-2.0, 0.0, 1.0, 2.0]) == 1.5


def test_equal_cuts_are_equal_whatever_the_rounding():
    # J is 1/3 at both cuts, as 1 - 2/3 and as 1/3 - 0, which differ as floats
    assert 1 - 2 / 3 != 1 / 3
    assert youden([0, 1, 1, 0, 0, 1], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]) == 4.5


def test_equal_f1_is_equal_whatever_the_rounding():
    # F1 of fakes and reals: 1/2 + 1/3 below the third sample, 5/6 + 0 below all, which as floats is more
    assert 2 / 8 + 1 / 6 < 5 / 12
    assert RULES["best_f1"]([0, 1, 1, 0, 1, 1, 1], [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]) == 3.5


def test_where_fakes_are_many_a_wrong_way_detector_calls_everything_fake():
    # macro F1 is (6/7 + 0) / 2 = 0.43 then, and 0.2 when everything is real
    labels, logits = [0, 1, 1, 1], [5.0, 1.0, 2.0, 3.0]
    assert RULES["best_f1"](labels, logits) == 0.0
    assert youden(labels, logits) == 6.0


def test_a_useless_detector_accuses_nobody():
    for rule in ("youden", "best_balanced_accuracy", "fpr_1", "fpr_5"):
        assert RULES[rule]([0, 1, 1], [0.25, 0.25, 0.25]) == 1.25
        assert RULES[rule]([1, 0], [-1.0, 1.0]) == 2.0
        assert RULES[rule]([1, 0], [0.0, 1e300]) > 1e300


def test_everything_is_fake_below_a_huge_number_too():
    assert RULES["best_f1"]([1, 1, 1, 0], [-1e300, -1e300, -1e300, -1e299]) < -1e300


def test_neighbouring_floats_are_told_apart():
    lower, upper = 1.0, float(np.nextafter(1.0, 2.0))
    for rule in CHOSEN:
        assert RULES[rule]([0, 1], [lower, upper]) == upper


@pytest.mark.parametrize("rule", CHOSEN)
def test_order_of_the_samples_plays_no_part(rule):
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 2, 50), np.round(rng.normal(size=50), 1)
    order = rng.permutation(50)
    assert RULES[rule](labels, logits) == RULES[rule](labels[order], logits[order])


@pytest.mark.parametrize("rule", CHOSEN)
def test_both_classes_are_needed(rule):
    with pytest.raises(InputError, match="no real sample"):
        RULES[rule]([1, 1], [0.0, 1.0])
