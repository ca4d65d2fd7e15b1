import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

import growing
from deepfake.errors import InputError
from deepfake.evaluation import resampling
from deepfake.evaluation.evalset import EvalSet, paired
from deepfake.evaluation.influence import contrast, difference

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page():
    """Return the script that prints the tables of docs/statistics.md."""
    spec = importlib.util.spec_from_file_location("simulate_statistics", ROOT / "docs" / "simulate_statistics.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def clustered(groups=12, size=8, folds=3, seed=0, effect=1.0, spread=0.7, digits=None):
    """Half real, half fake in each group; each group shifts its fakes by its own amount."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), size)
    labels = np.arange(len(group)) % 2
    scores = rng.normal(size=len(group)) + labels * rng.normal(effect, spread, groups)[group]
    return labels, scores if digits is None else np.round(scores, digits), group, group % folds


def brute_auc(labels, scores, groups, pairs):
    """Look at every pair."""
    wins = count = 0.0
    for i in np.flatnonzero(labels == 1):
        for j in np.flatnonzero(labels == 0):
            if pairs == "all" or groups[i] != groups[j]:
                wins += (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2
                count += 1
    return wins / count


def obuchowski(labels, scores, groups, signs=(1,)):
    """Variance of a signed sum of clustered AUCs: Obuchowski 1997, "Nonparametric analysis of clustered ROC curve
    data", Biometrics 53, section 2; with one sample a group it is that of DeLong et al. 1988."""
    fake, real = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    psi = np.zeros((len(fake), len(real)))
    for sign, s in zip(signs, scores, strict=True):
        psi += sign * ((s[fake, None] > s[real]) + 0.5 * (s[fake, None] == s[real]))
    theta, m, n = psi.mean(), len(fake), len(real)
    names = np.unique(groups)
    v10 = np.array([(psi.mean(1)[groups[fake] == name] - theta).sum() for name in names])
    v01 = np.array([(psi.mean(0)[groups[real] == name] - theta).sum() for name in names])
    with_fakes, with_reals = len(np.unique(groups[fake])), len(np.unique(groups[real]))
    s10 = with_fakes / ((with_fakes - 1) * m) * (v10**2).sum()
    s01 = with_reals / ((with_reals - 1) * n) * (v01**2).sum()
    s11 = len(names) / (len(names) - 1) * (v10 * v01).sum()
    return s10 / m + s01 / n + 2 * s11 / (m * n)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["all", "between"]))
def test_auc_is_that_of_all_pairs_looked_at(seed, pairs):
    labels, scores, groups, folds = clustered(groups=9, size=4, seed=seed, digits=0)
    found = resampling.auc(EvalSet.of_arrays(labels, scores, groups, folds), pairs)
    inside = [folds == fold for fold in range(3)]
    expected = np.mean([brute_auc(labels[i], scores[i], groups[i], pairs) for i in inside])
    assert found.values == pytest.approx([expected])
    if pairs == "all":
        assert found.values[0] == pytest.approx(np.mean([roc_auc_score(labels[i], scores[i]) for i in inside]))


@pytest.mark.parametrize("pairs", ["all", "between"])
@pytest.mark.parametrize("digits", [None, 0])
def test_variance_is_that_of_leaving_each_group_out(pairs, digits):
    labels, scores, groups, folds = clustered(groups=13, size=6, digits=digits)
    variance = 0.0
    for fold in range(3):
        names = np.unique(groups[folds == fold])
        kept = [(folds == fold) & (groups != name) for name in names]
        loo = np.array([brute_auc(labels[rows], scores[rows], groups[rows], pairs) for rows in kept])
        variance += (len(names) - 1) / len(names) * ((loo - loo.mean()) ** 2).sum() / 9
    found = resampling.trained_models(resampling.auc(EvalSet.of_arrays(labels, scores, groups, folds), pairs))
    assert found.se == pytest.approx(np.sqrt(variance))
    assert found.df == 13 - 3


