import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, silhouette_score
from sklearn.neighbors import KNeighborsClassifier

from deepfake.evaluation import neighbours, resampling


def made(samples: int = 200, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features with something of class and group in them, class numbers of unequal size, and groups."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(classes, samples, p=[0.6, *[0.4 / (classes - 1)] * (classes - 1)])
    groups = rng.integers(0, 8, samples)
    centres, people = rng.normal(size=(classes, 6)), 3 * rng.normal(size=(8, 6))
    return centres[codes] + people[groups] + rng.normal(size=(samples, 6)), codes, groups.astype(str)


def test_neighbours_are_sklearns_among_the_other_groups():
    features, codes, groups = made()
    found = neighbours.nearest(features, groups, 7)
    hits = neighbours.hits(codes, found)
    for name in np.unique(groups):
        own = groups == name
        model = KNeighborsClassifier(7).fit(features[~own], codes[~own])
        votes = model.predict_proba(features[own]) / np.bincount(codes)
        best = np.isclose(votes, votes.max(axis=1, keepdims=True))
        expected = [best[row, code] / best[row].sum() for row, code in enumerate(codes[own])]
        np.testing.assert_allclose(hits[own], expected)


def test_no_neighbour_is_of_the_samples_own_group():
    """People are far apart: without the rule every neighbour would be of the same one."""
    features, _, groups = made()
    plain = KNeighborsClassifier(6).fit(features, groups).kneighbors(features, return_distance=False)[:, 1:]
    assert (groups[plain] == groups[:, None]).mean() > 0.5
    np.testing.assert_allclose(neighbours.own_group(features, groups, 5), (groups[plain] == groups[:, None]).mean(1))
    found = neighbours.nearest(features, groups, 10)
    assert not (groups[found] == groups[:, None]).any()


def test_features_that_name_the_group_alone_say_nothing_of_its_class():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(40), 10)
    codes = np.repeat(rng.integers(0, 2, 40), 10)  # each person is of one class
    features = rng.normal(size=(40, 5))[groups] + 1e-3 * rng.normal(size=(400, 5))
    own = KNeighborsClassifier(5).fit(features, codes).score(features, codes)
    hits = neighbours.hits(codes, neighbours.nearest(features, groups, 10))
    figure = neighbours.balanced_accuracy(hits, codes, groups)
    assert own > 0.99 and abs(figure.values.mean() - 0.5) < 0.2


def test_there_are_no_more_neighbours_than_samples_of_other_groups():
    features, groups = np.arange(6.0)[:, None], ["a", "a", "a", "a", "b", "c"]
    assert neighbours.nearest(features, groups, 10).shape == (6, 2)
    assert neighbours.nearest(features, ["a"] * 6, 10).shape == (6, 0)


def test_classes_of_unequal_size_have_equal_chances():
    """Features that say nothing: a plain vote would call everything the commonest class, and be at chance as well."""
    rng = np.random.default_rng(0)
    codes = (rng.random(3000) < 0.75).astype(int)
    groups = rng.integers(0, 30, 3000).astype(str)
    hits = neighbours.hits(codes, neighbours.nearest(rng.normal(size=(3000, 4)), groups, 10))
    assert hits[codes == 0].mean() == pytest.approx(0.5, abs=0.05)
    assert neighbours.balanced_accuracy(hits, codes, groups).values[0] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("adjusted", [False, True])
def test_balanced_accuracy_is_sklearns_and_its_spread_the_jackknifes(adjusted):
    _, codes, groups = made()
    predicted = np.where(np.random.default_rng(1).random(200) < 0.7, codes, (codes + 1) % 3)
    figure = neighbours.balanced_accuracy((predicted == codes) * 1.0, codes, groups, adjusted=adjusted)
    found = resampling.trained_models(figure, null=0.0 if adjusted else 1 / 3)
    assert found.value == pytest.approx(balanced_accuracy_score(codes, predicted, adjusted=adjusted))
    without = [
        balanced_accuracy_score(codes[groups != name], predicted[groups != name], adjusted=adjusted)
        for name in np.unique(groups)
    ]
    expected = np.sqrt((8 - 1) * np.var(np.array(without)))
    assert found.se == pytest.approx(expected) and found.df == 7


def test_a_class_of_one_group_alone_has_no_interval():
    _, codes, groups = made()
    groups[codes == 1] = "only"
    figure = resampling.trained_models(neighbours.balanced_accuracy(np.ones(200), codes, groups))
    assert "without group only" in figure.reason and np.isnan(figure.low)


def test_the_mean_silhouette_is_sklearns():
    features, codes, _ = made()
    assert neighbours.silhouettes(features, codes).mean() == pytest.approx(silhouette_score(features, codes))
    assert np.isnan(neighbours.silhouettes(features, np.zeros(200, int))).all()
