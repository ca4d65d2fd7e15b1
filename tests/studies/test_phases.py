"""What phases 2 and 4 measure beyond comparisons, on predictions with planted effects, against plain loops."""

import json

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT
from deepfake import config, tables
from deepfake.config import params
from deepfake.errors import InputError
from deepfake.evaluation import influence, resampling, verdicts
from deepfake.evaluation.evalset import EvalSet
from deepfake.project import paths
from deepfake.studies import comparison, holdout
from deepfake.studies.phases import analysis, selection
from deepfake.tables import results as result_tables
from repeated_predictions import FOLDS, GROUPS, between_auc, held_out, predictions

EVALUATION = params.load(ROOT / "params.yaml").evaluation
PLAIN = predictions(2.0, 1)


@pytest.fixture
def facts(monkeypatch):
    """Give what is known of runs, by name, instead of the files that training leaves."""
    known: dict[str, dict] = {}
    for module in (analysis, holdout):
        monkeypatch.setattr(module, "facts_of", known.__getitem__)
    return known


# --- 2A-3: sources that were left out


def lowered(source: str, amount: float) -> pd.DataFrame:
    """Return predictions of a detector that does not know a source: its fakes score lower."""
    other = predictions(2.0, 2)
    return other.assign(logit=other["logit"] - amount * (other["source"] == source))


def against(joined: pd.DataFrame, source: str) -> pd.DataFrame:
    return joined[(joined["label"] == 0) | (joined["source"] == source)]


def test_a_source_that_was_left_out_is_compared_with_itself_and_with_the_others(facts):
    # "a" is unknown to the detector that did without it, "b" is found as well without
    facts |= {"without_a": {"holdout": "a"}, "without_b": {"holdout": "b"}, "all": {"holdout": None}}
    joined = {"all": PLAIN, "without_a": lowered("a", 2.0), "without_b": predictions(2.0, 3)}
    rows = {"all": (), "without_a": ("all",), "without_b": ("all",)}
    found, mean = holdout.compare("phase2a_holdout", rows, joined, EVALUATION)
    assert found["source"].tolist() == ["a", "b"]
    differences = []
    for _, row in found.iterrows():
        without = joined[row["experiment"]]
        unseen, seen = against(without, row["source"]), without[without["source"] != row["source"]]
        trained = against(PLAIN, row["source"])
        assert row["held_out_auc"] == pytest.approx(between_auc(unseen))
        assert row["in_source_auc"] == pytest.approx(between_auc(seen))
        assert row["trained_auc"] == pytest.approx(between_auc(trained))
        assert row["delta"] == pytest.approx(between_auc(seen) - between_auc(unseen))
        assert row["delta_low"] < row["delta"] < row["delta_high"]
        assert row["difference"] == pytest.approx(between_auc(trained) - between_auc(unseen))
        sides = [resampling.auc(EvalSet.of(held_out(one))) for one in (unseen, trained)]
        differences.append(influence.difference(*sides))
    expected = verdicts.compare([resampling.recipe(one) for one in differences], EVALUATION.rope)
    assert found["verdict"].tolist() == [one.word for one in expected]
    assert found["p"].tolist() == pytest.approx([one.p for one in expected])
    assert found["verdict"].tolist()[0] == "better" != found["verdict"].tolist()[1]
    average = verdicts.compare([resampling.recipe(influence.contrast([0.5, 0.5], differences))], EVALUATION.rope)[0]
    assert mean["difference"].item() == pytest.approx(found["difference"].mean())
    assert mean["sources"].item() == 2 and mean["verdict"].item() == average.word
    assert mean["p"].item() == pytest.approx(average.p)


def test_a_holdout_table_without_a_holdout_is_refused(facts):
    facts |= {"all": {"holdout": None}, "more": {"holdout": None}}
    joined = {"all": PLAIN, "more": PLAIN}
    with pytest.raises(InputError, match="phase2a_holdout: none of its runs holds out a source"):
        holdout.compare("phase2a_holdout", {"all": (), "more": ("all",)}, joined, EVALUATION)


