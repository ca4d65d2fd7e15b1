import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.errors import InputError
from deepfake.evaluation import verdicts
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet

ROPE = 0.02


def figure(value, se, df=10.0, **changes):
    return Estimate.of(value, se, df, 500, 14, 3, **changes)


def test_posterior_is_a_student_t():
    (found,) = verdicts.compare([figure(0.05, 0.02)], ROPE)
    truth = scipy.stats.t(10, loc=0.05, scale=0.02)
    assert found.probabilities == pytest.approx(
        {
            "better": truth.sf(ROPE),
            "worse": truth.cdf(-ROPE),
            "equivalent": truth.cdf(ROPE) - truth.cdf(-ROPE),
        }
    )
    assert (found.word, found.confidence) == ("undecided", pytest.approx(0.9))


@pytest.mark.parametrize(
    ("value", "se", "word"),
    [(0.06, 0.02, "better"), (-0.06, 0.02, "worse"), (0.001, 0.005, "equivalent"), (0.05, 0.02, "undecided")],
)
def test_verdict_of_one_difference(value, se, word):
    (found,) = verdicts.compare([figure(value, se)], ROPE)
    assert found.word == word


differences = st.builds(
    figure, st.floats(-0.3, 0.3), st.floats(0.001, 0.2), st.floats(1, 200).map(lambda df: float(round(df, 2)))
)


@settings(max_examples=200, deadline=None)
@given(st.lists(differences, min_size=1, max_size=8))
def test_verdict_and_interval_never_disagree(family):
    regions = {
        "better": lambda low, high: low > ROPE,
        "worse": lambda low, high: high < -ROPE,
        "equivalent": lambda low, high: low > -ROPE and high < ROPE,
    }
    for found in verdicts.compare(family, ROPE):
        held = {word for word, region in regions.items() if region(found.low, found.high)}
        if found.word == "undecided":
            assert not held & {"better", "worse"}
        else:
            assert found.word in held
        assert (found.word != "undecided") == (found.p < 0.05)
        assert found.p > 0


def test_holm_steps_from_the_surest():
    family = [figure(0.065, 0.02), figure(0.2, 0.02), figure(0.0, 0.1)]
    alone = [verdicts.compare([difference], ROPE)[0].word for difference in family]
    together = verdicts.compare(family, ROPE)
    assert alone == ["better", "better", "undecided"]
    doubts = [1 - scipy.stats.t.cdf((d.value - ROPE) / d.se, 10) for d in family[:2]]
    assert together[1].p == pytest.approx(3 * doubts[1])
    assert together[0].p == pytest.approx(2 * doubts[0])
    # tested at 5% / 3, / 2 and / 1
    assert [found.confidence for found in together] == pytest.approx([1 - 0.1 / 2, 1 - 0.1 / 3, 1 - 0.1])


def test_equal_figures_get_equal_answers():
    family = [figure(0.06, 0.02), figure(0.03, 0.02), figure(0.06, 0.02)]
    first, _, same = verdicts.compare(family, ROPE)
    assert (first.word, first.low, first.high, first.p) == (same.word, same.low, same.high, same.p)


@pytest.mark.parametrize(
    ("value", "se", "word"),
    [(0.61, 0.04, "above_chance"), (0.51, 0.003, "above_chance"), (0.5, 0.005, "at_chance"), (0.55, 0.04, "undecided")],
)
def test_verdict_against_chance_is_where_the_interval_lies(value, se, word):
    share = figure(value, se, bounded=True)
    (found,) = verdicts.against_chance([share], ROPE)
    assert found.word == word
    assert (found.low, found.high, found.confidence) == pytest.approx((share.low, share.high, 0.95))
    assert (word == "above_chance") == (found.low > 0.5)


def test_nothing_is_concluded_without_a_spread():
    flat = figure(0.2, 0.0)
    found, other = verdicts.compare([flat, figure(0.2, 0.02)], ROPE)
    assert (found.word, found.p, other.word) == ("undecided", 1.0, "better")
    assert found.reason == flat.reason != ""
    assert flat.p == 2.0**-13  # all 14 groups on one side
    (found,) = verdicts.against_chance([figure(0.7, np.nan, bounded=True, reason="2 groups")], ROPE)
    assert found.word == "undecided" and np.isnan(found.low)


def test_share_is_judged_on_the_logit_scale():
    found = figure(0.95, 0.04, bounded=True)
    reach = scipy.stats.t.ppf(0.975, 10) * 0.04 / (0.95 * 0.05)
    centre = np.log(0.95 / 0.05)
    assert (found.low, found.high) == pytest.approx(tuple(1 / (1 + np.exp(-(centre + np.array([-reach, reach]))))))
    assert found.p == pytest.approx(2 * scipy.stats.t.sf(centre / (0.04 / (0.95 * 0.05)), 10))
    assert figure(1.0, 0.0, bounded=True, grain=0.01).low < 1 > figure(1.0, 0.0, bounded=True, grain=0.01).p > 0
    assert figure(0.3, 1e-9, 5000.0).p > 0


def test_absolute_value_of_a_signed_figure():
    assert figure(-0.1, 0.2).absolute()[:2] == (0.1, 0.0)
    apart = figure(-0.5, 0.01)
    assert apart.absolute() == pytest.approx((0.5, -apart.high, -apart.low))


def test_holm_is_that_of_the_textbook():
    # Holm 1979 by hand: 3 x .01, 2 x .02, 1 x .04, made monotone
    assert verdicts.holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert verdicts.holm([np.nan, 0.01]) == pytest.approx([1.0, 0.02])
    assert len(verdicts.holm([])) == 0
    with pytest.raises(InputError, match="between 0 and 1"):
        verdicts.holm([1.2])


def test_empty_family():
    assert verdicts.compare([], ROPE) == []


@pytest.mark.parametrize("df", [6.0, 14.0, 100.0])
def test_detectable_difference_is_seen_with_the_power(df):
    se = 0.03
    least = verdicts.detectable(figure(0.0, se, df), ROPE)
    # exact power by the noncentral t
    power = scipy.stats.nct.sf(scipy.stats.t.ppf(0.95, df), df, (least - ROPE) / se)
    assert power == pytest.approx(0.8, abs=0.03)
    assert verdicts.detectable(figure(0.0, se, df), ROPE, family=7) > least


def test_cautions():
    labels, groups = np.tile([0, 1], 24), np.repeat(np.arange(12), 4)
    evalset = EvalSet.of_arrays(labels, labels.astype(float), groups, groups % 3)
    assert verdicts.cautions(evalset) == ["3 folds have fewer than 5 groups (fewest 4); use fewer folds"]
    assert verdicts.cautions(EvalSet.of_arrays(labels, labels.astype(float), groups, groups % 2)) == []
