import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from conftest import encoded
from deepfake.config.analysis import Severity
from deepfake.config.params import Evaluation
from deepfake.errors import InputError
from deepfake.evaluation import probes, resampling, shortcut_attribution
from deepfake.evaluation.evalset import EvalSet
from deepfake.modalities.image import families
from deepfake.modalities.image import features as files
from deepfake.synthetic import photographs

EVALUATION = Evaluation(confidence=0.95, rope=0.02)
SEVERITY = Severity(weak=0.6, moderate=0.7, severe=0.9)


def manifest(folds: int = 4, groups: int = 6, each: int = 12, fakes: tuple[str, ...] = ("a", "b")) -> pd.DataFrame:
    """Every group has reals and as many fakes of each source."""
    rows = [
        {"fold": fold, "group": f"{fold}-{group}", "source": source, "label": int(source != "real")}
        for fold, group in itertools.product(range(folds), range(groups))
        for source in ("real", *fakes)
        for _ in range(each)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def samples() -> EvalSet:
    return probes.identities(manifest())


def noise(samples: EvalSet, *names: str, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.normal(size=len(samples.labels)) for name in names})


def mean_auc(samples: EvalSet, scores, rows=slice(None)) -> float:
    """The mean over folds of the share of pairs of different groups that are ranked right."""
    labels, folds, groups = samples.labels[rows], samples.folds[rows], samples.groups[rows]
    scores, aucs = np.asarray(scores)[rows], []
    for fold in np.unique(folds):
        real, fake = (np.flatnonzero((folds == fold) & (labels == label)) for label in (0, 1))
        higher = np.sign(scores[fake][:, None] - scores[real]) / 2 + 0.5
        aucs.append(higher[groups[fake][:, None] != groups[real]].mean())
    return float(np.mean(aucs))


def test_logistic_regression_is_cross_fitted_as_sklearn_does_it(samples):
    features = noise(samples, "x", "y")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    expected = cross_val_predict(
        model, features, samples.labels, cv=PredefinedSplit(samples.folds), method="decision_function"
    )
    np.testing.assert_allclose(probes.out_of_fold("logistic", features, samples), expected)


def test_the_tree_of_one_feature_ranks_as_sklearns_leaves_do(samples):
    features = noise(samples, "x")
    features["x"] += 0.8 * samples.labels
    scores = probes.out_of_fold("tree", features, samples)
    for fold in range(4):
        held_out, training = samples.folds == fold, samples.folds != fold
        tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=6, random_state=0)
        tree.fit(features[training].to_numpy(), samples.labels[training])
        leaves, trained = (tree.apply(features[part].to_numpy()) for part in (held_out, training))
        for leaf in np.unique(leaves):
            inside = samples.labels[training][trained == leaf]
            expected = scipy.special.logit((inside.sum() + 1) / (len(inside) + 2))
            np.testing.assert_allclose(scores[held_out][leaves == leaf], expected)


def test_a_feature_that_leaks_on_both_sides_is_found_by_itself(samples):
    rng = np.random.default_rng(0)
    width = np.where(samples.labels == 1, 256, rng.choice([200, 230, 280, 300], len(samples.labels)))
    rows, _ = probes.probe("files", pd.DataFrame({"width": width}), {"geometry": ["width"]}, samples)
    judged = probes.judge(rows, SEVERITY, EVALUATION)
    assert judged[["auc", "severity", "verdict"]].iloc[0].tolist() == [1, "severe", "shortcut"]