# --- 2A-1: bars beside the same real images


def shifted(amount: float, *, alternating: bool = False) -> pd.DataFrame:
    """Return predictions in which the reals of each fold are shifted by so many of their standard deviations."""
    spread = held_out(PLAIN)[held_out(PLAIN)["label"] == 0].groupby("fold")["logit"].std(ddof=1)
    sign = 1 - 2 * (PLAIN["fold"] % 2) if alternating else 1
    return PLAIN.assign(logit=PLAIN["logit"] + amount * sign * PLAIN["fold"].map(spread) * (PLAIN["label"] == 0))


@pytest.mark.parametrize("alternating", [False, True])
def test_a_shift_of_the_reals_is_found_whatever_its_sign(facts, alternating):
    facts |= {"plain": {"kind": "trained"}, "bars": {"kind": "re-evaluated"}}
    other = shifted(1.5, alternating=alternating)
    row = analysis.bars({"plain": (), "bars": ("plain",)}, {"plain": PLAIN, "bars": other}, EVALUATION).iloc[0]
    assert row["shift"] == pytest.approx(1.5)
    assert row["folds_beyond"] == row["folds"] == 2 * FOLDS
    assert row["samples"] == GROUPS * 2 and row["groups"] == GROUPS
    assert row["auc_change"] > 0.1


@pytest.mark.parametrize("amount", [0.0, 0.1, -0.19])
def test_a_small_shift_is_beyond_the_rope_in_no_fold(facts, amount):
    facts |= {"plain": {"kind": "trained"}, "bars": {"kind": "re-evaluated"}}
    row = analysis.bars({"plain": (), "bars": ("plain",)}, {"plain": PLAIN, "bars": shifted(amount)}, EVALUATION).iloc[
        0
    ]
    assert row["shift"] == pytest.approx(abs(amount))
    assert row["folds_beyond"] == 0


def test_runs_that_were_trained_are_no_bars(facts):
    facts |= {"plain": {"kind": "trained"}, "other": {"kind": "trained"}}
    found = analysis.bars({"plain": (), "other": ("plain",)}, {"plain": PLAIN, "other": PLAIN}, EVALUATION)
    assert found.empty


# --- does augmentation help more on face crops?


@pytest.mark.parametrize(("gains", "word"), [((0.0, 2.5), "better"), ((2.5, 0.0), "worse")])
def test_a_difference_of_differences_is_that_of_four_runs(facts, gains, word):
    names = ("whole", "whole_augmented", "face", "face_augmented")
    facts |= {name: {"model": "m"} for name in names}
    strengths = (0.0, gains[0], 0.0, gains[1])
    each = zip(names, strengths, strict=True)
    joined = {name: predictions(one, seed, repeats=4) for seed, (name, one) in enumerate(each)}
    planned = {
        "phase2d": {"whole": (), "whole_augmented": ("whole",)},
        "phase2e": {"face": (), "face_augmented": ("face",)},
    }
    row = analysis.interaction(joined, planned, EVALUATION).iloc[0]
    aucs = [between_auc(joined[name]) for name in names]
    assert row["experiment"] == "face_augmented"
    assert row["difference"] == pytest.approx((aucs[3] - aucs[2]) - (aucs[1] - aucs[0]))
    assert row["verdict"] == word


def test_a_model_without_all_four_runs_has_no_interaction(facts):
    facts |= {"whole": {"model": "m"}, "augmented": {"model": "m"}}
    planned = {"phase2d": {"whole": (), "augmented": ("whole",)}, "phase2e": {}}
    assert analysis.interaction({"whole": PLAIN, "augmented": PLAIN}, planned, EVALUATION).empty


# --- phases from the files of their runs


def joined_of(name: str) -> pd.DataFrame:
    """Return the predictions of a run with labels, sources and groups, by pandas alone."""
    columns = ["sample_id", "label", "source", "group"]
    manifest = pd.read_parquet(paths().manifest("sample"))[columns]
    return pd.read_parquet(paths().predictions(name)).merge(manifest, on="sample_id")