@pytest.mark.parametrize("size", [1, 6])
def test_standard_error_agrees_with_obuchowski_and_delong(size):
    labels, scores, groups, _ = clustered(groups=400 if size == 1 else 200, size=size, folds=1)
    if size == 1:
        labels = np.arange(400) % 2
        scores = np.random.default_rng(3).normal(size=400) + labels
    other = scores + np.random.default_rng(1).normal(size=len(scores))
    a, b = (resampling.auc(EvalSet.of_arrays(labels, s, groups), "all") for s in (scores, other))
    assert resampling.trained_models(a).se ** 2 == pytest.approx(obuchowski(labels, [scores], groups), rel=0.02)
    expected = obuchowski(labels, [scores, other], groups, (-1, 1))
    assert resampling.trained_models(difference(a, b)).se ** 2 == pytest.approx(expected, rel=0.02)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_only_the_order_of_scores_counts_and_not_that_of_rows(seed):
    labels, scores, groups, folds = clustered(seed=seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    plain = resampling.trained_models(resampling.auc(EvalSet.of_arrays(labels, scores, groups, folds)))
    moved = EvalSet.of_arrays(labels[order], np.exp(scores[order]) - 7, groups[order], folds[order])
    found = resampling.trained_models(resampling.auc(moved))
    assert (found.value, found.se, found.low) == pytest.approx((plain.value, plain.se, plain.low))
    assert 0 <= found.low <= found.value <= found.high <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_swapping_the_two_sides_turns_the_sign(seed):
    labels, scores, groups, folds = clustered(seed=seed)
    other = scores + np.random.default_rng(seed).normal(size=len(scores))
    a, b = (resampling.auc(EvalSet.of_arrays(labels, s, groups, folds)) for s in (scores, other))
    for question in (resampling.trained_models, resampling.recipe):
        there, back = question(difference(a, b)), question(difference(b, a))
        assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
        assert there.p == pytest.approx(back.p)


def repeated(seed=0, repeats=3):
    parts = [clustered(groups=12, seed=seed) for _ in range(repeats)]
    rng = np.random.default_rng(seed)
    labels, _, groups, _ = (np.concatenate(column) for column in zip(*parts, strict=True))
    number = np.repeat(np.arange(repeats), len(parts[0][0]))
    folds = np.concatenate([r * 3 + rng.permutation(np.arange(12) % 3)[parts[r][2]] for r in range(repeats)])
    scores = np.concatenate([part[1] for part in parts]) + 0.5 * rng.normal(size=len(labels))
    return EvalSet.of_arrays(labels, scores, groups, folds, repeats=number)


def test_recipe_adds_the_spread_of_repeats():
    evalset = repeated()
    figure = resampling.auc(evalset)
    found = resampling.recipe(figure)
    # contributions by hand: influence within the fold plus the fold's share of the mean
    u = np.zeros((3, 12))
    for repeat in range(3):
        for fold in range(repeat * 3, repeat * 3 + 3):
            rows = evalset.folds == fold
            labels, scores, groups = evalset.labels[rows], evalset.scores[rows], evalset.groups[rows]
            names = np.unique(groups)
            kept = [groups != name for name in names]
            loo = np.array([brute_auc(labels[k], scores[k], groups[k], "between") for k in kept])
            value = brute_auc(labels, scores, groups, "between")
            place = np.searchsorted(figure.groups, names)
            u[repeat, place] = ((len(names) - 1) * (loo.mean() - loo) + value) / len(names) / 3
    values, mean = u.sum(axis=1), u.mean(axis=0)
    v_groups, v_repeats = 12 / 11 * ((mean - mean.mean()) ** 2).sum(), values.var(ddof=1) / 3
    assert found.value == pytest.approx(values.mean())
    assert found.se == pytest.approx(np.sqrt(v_groups + v_repeats))
    assert found.df == pytest.approx((v_groups + v_repeats) ** 2 / (v_groups**2 / (12 - 3) + v_repeats**2 / 2))
    assert (found.repeats, found.n_groups, found.n_samples) == (3, 12, 96)


def test_models_that_share_one_test_set_cost_one_degree_of_freedom():
    labels, scores, groups, _ = clustered(groups=10)
    rng = np.random.default_rng(0)
    folds = np.repeat([0, 1, 2], len(labels))
    many = np.concatenate([scores + 0.1 * rng.normal(size=len(scores)) for _ in range(3)])
    found = resampling.trained_models(
        resampling.auc(EvalSet.of_arrays(np.tile(labels, 3), many, np.tile(groups, 3), folds))
    )
    alone = resampling.trained_models(resampling.auc(EvalSet.of_arrays(labels, scores, groups)))
    assert (found.df, found.n_samples) == (9, 80)
    assert found.se == pytest.approx(alone.se, rel=0.1)  # not smaller by the square root of 3


def test_disjoint_sides_have_welchs_degrees_of_freedom():
    sides = [clustered(groups=8, folds=1, seed=1), clustered(groups=30, folds=1, seed=2)]
    a, b = (
        resampling.auc(EvalSet.of_arrays(labels, scores, np.char.add(name, groups.astype(str))))
        for (labels, scores, groups, _), name in zip(sides, "ab", strict=True)
    )
    found = resampling.trained_models(difference(a, b))
    va, vb = (resampling.trained_models(x).se ** 2 for x in (a, b))
    assert found.se**2 == pytest.approx(va + vb)
    assert found.df == pytest.approx((va + vb) ** 2 / (va**2 / 7 + vb**2 / 29))


def test_pooled_counts_are_those_of_scikit_learn_and_of_leaving_groups_out():
    labels, scores, groups, folds = clustered()
    called = scores > 0.4
    evalset = EvalSet.of_arrays(labels, scores, groups, folds)
    found = resampling.trained_models(resampling.counted(evalset, called, resampling.COUNTED["f1_fake"], bounded=True))
    loo = np.array([f1_score(labels[groups != g], called[groups != g]) for g in range(12)])
    assert found.value == pytest.approx(f1_score(labels, called))
    assert found.se == pytest.approx(np.sqrt(11 / 12 * ((loo - loo.mean()) ** 2).sum()))


def test_any_metric_computed_anew_agrees_with_the_closed_form():
    evalset = EvalSet.of_arrays(*clustered(digits=1))
    closed = resampling.trained_models(resampling.auc(evalset, "all"))
    slow, negative = resampling.recomputed(
        evalset, lambda y, s: [roc_auc_score(y, s), -roc_auc_score(y, s)], bounded=False
    )
    assert resampling.trained_models(slow).se == pytest.approx(closed.se)
    assert negative.values == pytest.approx(-slow.values)


def test_source_auc_takes_the_folds_that_hold_the_source():
    labels, scores, groups, folds = clustered(folds=2)
    sources = np.where(labels == 0, "camera", np.where((folds == 1) & (groups > 6), "late", "common"))
    found = resampling.source_aucs(EvalSet.of_arrays(labels, scores, groups, folds, sources=sources), "all")
    assert list(found) == ["common", "late"]
    rows = (folds == 1) & ((labels == 0) | (sources == "late"))
    assert found["late"].values == pytest.approx([roc_auc_score(labels[rows], scores[rows])])


def test_source_variance_is_about_zero_where_sources_are_alike():
    rng = np.random.default_rng(0)
    seen, freed = [], []
    for seed in range(60):
        labels, scores, groups, folds = clustered(groups=20, size=16, seed=seed)
        sources = rng.choice(["a", "b", "c"], len(labels))
        aucs = resampling.source_aucs(EvalSet.of_arrays(labels, scores, groups, folds, sources=sources))
        seen.append(np.var([figure.values[0] for figure in aucs.values()]))
        contributions = np.array([figure.about[0] for figure in aucs.values()])
        freed.append(seen[-1] - contributions.var(axis=0).sum())
        assert resampling.source_variance(aucs).values == pytest.approx([freed[-1]])
    assert abs(np.mean(freed)) < 0.25 * np.mean(seen)


def test_the_variance_of_sources_has_the_error_that_leaving_groups_out_shows():
    rng = np.random.default_rng(3)
    labels, scores, groups, _ = clustered(groups=40, size=30, effect=0.8)
    sources = rng.choice(["easy", "hard"], len(labels))
    scores = scores + 1.0 * ((labels == 1) & (sources == "easy"))

    def spread(rows):
        aucs = resampling.source_aucs(
            EvalSet.of_arrays(labels[rows], scores[rows], groups[rows], sources=sources[rows])
        )
        return aucs, np.var([figure.values.mean() for figure in aucs.values()])

    names = np.unique(groups)
    without = np.array([spread(groups != name)[1] for name in names])
    expected = np.sqrt((len(names) - 1) / len(names) * ((without - without.mean()) ** 2).sum())
    found = resampling.recipe(resampling.source_variance(spread(groups >= 0)[0]))
    assert found.se == pytest.approx(expected, rel=0.05) and found.value > 3 * found.se


def test_repeats_are_averaged_before_the_variance_of_sources_and_one_source_has_none():
    labels, scores, groups, _ = clustered(groups=12, size=10)
    sources = np.where(np.arange(len(labels)) % 3, "a", "b")
    one = resampling.source_aucs(EvalSet.of_arrays(labels, scores, groups, sources=np.full(len(labels), "a")))
    assert resampling.source_variance(one).values == pytest.approx([0])
    again = np.concatenate([scores, scores + np.random.default_rng(1).normal(size=len(scores))])
    labels, groups, sources = (np.tile(column, 2) for column in (labels, groups, sources))
    repeats = np.repeat([0, 1], len(scores))
    twice = EvalSet.of_arrays(labels, again, groups, repeats, repeats=repeats, sources=sources)
    first, second = aucs = list(resampling.source_aucs(twice).values())
    noise = resampling.recipe(contrast([0.5, -0.5], [first, second])).se ** 2
    found = resampling.source_variance(dict(zip("ab", aucs, strict=True))).values.mean()
    assert found == pytest.approx(np.var([figure.values.mean() for figure in aucs]) - noise)


def test_sign_flips_enumerated_and_drawn_agree(page, monkeypatch):
    labels, scores, groups, folds = clustered(groups=14, effect=0.3)
    figure = resampling.auc(EvalSet.of_arrays(labels, scores, groups, folds))
    exact = page.sign_flips(figure, 0.5)
    monkeypatch.setattr(page, "ENUMERATED_GROUPS", 3)
    drawn = page.sign_flips(figure, 0.5)
    assert 2**-13 <= exact <= 1
    assert drawn == pytest.approx(exact, abs=0.02)


def estimate(labels, scores, groups, folds=None):
    return resampling.trained_models(resampling.auc(EvalSet.of_arrays(labels, scores, groups, folds)))


def test_degenerate_sets_say_why_and_never_have_p_of_zero():
    labels, scores, groups, folds = clustered()
    constant = estimate(labels, np.zeros(len(labels)), groups, folds)
    assert (constant.value, constant.p) == (0.5, 1.0)
    assert "no spread between groups" in constant.reason
    two = estimate(labels, scores, groups % 2)
    assert np.isnan(two.p) and "2 groups in all" in two.reason
    lonely = estimate(labels, scores, np.where(folds == 0, 0, groups), folds)
    assert np.isnan(lonely.p) and "one group" in lonely.reason
    one_real = estimate(labels, scores, np.where(labels == 0, 99, groups))
    assert np.isnan(one_real.p) and "without group 99 a class is missing" in one_real.reason
    each = estimate(labels, scores, groups, groups)
    assert np.isnan(each.p) and "folds" in each.reason


def test_perfect_separation_is_worth_half_a_sample():
    labels, _, groups, folds = clustered()
    found = estimate(labels, labels.astype(float), groups, folds)
    assert found.value == found.high == 1.0
    assert 0.85 < found.low < 1
    assert 0 < found.p < 0.01
    # evidence grows with the leak: a worse detector has no smaller p
    flawed = labels.astype(float)
    flawed[[0, 1]] = flawed[[1, 0]]
    assert estimate(labels, flawed, groups, folds).p >= found.p


def test_folds_of_two_groups_use_all_pairs_for_the_spread():
    labels, scores, groups, folds = clustered(groups=6)
    found = estimate(labels, scores, groups, folds)
    assert found.se > 0 and found.df == 3
    usual = resampling.auc(EvalSet.of_arrays(labels, scores, groups, folds), "all")
    assert found.se == pytest.approx(resampling.trained_models(usual).se)


def test_a_mean_of_shares_stays_a_share():
    labels, scores, groups, folds = clustered()
    a = resampling.auc(EvalSet.of_arrays(labels, scores, groups, folds))
    mean = contrast([0.5, 0.5], [a, a])
    assert mean.bounded and not difference(a, a).bounded
    assert resampling.trained_models(mean).se == pytest.approx(resampling.trained_models(a).se)


def frame(**changes):
    labels, scores, groups, folds = clustered()
    columns = {"label": labels, "logit": scores, "group": groups.astype(str), "fold": folds}
    table = pd.DataFrame(columns | {"sample_id": [f"s{i:03}" for i in range(len(labels))]})
    return table.assign(**changes)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (frame().drop(columns="group"), "without group"),
        (frame(logit=np.nan), "logit nan in row 0"),
        (frame(group=None), "no group in row 0"),
        (frame(fold=frame()["label"]), "fold 0 has no fake sample"),
        (frame(repeat=np.arange(96) // 4 % 2), "fold 0 stands in several repeats"),
        (frame(fold="first"), "whole numbers"),
    ],
)
def test_bad_predictions_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        EvalSet.of(table)


def test_paired_sets_are_in_one_order_and_of_the_same_samples():
    a, b = paired(frame(), frame(logit=np.arange(96.0)).sample(frac=1, random_state=0))
    assert np.array_equal(a.groups, b.groups)
    assert np.array_equal(b.scores, np.arange(96.0))
    with pytest.raises(InputError, match="differ in sample_id"):
        paired(frame(), frame().iloc[:-1])
    with pytest.raises(InputError, match="differ in label"):
        paired(frame(), frame(label=1 - frame()["label"]))


@pytest.mark.parametrize("cost", [growing.calls, growing.memory])
def test_twice_as_many_rows_and_groups_cost_twice_as_much(cost):
    def of(n: int) -> int:
        rng = np.random.default_rng(0)
        labels, groups = rng.integers(0, 2, n), rng.integers(0, n // 50, n)
        evalset = EvalSet.of_arrays(labels, rng.normal(size=n) + labels, groups, sources=rng.integers(0, 6, n))

        def work() -> None:
            resampling.trained_models(resampling.auc(evalset))
            resampling.source_aucs(evalset)

        work()  # what is imported late
        return cost(work)

    assert of(100_000) < 2.4 * of(50_000)


@pytest.mark.slow
def test_errors_and_power_in_a_simulated_world(page):
    world = page.World(groups=18, folds=4, reals=20, fakes=58)
    null = page.simulate(world, (0.25, 0.25), 3, 150, seed=1)
    assert null["recipe 3"] <= 0.07
    assert null["better"] + null["worse"] <= 0.07
    found = page.simulate(world, (0.25, 0.45), 3, 100, seed=2)
    assert found["true"] == pytest.approx(0.09, abs=0.015)
    assert found["recipe 3"] >= 0.75