def planted(samples: EvalSet) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Leaks of several kinds among features that tell nothing."""
    labels, rng = samples.labels, np.random.default_rng(5)
    features = noise(samples, *(f"noise{number}" for number in range(20)), "aspect", seed=6)
    features["quality"] = np.where(labels == 1, 75, 90)
    features["exif"] = ((labels == 0) & (rng.random(len(labels)) < 0.5)).astype(int)
    features["format"] = np.where((labels == 1) & (rng.random(len(labels)) < 0.7), "PNG", "JPEG")
    features["blur"] = rng.normal(size=len(labels)) + 1.2 * labels
    names = [name for name in features if name.startswith("noise")]
    return features, {
        "geometry": ["aspect"],
        "compression": ["quality", "format"],
        "metadata": ["exif"],
        "sharpness": ["blur", *names],
    }


def test_planted_leaks_are_found_one_by_one_and_nothing_else_is(samples):
    features, families = planted(samples)
    rows, _ = probes.probe("files", features, families, samples)
    judged = probes.judge(rows, SEVERITY, EVALUATION)
    alone = judged[judged["level"] == "feature"].set_index("name")
    severities = alone["severity"][alone["severity"] != "none"].to_dict()
    assert severities == {"quality": "severe", "format": "moderate", "exif": "moderate", "blur": "moderate"}
    # a category or a flag is a threshold: the AUC by hand is that of the rule itself
    for name, rule in (("exif", features["exif"] == 0), ("format", features["format"] == "PNG")):
        assert alone.loc[name, "auc"] == pytest.approx(mean_auc(samples, rule.to_numpy(int)))
    assert alone["nature"].to_dict() == {
        name: "pixels" if family == "sharpness" else "container" for family, names in families.items() for name in names
    }
    together = judged[judged["level"] == "family"].set_index("name")["severity"].to_dict()
    assert together == {"compression": "severe", "sharpness": "moderate"}
    assert judged.loc[judged["level"] == "source", "name"].tolist() == ["a", "b"]


@pytest.mark.parametrize("seed", range(3))
def test_noise_cries_no_wolf(samples, seed):
    names = [f"noise{number}" for number in range(25)]
    features = noise(samples, *names, seed=seed)
    # a trait of the group, as a person's looks are: alike within it and of no use beyond it
    _, codes = np.unique(samples.groups, return_inverse=True)
    features += 2 * np.random.default_rng(seed).normal(size=(codes.max() + 1, len(names)))[codes]
    rows, _ = probes.probe("files", features, {"sharpness": names}, samples)
    assert (probes.judge(rows, SEVERITY, EVALUATION)["severity"] == "none").all()


def test_the_joint_probe_leaves_out_the_families_that_are_not_asked_for(samples):
    features = noise(samples, "x").assign(scale=samples.labels)
    families = {"geometry": ["scale"], "sharpness": ["x"]}
    rows, scores = probes.probe("view", features, families, samples, joint=["sharpness"])
    judged = probes.judge(rows, SEVERITY, EVALUATION)
    joint = judged[judged["level"] == "all"].iloc[0]
    assert joint["nature"] == "pixels"
    assert joint["auc"] == pytest.approx(mean_auc(samples, scores))
    assert joint["auc"] < 0.6


def test_sources_are_held_against_all_reals(samples):
    features = pd.DataFrame({"x": noise(samples, "x")["x"] + 3 * (samples.sources == "a")})
    rows, scores = probes.probe("files", features, {"sharpness": ["x"]}, samples)
    judged = probes.judge(rows, SEVERITY, EVALUATION)
    for source, row in judged[judged["level"] == "source"].set_index("name").iterrows():
        mine = (samples.labels == 0) | (samples.sources == source)
        expected = mean_auc(samples, scores, mine)
        assert row["auc"] == pytest.approx(expected)


def test_a_single_source_and_one_that_stands_in_a_single_fold_are_no_obstacle():
    one = probes.identities(manifest(fakes=("only",)))
    rows, _ = probes.probe("files", noise(one, "x"), {"sharpness": ["x"]}, one)
    assert [each.name for each in rows if each.level == "source"] == ["only"]
    frame = manifest()
    rare = (frame["source"] == "b") & (frame["fold"] > 0)
    frame.loc[rare, "source"] = "a"
    some = probes.identities(frame)
    rows, _ = probes.probe("files", noise(some, "x"), {"sharpness": ["x"]}, some)
    assert [each.name for each in rows if each.level == "source"] == ["a"]


def alone(samples: EvalSet, **columns) -> pd.DataFrame:
    """Judge features by themselves, by their names."""
    features = pd.DataFrame(columns)
    rows, _ = probes.probe("files", features, {"sharpness": list(features)}, samples)
    judged = probes.judge(rows, SEVERITY, EVALUATION)
    return judged[judged["level"] == "feature"].set_index("name")


def test_the_p_value_falls_as_a_planted_leak_grows(samples):
    strengths = (0.5, 1, 1.5, 2, 3, 4)
    noisy = noise(samples, "x")["x"]
    leaks = {f"{strength}": noisy + strength * samples.labels for strength in strengths}
    found = alone(samples, **leaks, perfect=samples.labels)
    assert found["auc"].is_monotonic_increasing and found["auc"].iloc[-1] == 1
    assert found["p"].is_monotonic_decreasing and found["p"].iloc[0] > 1e6 * found["p"].iloc[-1]
    assert found["severity"].tolist() == ["none", "moderate", "moderate", "severe", "severe", "severe", "severe"]


def test_the_p_value_is_that_of_a_jackknife_over_groups_by_hand(samples):
    x = noise(samples, "x")["x"] + 0.6 * samples.labels
    row = alone(samples, x=x).loc["x"]
    scores = probes.out_of_fold("tree", pd.DataFrame({"x": x}), samples)
    whole, variance = mean_auc(samples, scores), 0.0
    for fold in range(4):
        inside = samples.folds == fold
        without = [mean_auc(samples, scores, inside & (samples.groups != g)) for g in np.unique(samples.groups[inside])]
        variance += 5 / 6 * np.var(without) * 6 / 16
    t = (whole - 0.5) / np.sqrt(variance)
    assert row["auc"] == pytest.approx(whole)
    assert row["p"] == pytest.approx(2 * scipy.stats.t.sf(t, 24 - 4), rel=1e-6)


def test_a_rule_that_every_group_follows_alike_is_a_leak(samples):
    found = alone(samples, png=(samples.sources == "a").astype(int)).loc["png"]
    assert found[["auc", "severity", "verdict"]].tolist() == [0.75, "moderate", "shortcut"]
    assert found["p"] < 1e-6 and found["auc_low"] > 0.7


@pytest.mark.parametrize(("strength", "verdict"), [(0.0, "no_shortcut"), (0.6, "undecided"), (2.0, "shortcut")])
def test_verdicts_weigh_the_interval_against_chance_and_the_weakest_shortcut(samples, strength, verdict):
    row = alone(samples, x=noise(samples, "x")["x"] + strength * samples.labels).loc["x"]
    assert row["verdict"] == verdict
    assert (row["severity"] != "none") == (verdict == "shortcut")


def test_p_values_are_corrected_for_all_probes_that_vary(samples):
    columns = noise(samples, *"abcdefgh").add(0.35 * samples.labels, axis=0)
    found = alone(samples, **columns, same=np.zeros(len(samples.labels)))
    few = alone(samples, a=columns["a"])
    # eight features, their family, all together and two sources
    assert found.loc["a", "p"] == few.loc["a", "p"]
    assert found.loc["a", "auc_low"] < few.loc["a", "auc_low"] and found.loc["a", "p_holm"] > few.loc["a", "p_holm"]


def test_a_fold_that_hangs_on_one_group_is_undecided_with_the_reason():
    frame = manifest(groups=3)
    lost = (frame["label"] == 0) & (frame["fold"] == 0) & (frame["group"] != "0-1")
    some = probes.identities(frame[~lost].reset_index(drop=True))
    row = alone(some, x=some.labels).loc["x"]
    assert row["verdict"] == "undecided" and "without group 0-1" in row["reason"]


def test_a_feature_that_is_the_same_everywhere_tells_nothing(samples):
    features = pd.DataFrame({"dpi": np.zeros(len(samples.labels))})
    rows, _ = probes.probe("files", features, {"metadata": ["dpi"]}, samples)
    judged = probes.judge(rows, SEVERITY, EVALUATION)
    assert (judged[["auc", "auc_low", "auc_high"]] == 0.5).all(axis=None)
    assert (judged["p"] == 1).all() and (judged["verdict"] == "no_shortcut").all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 1}, "1 folds of development samples"),
        ({"groups": 1}, "fold 0 has one group"),
        ({"fakes": ()}, "no fake sample among 288"),
    ],
)
def test_data_that_cannot_be_cross_validated_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        probes.identities(manifest(**changes))


# ---- a detector's logits against the leak


def by_hand(scores, labels, reach) -> set[tuple[int, int]]:
    """Pair greedily, looking at all free fakes each time."""
    free, pairs = set(np.flatnonzero(labels == 1).tolist()), set()
    for real in sorted(np.flatnonzero(labels == 0), key=lambda row: scores[row]):
        near = sorted(free, key=lambda fake: (abs(scores[fake] - scores[real]), scores[fake]))
        if near and abs(scores[near[0]] - scores[real]) <= reach:
            free.remove(near[0])
            pairs.add((int(real), near[0]))
    return pairs


@pytest.mark.parametrize("caliper", [0.02, 0.2, 5.0])
def test_matching_is_nearest_neighbours_without_replacement(samples, caliper):
    scores = noise(samples, "x")["x"].to_numpy() + samples.labels
    rows = shortcut_attribution.match(scores, samples, caliper)
    expected = set()
    for fold in range(4):
        inside = np.flatnonzero(samples.folds == fold)
        reach = caliper * scores[inside].std()
        found = by_hand(scores[inside], samples.labels[inside], reach)
        expected |= {(int(inside[real]), int(inside[fake])) for real, fake in found}
    assert {tuple(pair) for pair in rows.reshape(-1, 2).tolist()} == expected
    assert len(set(rows.tolist())) == len(rows)


def explain(logits, features, samples, **changes) -> dict:
    _, scores = probes.probe("files", features, {"sharpness": list(features)}, samples)
    options = {"caliper": 0.2, "evaluation": EVALUATION} | changes
    found = shortcut_attribution.explain(logits, features, scores, samples, **options)
    return shortcut_attribution.judge([found], EVALUATION)[0]


@pytest.fixture
def larger() -> EvalSet:
    return probes.identities(manifest(each=30))


def test_a_detector_that_sees_the_leak_alone_is_worth_nothing_on_matched_samples(larger):
    features = noise(larger, "leak") + 1.0 * larger.labels[:, None]
    logits = features["leak"].to_numpy() + 0.3 * noise(larger, "own", seed=1)["own"].to_numpy()
    found = explain(logits, features, larger)
    assert set(found) == set(shortcut_attribution.COLUMNS)
    assert found["auc_low"] > 0.65
    assert found["r2"] > 0.8 and found["r2_low"] > 0.7
    assert min(found["spearman_real"], found["spearman_fake"]) > 0.85
    assert found["overlap"] and found["pairs"] > 200
    assert found["matched_auc_low"] < 0.5 + 0.03 and found["matched_auc"] == pytest.approx(0.5, abs=0.05)
    assert found["matched_leak_auc"] == pytest.approx(0.5, abs=0.03)
    assert found["residual_auc"] == pytest.approx(0.5, abs=0.06)


def test_a_detector_that_does_not_see_the_leak_loses_nothing(larger):
    features = noise(larger, "leak") + 1.0 * larger.labels[:, None]
    logits = noise(larger, "own", seed=1)["own"].to_numpy() + 1.0 * larger.labels
    found = explain(logits, features, larger)
    assert found["matched_auc"] == pytest.approx(found["auc"], abs=0.05)
    assert found["matched_auc_low"] > 0.6
    assert max(abs(found["spearman_real"]), abs(found["spearman_fake"])) < 0.15


def test_a_perfect_leak_leaves_no_overlap(larger):
    features = pd.DataFrame({"width": larger.labels + 0.0})
    found = explain(noise(larger, "own")["own"].to_numpy(), features, larger)
    assert not found["overlap"] and found["pairs"] == 0
    assert np.isnan(found["matched_auc"])


def test_r2_and_rank_correlations_are_those_of_sklearn_and_scipy(samples):
    values = shortcut_attribution.standardised(noise(samples, "x")["x"].to_numpy() * 3 + samples.folds, samples.folds)
    predicted = values + noise(samples, "y", seed=2)["y"].to_numpy()
    found = resampling.trained_models(shortcut_attribution.explained(values, predicted, samples))
    inside = [samples.folds == fold for fold in range(4)]
    assert found.value == pytest.approx(np.mean([r2_score(values[rows], predicted[rows]) for rows in inside]))
    assert found.low < found.value < found.high
    reals = [rows & (samples.labels == 0) for rows in inside]
    expected = np.mean([scipy.stats.spearmanr(values[rows], predicted[rows]).statistic for rows in reals])
    assert shortcut_attribution.within_class(values, predicted, samples, 0) == pytest.approx(expected)


def test_values_are_standardised_within_folds_and_a_flat_fold_is_0():
    folds = np.repeat([0, 1, 2], 5)
    values = np.concatenate([np.arange(5.0), 100 + 7 * np.arange(5.0), np.full(5, 3.0)])
    found = shortcut_attribution.standardised(values, folds).reshape(3, 5)
    np.testing.assert_allclose(found[0], scipy.stats.zscore(np.arange(5.0)))
    np.testing.assert_allclose(found[1], found[0])
    np.testing.assert_array_equal(found[2], 0)


def test_a_leak_that_is_the_same_in_a_class_has_no_rank_correlation(samples):
    logits = noise(samples, "x")["x"].to_numpy()
    assert np.isnan(shortcut_attribution.within_class(logits, samples.labels + 0.0, samples, 0))


# ---- real photographs, of which some are called fakes

EXIF = Image.Exif()
EXIF[0x010F] = "a camera"
PLANTS = {
    "nothing": (lambda label: {"quality": 90}, set()),
    "quality": (
        lambda label: {"quality": 75 if label else 90},
        {"quality", "luma_mean", "chroma_mean", "luma_dc", "luma_last", "chroma_dc"},
    ),
    "exif": (lambda label: {"quality": 90, "exif": b"" if label else EXIF.tobytes()}, {"exif", "segments"}),
    "icc": (lambda label: {"quality": 90} | ({"icc_profile": b"made"} if label else {}), {"icc", "segments"}),
    "progressive": (lambda label: {"quality": 90, "progressive": bool(label)}, {"progressive"}),
    "subsampling": (lambda label: {"quality": 90, "subsampling": 0 if label else 2}, {"subsampling"}),
}
"""How photographs are saved by their label, and the features of the container that then give it away."""


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    photos = (photographs.read(person, number) for person in range(1, 41) for number in range(1, 11))
    return [photo.pixels[..., None].repeat(3, 2) for photo in photos]


def labelled(seed: int) -> EvalSet:
    """Label 400 photographs of 40 people at random; two people are a group."""
    labels = np.random.default_rng(seed).permutation(np.tile([0, 1], 200))
    people = np.repeat(np.arange(40), 10)
    frame = pd.DataFrame({"label": labels, "group": people // 2, "fold": people // 2 % 4})
    return probes.identities(frame.assign(source=frame["label"].map({0: "camera", 1: "called fake"})))


def leaking(pictures: list[np.ndarray], samples: EvalSet, how) -> pd.DataFrame:
    """Save the photographs, measure the files and return the probes that are called leaks."""
    found = pd.DataFrame(
        [
            files.of_file(encoded(pixels, "JPEG", **how(label)))
            for pixels, label in zip(pictures, samples.labels, strict=True)
        ]
    )
    rows, _ = probes.probe("files", found, families.CONTAINER | families.PIXELS, samples)
    judged = probes.judge(rows, SEVERITY, EVALUATION)
    return judged[judged["severity"] != "none"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_photographs_with_labels_at_random_raise_no_alarm(pictures, seed):
    assert leaking(pictures, labelled(seed), PLANTS["nothing"][0]).empty


@pytest.mark.parametrize("plant", [name for name in PLANTS if name != "nothing"])
def test_a_leak_planted_in_files_is_found_in_its_features(pictures, plant):
    how, expected = PLANTS[plant]
    found = leaking(pictures, labelled(1), how)
    alone = found[(found["level"] == "feature") & (found["nature"] == "container")]
    assert set(alone["name"]) == expected
    assert (alone["severity"] == "severe").all()