def test_phase_2_holds_each_run_once_and_each_contrast_in_its_table(study):
    settings = study({})
    analysis.run("phase2", settings)
    rows = result_tables.read("phase2_experiments").set_index("experiment")
    assert rows.index.is_unique
    wanted = {
        (table, baseline, name)
        for table in analysis.PHASES["phase2"]
        for name, baselines in config.table(settings, table).items()
        for baseline in baselines
    }
    tests = result_tables.read("phase2_tests")
    assert set(zip(tests["table"], tests["baseline"], tests["experiment"], strict=True)) == wanted
    assert rows.loc["backbone_high", "auc"] == pytest.approx(between_auc(joined_of("backbone_high")), abs=1e-5)
    written = json.loads(paths().study_metrics("phase2").read_text())
    # those of phase 1, which it is compared with, stand in that one's
    assert set(written["runs"]) == {name for name in rows.index if not name.endswith("_low")}
    counts = tests["verdict"].value_counts()
    assert [written[word] for word in ("better", "worse", "undecided")] == [
        counts.get(word, 0) for word in ("better", "worse", "undecided")
    ]
    assert len(result_tables.read("phase2_holdout")) == 3 and len(result_tables.read("phase2_sources")) == 1


def test_phase_4_measures_all_shares_on_the_same_samples_and_every_pair_on_all_data(study):
    decision = config.Decision(resolution="low", face_crop=False, augmentation="none")
    tables.write_text(decision.model_dump_json(), paths().decision)
    settings = study({"backbone_best": 2.0, "backbone_best_medium": 2.5, "backbone_best_all": 3.0}, candidates=True)
    analysis.run("phase3", settings)
    chosen = selection.rank(settings)
    analysis.run("phase4", settings)
    by_share = result_tables.read("phase4a_experiments").set_index("experiment")
    assert set(by_share.index) == {f"{name}{end}" for name in chosen for end in ("", "_medium", "_all")}
    assert by_share["samples"].nunique() == 1
    held = {name: set(held_out(joined_of(name))["sample_id"]) for name in by_share.index}
    assert len(set(map(frozenset, held.values()))) == 1
    for name in ("backbone_best", "backbone_best_all"):
        assert by_share.loc[name, "auc"] == pytest.approx(between_auc(joined_of(name)), abs=1e-5)
    tests = result_tables.read("phase4a_tests")
    assert {(row.baseline, row.experiment) for row in tests.itertuples()} == {
        (name, f"{name}{end}") for name in chosen for end in ("_medium", "_all")
    }
    final = result_tables.read("phase4b_experiments").set_index("experiment")
    assert list(final.index) == [f"{name}_all" for name in config.read_finalists()]
    assert len(result_tables.read("phase4b_tests")) == len(final) * (len(final) - 1) / 2
    thresholds = result_tables.read("phase4b_folds").set_index(["experiment", "fold"])["threshold"]
    areas = result_tables.read("phase4_aurc").set_index("experiment").to_dict("index")
    for name in final.index:
        errors = [
            np.mean((rows["logit"] >= thresholds[name, fold]) != rows["label"])
            for fold, rows in held_out(joined_of(name)).groupby("fold")
        ]
        assert areas[name]["risk_100"] == pytest.approx(np.mean(errors), abs=1e-5)
        assert areas[name]["aurc"] < areas[name]["risk_100"]
    assert set(result_tables.read("phase4_chosen")["experiment"]) == set(final.index)
    assert set(result_tables.read("phase4_reliability")["experiment"]) == set(final.index)
    # far better than the others, so no tie that a smaller one would win
    assert selection.final(settings) == config.read_final() == "backbone_best_all"


def test_unit_of_told_is_that_of_the_verdict():
    estimate = resampling.recipe(resampling.auc(EvalSet.of(held_out(PLAIN))), 0.5)
    verdict = verdicts.compare([estimate], 0.02)[0]
    row = comparison.told(verdict, 1, 0.02)
    assert (row["samples"], row["groups"], row["repeats"]) == (GROUPS * 6, GROUPS, 2)
    assert np.isclose(row["difference"], between_auc(PLAIN))
