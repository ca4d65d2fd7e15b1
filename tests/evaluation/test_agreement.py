import numpy as np
import pandas as pd
import pytest
from scipy.stats import percentileofscore, spearmanr
from sklearn.metrics import cohen_kappa_score

from deepfake.errors import InputError
from deepfake.evaluation import agreement, resampling
from deepfake.evaluation.agreement import Panel

SOURCES = ("camera", "gan", "swap")


def verdicts(count: int = 3, samples: int = 240, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Detectors whose logits have something in common; two folds of six groups each."""
    rng = np.random.default_rng(seed)
    source = rng.choice(SOURCES, samples)
    group = rng.integers(0, 12, samples)
    frame = pd.DataFrame({"sample_id": [f"s{number:03}" for number in range(samples)], "source": source})
    frame = frame.assign(label=(source != "camera").astype(int), group=group.astype(str), fold=group % 2)
    common = rng.normal(size=samples)
    found = {}
    for number in range(count):
        logit = (common + rng.normal(size=samples)).round(1) + frame["label"]  # rounded: ties
        wrong = (logit >= 0.3 * number) != (frame["label"] == 1)
        found[f"m{number}"] = frame.assign(logit=logit, wrong=wrong).sample(frac=1, random_state=number)
    return found


def table(panel: Panel) -> pd.DataFrame:
    return agreement.table(panel, agreement.agreements(panel), 0.95).set_index(["first", "second"])


def column(found: dict[str, pd.DataFrame], name: str) -> pd.DataFrame:
    return pd.DataFrame({key: frame.set_index("sample_id")[name].sort_index() for key, frame in found.items()})


def test_rows_are_put_side_by_side_whatever_their_order():
    found = verdicts()
    panel = Panel.of(found)
    np.testing.assert_array_equal(panel.logits, column(found, "logit").to_numpy())
    np.testing.assert_array_equal(panel.wrong, column(found, "wrong").to_numpy())
    called = (column(found, "logit") >= [0.0, 0.3, 0.6]).to_numpy()
    np.testing.assert_array_equal(panel.called_fake, called)


def test_samples_that_one_of_them_did_not_hold_out_in_that_fold_are_left_out():
    found = verdicts()
    gone, moved = found["m1"]["sample_id"].iloc[0], found["m2"]["sample_id"].iloc[5]
    found["m1"] = found["m1"].query("sample_id != @gone")
    found["m2"] = found["m2"].assign(fold=found["m2"]["fold"].mask(found["m2"]["sample_id"] == moved, 7))
    assert not {gone, moved} & set(Panel.of(found).samples["sample_id"]) and len(Panel.of(found).samples) == 238
    found["m1"] = found["m1"].assign(fold=9)
    with pytest.raises(InputError, match=r"^m0, m1, m2: no held-out sample in common"):
        Panel.of(found)


def test_rows_are_taken_by_mask_or_number():
    panel = Panel.of(verdicts())
    mask = (panel.samples["group"] != "3").to_numpy()
    for found in (panel.take(mask), panel.take(np.flatnonzero(mask))):
        assert "3" not in set(found.samples["group"]) and found.samples.index.tolist() == list(range(mask.sum()))
        np.testing.assert_array_equal(found.logits, panel.logits[mask])
        np.testing.assert_array_equal(found.called_fake, panel.called_fake[mask])


def test_the_kappa_of_decisions_is_sklearns():
    panel = Panel.of(verdicts())
    rows = table(panel)
    for first, second in rows.index:
        sides = (panel.called_fake[:, panel.names.index(name)] for name in (first, second))
        assert rows.loc[(first, second), "kappa"] == pytest.approx(cohen_kappa_score(*sides))


def test_the_rank_correlation_is_scipys_within_folds():
    found = verdicts()
    logits, fold = column(found, "logit"), found["m0"].set_index("sample_id")["fold"]
    rows = table(Panel.of(found))
    for first, second in rows.index:
        expected = [spearmanr(part[first], part[second])[0] for _, part in logits.groupby(fold)]
        assert rows.loc[(first, second), "spearman"] == pytest.approx(np.mean(np.array(expected, float)))


def test_without_a_group_logits_are_ranked_as_if_it_had_never_been_there():
    panel = Panel.of(verdicts())  # logits with ties
    figure = agreement.agreements(panel)["m0", "m2"].spearman
    variance = 0.0
    for _, rows in panel.samples.groupby("fold"):
        without = []
        for name in rows["group"].unique():
            left = panel.logits[rows.index[rows["group"] != name]]
            without.append(float(np.array(spearmanr(left[:, 0], left[:, 2]))[0]))
        # of the mean of two folds
        variance += (len(without) - 1) * np.var(np.array(without)) / 4
    assert resampling.trained_models(figure).se == pytest.approx(np.sqrt(variance))


def test_another_scale_in_each_fold_changes_nothing():
    found = verdicts()
    # by a power of two: ties stay ties
    scaled = {
        name: frame.assign(logit=frame["logit"] * np.where(frame["fold"], 64, 1)) for name, frame in found.items()
    }
    pd.testing.assert_series_equal(table(Panel.of(found))["spearman"], table(Panel.of(scaled))["spearman"])
    np.testing.assert_allclose(Panel.of(found).percentiles(), Panel.of(scaled).percentiles())


def test_in_one_source_the_kappa_of_errors_is_sklearns():
    found = {name: frame.assign(source="one") for name, frame in verdicts().items()}
    panel = Panel.of(found)
    for first, second in (rows := table(panel)).index:
        sides = (panel.wrong[:, panel.names.index(name)] for name in (first, second))
        assert rows.loc[(first, second), "error_kappa"] == pytest.approx(cohen_kappa_score(*sides))


def test_errors_shared_because_a_source_is_hard_do_not_count():
    """Independent errors within sources of very different rates: plain kappa is high, that within sources is not."""
    rng = np.random.default_rng(1)
    frame = verdicts(1, 3000)["m0"]
    rate = frame["source"].map({"camera": 0.05, "gan": 0.5, "swap": 0.95}).to_numpy()
    panel = Panel.of({name: frame.assign(wrong=rng.random(3000) < rate) for name in "ab"})
    plain = cohen_kappa_score(panel.wrong[:, 0], panel.wrong[:, 1])
    row = table(panel).iloc[0]
    assert plain > 0.5 and abs(row["error_kappa"]) < 0.08
    assert row["error_kappa_low"] < 0 < row["error_kappa_high"]
    assert row["both_wrong"] == pytest.approx(panel.wrong.all(axis=1).mean())
    by_hand = sum(
        len(part) / 3000 * panel.wrong[part.index, 0].mean() * panel.wrong[part.index, 1].mean()
        for _, part in panel.samples.groupby("source")
    )
    assert row["independent"] == pytest.approx(by_hand)


def test_the_same_errors_have_a_kappa_of_one():
    frame = verdicts(1)["m0"]
    row = table(Panel.of({"a": frame, "b": frame})).iloc[0]
    assert row[["kappa", "spearman", "error_kappa"]].tolist() == pytest.approx([1, 1, 1])


def test_the_interval_is_the_jackknife_over_groups():
    panel = Panel.of(verdicts())
    figure = resampling.trained_models(agreement.agreements(panel)["m0", "m1"].kappa)
    groups = panel.samples["group"].to_numpy()
    without = [
        cohen_kappa_score(panel.called_fake[groups != name, 0], panel.called_fake[groups != name, 1])
        for name in np.unique(groups)
    ]
    size = len(without)
    assert size == 12 and figure.df == 11
    assert figure.se == pytest.approx(np.sqrt((size - 1) * np.var(np.array(without))))


@pytest.mark.parametrize("constant", ["logit", "wrong"])
def test_detectors_that_say_one_thing_only_agree_with_nobody(constant):
    found = verdicts(2)
    found["m0"] = found["m0"].assign(**{constant: 0})
    row = table(Panel.of(found)).iloc[0]
    assert row["spearman" if constant == "logit" else "error_kappa"] == 0


def test_percentiles_are_scipys():
    panel = Panel.of(verdicts())
    for row in range(0, 240, 17):
        rows = panel.samples["fold"] == panel.samples["fold"][row]
        for number in range(3):
            expected = percentileofscore(panel.logits[rows, number], panel.logits[row, number], kind="mean") / 100
            assert panel.percentiles()[row, number] == pytest.approx(expected)


def test_what_others_make_of_errors_is_counted_by_hand():
    panel = Panel.of(verdicts())
    found = agreement.rescued(panel, 0.95)
    for number, name in enumerate(panel.names):
        rows = [row for row in range(240) if panel.wrong[row, number]]
        others = [other for other in range(3) if other != number]
        right = [sum(not panel.wrong[row, other] for other in others) / 2 for row in rows]
        assert found[name].errors == len(rows)
        assert (estimate := found[name].right) is not None and estimate.value == pytest.approx(np.mean(right))
        assert found[name].nobody == pytest.approx(np.mean([share == 0 for share in right]))


def test_detectors_of_its_own_architecture_are_no_others():
    found = verdicts()
    kinds = {"m0": "cnn", "m1": "cnn", "m2": "vit"}
    panel, alone = Panel.of(found, kinds), Panel.of({name: found[name] for name in ("m0", "m2")})
    assert agreement.rescued(panel, 0.95)["m0"] == agreement.rescued(alone, 0.95)["m0"]
    assert agreement.rescued(panel, 0.95)["m2"].others == 2
    rows = table(panel)["error_kappa"]
    mean = agreement.mean_errors(panel, agreement.agreements(panel))
    assert mean is not None and mean.values[0] == pytest.approx((rows["m0", "m2"] + rows["m1", "m2"]) / 2)
    same = Panel.of(found, dict.fromkeys(kinds, "cnn"))
    assert agreement.mean_errors(same, agreement.agreements(same)) is None
    assert agreement.rescued(same, 0.95)["m0"].right is None


def test_who_makes_no_error_needs_no_rescue():
    found = verdicts()
    found["m1"] = found["m1"].assign(wrong=False)
    rescued = agreement.rescued(Panel.of(found), 0.95)
    assert rescued["m1"].errors == 0 and rescued["m1"].right is None
    assert rescued["m0"].nobody == 0
