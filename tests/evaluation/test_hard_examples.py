import numpy as np
import pandas as pd
import pytest

from deepfake.evaluation import hard_examples as hard


def joined() -> pd.DataFrame:
    """Two folds with the same verdicts; the second one's logits are eight times as large. Thresholds are 0.5 and 4."""
    validation = [("v0", 0, -1.0), ("v1", 0, 0.0), ("v2", 1, 1.0), ("v3", 1, 2.0)]
    held_out = [("a", 0, -2.0), ("b", 0, 3.0), ("c", 0, 0.6), ("d", 1, -4.0), ("e", 1, 0.4), ("f", 1, 2.0)]
    rows = [
        {"sample_id": f"{name}{fold}", "label": label, "logit": logit * scale, "fold": fold, "subset": subset}
        for fold, scale in ((0, 1), (1, 8))
        for subset, samples in (("validation", validation), ("held_out", held_out), ("train", [("t", 1, 99.0)]))
        for name, label, logit in samples
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(source=np.where(frame["label"] == 1, "gan", "camera"), group=frame["sample_id"].str[0])


def test_only_held_out_samples_are_judged_each_at_its_folds_threshold():
    found = hard.judged(joined()).set_index("sample_id")
    assert sorted(found.index) == sorted(f"{name}{fold}" for name in "abcdef" for fold in range(2))
    assert found.groupby("fold")["threshold"].unique().map(list).tolist() == [[0.5], [4.0]]
    for fold in range(2):
        assert [name for name in "abcdef" if found.loc[f"{name}{fold}", "wrong"]] == ["b", "c", "d", "e"]
    np.testing.assert_allclose(found["probability"], 1 / (1 + np.exp(-found["logit"])))


def test_margins_do_not_depend_on_a_folds_scale():
    found = hard.judged(joined()).set_index("sample_id")["margin"]
    logits = np.array([-2, 3, 0.6, -4, 0.4, 2])
    expected = (logits - 0.5) / np.sqrt(np.mean((logits - logits.mean()) ** 2))
    for fold in range(2):
        np.testing.assert_allclose(found[[f"{name}{fold}" for name in "abcdef"]], expected)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_the_hardest_are_farthest_on_the_wrong_side(count):
    found = hard.hardest(hard.judged(joined()), count)
    by_kind = {kind: part["sample_id"].tolist() for kind, part in found.groupby("kind")}
    # of equal margins the first by name comes first
    assert by_kind["false positive"] == ["b0", "b1", "c0", "c1"][:count]
    assert by_kind["false negative"] == ["d0", "d1", "e0", "e1"][:count]
    assert found["rank"].tolist() == [*range(1, min(count, 4) + 1)] * 2


def test_logits_without_any_spread_are_judged_too():
    rows = joined()
    rows.loc[rows["subset"] == "held_out", "logit"] = 1.0
    found = hard.judged(rows)
    assert np.isfinite(found["margin"]).all()
    assert found["wrong"].tolist() == (found["threshold"] <= 1.0).ne(found["label"] == 1).tolist()


def verdicts() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 400)
    frame = pd.DataFrame({"label": label, "source": np.where(label == 1, "gan", "camera")})
    probability = np.r_[0.0, 1.0, 0.9, 0.05, rng.beta(0.5, 0.5, 396)]
    groups = rng.integers(0, 9, 400).astype(str)
    return frame.assign(probability=probability, group=groups, wrong=(probability > 0.5) != (label == 1))


def test_the_histogram_is_numpys():
    found = hard.confidence(verdicts())
    assert list(found["bin"]) == [*range(hard.BINS)] * 2
    for (label, source), part in found.groupby(["label", "source"]):
        assert source == ("gan" if label else "camera")
        values = verdicts().query("label == @label")["probability"]
        np.testing.assert_array_equal(part["count"], np.histogram(values, hard.BINS, (0, 1))[0])
        assert part["share"].sum() == pytest.approx(1)


def test_confident_errors_are_those_of_the_wrong_class_above_nine_tenths():
    rows = verdicts()
    found = hard.confident_errors(rows, 0.95).set_index("source")
    real, fake = (rows.loc[rows["label"] == label, "probability"] for label in range(2))
    assert found.loc["camera", "confident"] == (real > 0.9).sum()
    assert found.loc["gan", "confident"] == (1 - fake > 0.9).sum()
    assert found["samples"].to_dict() == {"camera": len(real), "gan": len(fake)}
    assert found["errors"].sum() == rows["wrong"].sum()
    assert ((found["low"] <= found["share"]) & (found["share"] <= found["high"])).all()
