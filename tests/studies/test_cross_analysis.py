"""The comparison across data sets finds what was put into made-up predictions, and nothing else."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

import cross_study
from cross_study import BASELINE, EDITED, HOME, OTHER, RESENT
from deepfake.evaluation import statistics, thresholds
from deepfake.project import paths
from deepfake.studies.generalization import analysis, questions
from deepfake.studies.generalization.scores import Scores

pytest_plugins = ["crossed_study"]


@pytest.fixture
def found(crossed, monkeypatch) -> analysis.Found:
    """What the comparison found, with its project as the current folder."""
    monkeypatch.chdir(crossed[0])
    return crossed[2]


@pytest.fixture(scope="module")
def cells(crossed):
    return {(cell.model, cell.dataset): cell for cell in cross_study.cells_of(crossed[1])}


def asked(found: analysis.Found, question: str, **values: str) -> pd.DataFrame:
    tests = found.tests[found.tests["question"] == question]
    for column, value in values.items():
        tests = tests[tests[column] == value]
    return tests


def row(found: analysis.Found, model: str, dataset: str) -> pd.Series:
    return found.rows.set_index(["model", "dataset"]).loc[(model, dataset)]


def means(cell, figure, cuts=None) -> float:
    held_out = cell.joined[cell.joined["subset"] == "held_out"]
    return float(
        np.mean(
            [
                figure(part["label"], part["logit"] if cuts is None else part["logit"] >= cuts[fold])
                for fold, part in held_out.groupby("fold")
            ]
        )
    )


def test_there_is_a_row_for_each_detector_and_data_set_and_then_for_others(crossed, found):
    models = list(crossed[1].studies.generalization.runs)
    assert list(zip(found.rows["model"], found.rows["dataset"], strict=True))[:-2] == [
        (model, dataset) for model in models for dataset in (HOME, EDITED, RESENT)
    ]
    assert found.rows["kind"].tolist() == ["trained"] * 27 + ["reported", "predictions"]
    assert found.rows["files"].tolist() == pytest.approx([384] * 27 + [np.nan, 120], nan_ok=True)
    reported, theirs = (found.rows.iloc[place] for place in (-2, -1))
    assert reported["accuracy"] == 0.997 and np.isnan(reported["accuracy_low"]) and np.isnan(reported["f1"])
    assert theirs["f1_high"] == 0.7 and np.isnan(theirs["auc"])


@pytest.mark.parametrize("dataset", [HOME, EDITED, RESENT])
def test_figures_are_those_of_scikit_learn_at_own_and_at_retuned_thresholds(found, cells, dataset):
    cell, of = cells[BASELINE, dataset], row(found, BASELINE, dataset)
    assert of["auc"] == pytest.approx(means(cell, roc_auc_score))
    inner = cell.joined[cell.joined["subset"] == "validation"].groupby("fold")
    retuned = {fold: thresholds.youden(part["label"], part["logit"]) for fold, part in inner}
    for prefix, cuts in (("", cell.thresholds), ("retuned_", retuned)):
        for name, figure in (
            ("accuracy", accuracy_score),
            ("f1", f1_score),
            ("balanced_accuracy", balanced_accuracy_score),
        ):
            assert of[f"{prefix}{name}"] == pytest.approx(means(cell, figure, cuts))
            assert of[f"{prefix}{name}_low"] <= of[f"{prefix}{name}"] <= of[f"{prefix}{name}_high"]


def test_held_out_samples_choose_no_threshold(crossed, cells):
    cell = cells[BASELINE, EDITED]
    turned = cell.joined["logit"].where(cell.joined["subset"] != "held_out", -cell.joined["logit"])
    other = replace(cell, joined=cell.joined.assign(logit=turned))
    first, second = (Scores([each], {}, crossed[1]).retuned for each in (cell, other))
    assert first == second


def test_gaps_are_tested_where_a_detector_has_seen_one_data_set_and_not_the_other(found):
    gaps = asked(found, "gap", metric="auc")
    assert gaps[gaps["model"] == BASELINE]["dataset"].tolist() == [EDITED, RESENT]
    assert gaps[gaps["model"] == "simple_cnn_union"]["dataset"].tolist() == [RESENT]
    away = gaps[gaps["model"] == "simple_cnn_away"]
    assert away["dataset"].tolist() == [HOME, RESENT] and set(away["baseline_dataset"]) == {EDITED}
    for test in gaps.to_dict("records"):
        home, there = (row(found, test["model"], test[side]) for side in ("baseline_dataset", "dataset"))
        assert test["difference"] == pytest.approx(home["auc"] - there["auc"])
        assert there["gap"] == test["difference"] and there["significant"] == test["significant"]
        assert (home["home"], there["home"]) == (1, 0) and pd.isna(home["gap"])
    lost = gaps.set_index(["model", "dataset"]).loc[(BASELINE, EDITED)]
    assert lost["over_groups"] and lost["low"] > 0.1


def test_p_values_are_corrected_over_a_question_and_metric(found):
    for _, family in found.tests.groupby(["question", "metric"]):
        for kind in ("p_bootstrap", "p_ttest"):
            assert family[f"{kind}_holm"].tolist() == pytest.approx(statistics.holm(family[kind]).tolist())
    both = found.tests[["p_bootstrap_holm", "p_ttest_holm"]].max(axis=1) <= 0.05
    assert found.tests["significant"].tolist() == both.tolist()


def test_detectors_are_compared_by_what_they_were_trained_under(crossed, found):
    settings = crossed[1]
    assert list(map(tuple, questions.pairs(cross_study.configs_of(settings), settings))) == [
        ("architecture", OTHER, BASELINE),
        ("data", "simple_cnn_union", BASELINE),
        ("architecture", "resnet_union", "simple_cnn_union"),
        ("data", "resnet_union", OTHER),
        ("elsewhere", "simple_cnn_away", BASELINE),
        ("domains", "simple_cnn_union_domains", "simple_cnn_union"),
        ("fine_tuning", "simple_cnn_finetuned", BASELINE),
        ("scratch", "simple_cnn_finetuned", "simple_cnn_away"),
        *(("ensemble", name, member) for name in ("ensemble_mean", "ensemble_fitted") for member in (BASELINE, OTHER)),
    ]


def test_what_was_put_in_is_found(found):
    data = asked(found, "data", baseline=BASELINE).set_index("dataset")
    assert data["significant"].to_dict() == {HOME: False, EDITED: True, RESENT: False}
    assert data.loc[EDITED, "difference"] > 0.2
    tuned = asked(found, "fine_tuning").set_index("dataset")
    assert tuned.loc[EDITED, "significant"] and tuned.loc[EDITED, "difference"] > 0
    assert tuned.loc[HOME, "significant"] and tuned.loc[HOME, "difference"] < 0
    assert not asked(found, "architecture")["significant"].any()
    assert not asked(found, "domains")["significant"].any()
    between = asked(found, "between").iloc[0]
    assert (between["baseline_dataset"], between["dataset"]) == (EDITED, RESENT) and between["difference"] < 0


def test_a_shift_of_all_logits_is_mended_by_the_threshold_and_accuses_reals(found):
    classes = asked(found, "class", dataset=RESENT).set_index("metric")
    assert classes.loc["false_positive_rate", "difference"] < -0.2 and classes.loc["recall_fake", "difference"] < 0
    moved = asked(found, "threshold", model=BASELINE).set_index("dataset")
    # far less is to be mended where logits lie as they do at home
    assert moved.loc[RESENT, "difference"] > 0.03 and moved.loc[RESENT, "difference"] > moved.loc[EDITED, "difference"]


def test_only_sources_of_both_data_sets_have_gaps_of_their_own(found):
    assert asked(found, "source", dataset=RESENT)["source"].tolist() == ["inpainting", "insight", "text2img"]
    assert asked(found, "source", dataset=EDITED).empty


def test_sources_are_held_against_all_reals(found, cells):
    known = found.sources.set_index(["model", "dataset", "source"])
    cell = cells[BASELINE, HOME]
    part = replace(cell, joined=cell.joined[cell.joined["source"].isin(["wiki", "insight"])])
    weak = known.loc[(BASELINE, HOME, "insight")]
    assert weak["auc"] == pytest.approx(means(part, roc_auc_score))
    assert weak["files"] == 96 and weak["auc"] < known.loc[(BASELINE, HOME, "text2img"), "auc"]
    reals = known.loc[(BASELINE, HOME, "wiki")]
    assert pd.isna(reals["auc"])
    assert reals["called"] == pytest.approx(
        means(part, lambda label, called: called[label == 0].mean(), cell.thresholds)
    )


def test_conditions_are_those_of_the_reals_and_the_score_is_followed_on_all(crossed, found, cells):
    rows = found.features.set_index(["dataset", "feature"])
    assert rows.loc[(RESENT, "width"), ["home_median", "away_median", "separability"]].tolist() == [184, 120, 1]
    assert rows.loc[(RESENT, "format"), ["home_value", "away_share"]].tolist() == ["JPEG", 1]
    assert pd.isna(rows.loc[(RESENT, "width"), "correlation"])  # the same for all of them
    # the only thing that the logits were made to follow
    moved = rows[rows["p_holm"] <= 0.05]
    assert {feature for _, feature in moved.index} == {"mean_r"}
    cell = cells[BASELINE, EDITED]
    held_out = cell.joined[cell.joined["subset"] == "held_out"]
    held_out = held_out.merge(cross_study.features_of(crossed[1])[EDITED], on="sample_id")
    expected = [spearmanr(part["logit"], part["mean_r"])[0] for _, part in held_out.groupby(["fold", "label"])]
    assert rows.loc[(EDITED, "mean_r"), "correlation"] == pytest.approx(np.mean(expected))


def test_the_matrix_holds_plain_trainings_alone(found):
    cells = found.matrix.set_index(["architecture", "trained_on", "tested_on"])["auc"]
    assert len(cells) == 15
    assert cells["simple_cnn", "sample + sample_edited", EDITED] == row(found, "simple_cnn_union", EDITED)["auc"]
    assert set(found.matrix["trained_on"]) == {HOME, EDITED, "sample + sample_edited"}
    assert row(found, "simple_cnn_finetuned", HOME)["trained_on"] == "sample, then sample_edited"


def test_a_guessing_detector_has_not_learned(found):
    assert row(found, BASELINE, HOME)["learned"] and not row(found, "simple_cnn_away", HOME)["learned"]


def test_tables_and_metrics_are_written(found):
    for part, frame in zip(("", "_tests", "_sources", "_features", "_matrix"), found, strict=True):
        assert len(pd.read_csv(paths().table(f"generalization{part}"))) == len(frame)
    written = pd.read_csv(paths().table("generalization"))
    assert {"model", "dataset", "home", "auc", "auc_low", "auc_high", "gap_low", "retuned_f1_high"} <= set(written)
    figures = json.loads(paths().study_metrics("generalization").read_text())
    assert list(figures) == [
        *("baseline_home_auc", "baseline_away_auc", "baseline_gap", "union_away_auc", "best_away_auc"),
        *("significant_gaps", "runs"),
    ]
    assert list(figures["runs"]) == list(cross_study.RUNS)
    away = [row(found, BASELINE, dataset)["auc"] for dataset in (EDITED, RESENT)]
    assert figures["baseline_away_auc"] == pytest.approx(np.mean(away), abs=1e-6)
    assert figures["baseline_gap"] == pytest.approx(row(found, BASELINE, HOME)["auc"] - np.mean(away), abs=1e-6)


def test_the_metrics_away_count_no_data_set_that_a_detector_has_seen(found):
    figures = analysis.metrics(found)
    assert figures["union_away_auc"] == pytest.approx(row(found, "simple_cnn_union", RESENT)["auc"], abs=1e-6)
    seen = {
        "simple_cnn_union": [RESENT],
        "resnet_union": [RESENT],
        "simple_cnn_union_domains": [RESENT],
        "simple_cnn_finetuned": [RESENT],
        "simple_cnn_away": [RESENT],
    }
    means_away = [
        np.mean([row(found, name, dataset)["auc"] for dataset in seen.get(name, [EDITED, RESENT])])
        for name in cross_study.QUALITY
    ]
    assert figures["best_away_auc"] == pytest.approx(max(means_away), abs=1e-6)


def test_only_losses_count_as_significant_gaps(found):
    lost = found.tests.assign(significant=True, difference=0.1)
    gaps = asked(found, "gap", metric="auc")
    assert analysis.metrics(found._replace(tests=lost))["significant_gaps"] == len(gaps)
    assert analysis.metrics(found._replace(tests=lost.assign(difference=-0.1)))["significant_gaps"] == 0


def test_the_baseline_is_at_home_where_it_was_trained_whatever_the_studys_data_set_is(found):
    order = found.rows["model"].ne("simple_cnn_away").sort_values(kind="stable").index
    figures = analysis.metrics(found._replace(rows=found.rows.loc[order]))
    assert figures["baseline_home_auc"] == pytest.approx(row(found, "simple_cnn_away", EDITED)["auc"], abs=1e-6)
    away = [row(found, "simple_cnn_away", dataset)["auc"] for dataset in (HOME, RESENT)]
    assert figures["baseline_away_auc"] == pytest.approx(np.mean(away), abs=1e-6)


def small(root, *names: str) -> analysis.Found:
    """Compare some detectors, with a union of the study's data set alone."""
    settings = cross_study.settings_of(root, *names, datasets=(RESENT,), union=())
    cells, configs = cross_study.cells_of(settings), cross_study.configs_of(settings)
    return analysis.analyse(cells, configs, cross_study.features_of(settings), settings)


def test_the_matrix_keeps_the_first_of_detectors_that_are_plain_and_alike(tmp_path):
    # the same architecture and training data as the baseline
    found = small(tmp_path / "project", BASELINE, "simple_cnn_union")
    assert found.matrix["model"].tolist() == [BASELINE] * 2
    assert found.matrix["tested_on"].tolist() == [HOME, RESENT]


def test_one_away_data_set_and_one_detector_are_enough(tmp_path):
    found = small(tmp_path / "project", BASELINE)
    assert set(found.tests["question"]) == {"gap", "threshold", "class", "source"}
    assert analysis.metrics(found)["union_away_auc"] is None


def test_the_analysis_imports_no_torch():
    code = "import sys, deepfake.studies.generalization.analysis; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
