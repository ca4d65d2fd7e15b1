"""Do maps depend on what was learned? Made maps and models, against scipy and sums by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from deepfake.config.params import Evaluation
from deepfake.project import paths
from deepfake.studies.explain import sanity
from deepfake.studies.explain.sanity import Check

EVALUATION = Evaluation(confidence=0.95, rope=0.02)
ROWS = 24


def case(name: str, train: str = "head", repeats: int = 2) -> Any:
    """Return what the checks look at of a run."""
    verdicts = pd.DataFrame({"row": range(ROWS), "group": [f"person{row % 6}" for row in range(ROWS)]})
    config = SimpleNamespace(experiment=name, model=f"model of {name}", train=train, repeats=repeats)
    return SimpleNamespace(name=name, title=f"Model {name}", config=config, verdicts=verdicts)


def noise(seed: int) -> dict[int, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {row: draw.random((4, 4)) for row in range(ROWS)}


def near(maps: dict[int, np.ndarray], seed: int = 9) -> dict[int, np.ndarray]:
    """Return maps that nearly are those given."""
    return {row: maps[row] + 0.2 * other for row, other in noise(seed).items()}


def check(name: str, kind: Any) -> Check:
    return Check(name, kind, None)  # pyright: ignore[reportArgumentType]


def test_a_correlation_is_that_of_scipy_over_cells_and_unknown_without_heat():
    first, second = (np.stack(list(noise(seed).values())) for seed in (0, 1))
    second = second.round(1)  # with ties
    expected = [
        scipy.stats.spearmanr(*pair)[0] for pair in zip(first.reshape(ROWS, -1), second.reshape(ROWS, -1), strict=True)
    ]
    np.testing.assert_allclose(sanity.correlation(first, second), expected)
    # no matter how hot
    np.testing.assert_allclose(sanity.correlation(3 * first, second**3), expected)
    second[4] = 0
    assert np.flatnonzero(np.isnan(sanity.correlation(first, second))).tolist() == [4]


def test_correlations_with_several_random_models_are_averaged_image_by_image():
    maps = {"run": noise(0)}
    random = [noise(1), noise(2)]
    random[1][3] = np.zeros((4, 4))  # of this image one is left
    found = sanity.correlations(maps, [(check("run", "head"), each) for each in random])
    values = found.set_index("row")["value"]
    by_hand = [[scipy.stats.spearmanr(maps["run"][row].ravel(), each[row].ravel())[0] for each in random]
               for row in (0, 1)]  # fmt: skip
    assert values[0] == pytest.approx(np.mean(by_hand[0])) and values[1] == pytest.approx(np.mean(by_hand[1]))
    assert values[3] == pytest.approx(scipy.stats.spearmanr(maps["run"][3].ravel(), random[0][3].ravel())[0])


def test_the_difference_is_paired_and_its_interval_that_of_a_t_test_over_groups():
    draw = np.random.default_rng(0)
    rows = pd.DataFrame({"row": range(ROWS), "group": [f"person{row % 6}" for row in range(ROWS)]})
    known = {kind: draw.random(ROWS) for kind in ("retrained", "head")}
    known["head"][5] = np.nan
    own = pd.concat([rows.assign(kind=kind, value=values) for kind, values in known.items()])
    found = sanity.difference(own, "head", 0.95)
    assert found is not None
    apart = known["retrained"] - known["head"]
    assert found.value == pytest.approx(np.nanmean(apart)) and found.n_samples == ROWS - 1
    assert sanity.difference(own, "all", 0.95) is None
    # groups of one size: the jackknife's is the t-test of their means
    whole = own.assign(value=own["value"].fillna(0.0))
    found = sanity.difference(whole, "head", 0.95)
    assert found is not None
    means = pd.Series(np.nan_to_num(known["retrained"]) - np.nan_to_num(known["head"])).groupby(rows["group"]).mean()
    expected: Any = scipy.stats.ttest_1samp(means, 0.0)
    assert found.p == pytest.approx(expected.pvalue)
    np.testing.assert_allclose((found.low, found.high), expected.confidence_interval(0.95))


@pytest.mark.parametrize(
    ("train", "learned", "verdict"),
    [
        # of a frozen trunk the head alone is learned: maps that a random head gives, too, show nothing of it
        ("head", {"head": 1, "all": 0}, "at_chance"),
        ("head", {"head": 0, "all": 1}, "better"),
        ("all", {"head": 1, "all": 0}, "better"),
        ("all", {"head": 0, "all": 1}, "at_chance"),
    ],
)
def test_maps_that_random_models_give_too_show_nothing_of_what_was_learned(
    tmp_path, monkeypatch, train, learned, verdict
):
    monkeypatch.chdir(tmp_path)
    maps = {"run": noise(0)}
    found = [(check("run", "retrained"), near(maps["run"]))]
    found += [(check("run", kind), near(maps["run"], 10) if same else noise(5)) for kind, same in learned.items()]
    (told,) = sanity.write(maps, found, {"run": case("run", train)}, EVALUATION)
    assert (told.id, told.verdict) == ("sanity.run", verdict)
    assert told.question == "Do the maps of Model run depend on what was learned?"
    rows = pd.read_csv(paths().table("explain_sanity"))
    assert rows["compared"].tolist() == ["retrained", "head", "all"]
    values = rows.set_index("compared")["correlation"]
    assert values["retrained"] > 0.9 and min(values["head"], values["all"]) < 0.3


def test_a_run_that_was_trained_once_has_no_answer_and_one_without_heat_is_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    maps = {"once": noise(0), "refused": {}}
    found = [(check(name, "head"), noise(3)) for name in maps]
    cases = {name: case(name, repeats=1) for name in maps}
    (told,) = sanity.write(maps, found, cases, EVALUATION)
    assert (told.id, told.verdict) == ("sanity.once", "not_run") and "trained once" in told.note
    assert pd.read_csv(paths().table("explain_sanity"))["experiment"].tolist() == ["once"]


def test_each_architecture_is_checked_by_the_run_that_was_trained_most_often_and_so_is_every_finalist():
    cases = {name: case(name, repeats=repeats) for name, repeats in (("a", 1), ("b", 3), ("c", 3), ("d", 1))}
    for name, model in (("a", "cnn"), ("b", "cnn"), ("c", "cnn"), ("d", "vit")):
        cases[name].config.model = model
    again = case("again")
    again.config.experiment = "a"  # another view of its images
    assert sanity.subjects(cases | {"again": again}, ["c", "d"]) == ["b", "d", "c"]
