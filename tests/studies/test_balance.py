"""The study of class imbalance, on predictions of known quality."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn import metrics as sk

import synthetic_study
from balance_runs import BASELINE, BETTER, DOMAINS, NOISE, RUNS, SHIFTED, write_project
from deepfake import cli, tables
from deepfake.config.params import Params
from deepfake.errors import InputError
from deepfake.evaluation import thresholds
from deepfake.project import paths
from deepfake.studies.imbalance import analysis as imbalance
from deepfake.studies.imbalance import page
from deepfake.studies.operating_points import analysis as operating_points
from deepfake.tables import results as result_tables

pytest_plugins = ["balanced_study"]


def held_out(name: str, subset: str = "held_out") -> list[pd.DataFrame]:
    """Return the samples of each fold with labels, straight from the two tables."""
    label_of = pd.read_parquet(paths().manifest("sample")).set_index("sample_id")["label"]
    rows = pd.read_parquet(paths().predictions(name)).query("subset == @subset")
    rows["label"] = label_of.loc[rows["sample_id"]].to_numpy()
    return [part for _, part in rows.groupby("fold")]


def record(name: str, fold: int) -> dict:
    return json.loads(paths().checkpoint_record(name, fold).read_text())


def by_hand(name: str, threshold_of) -> dict:
    """Return scikit-learn's figures of all folds' decisions, each fold at the logit that its record gives."""
    folds = held_out(name)
    called = np.concatenate(
        [(rows["logit"] >= threshold_of(record(name, fold))).astype(int) for fold, rows in enumerate(folds)]
    )
    labels = pd.concat(folds)["label"]
    precision, recall, f1, _ = sk.precision_recall_fscore_support(labels, called, zero_division=0)
    (true_reals, false_fakes), (false_reals, true_fakes) = sk.confusion_matrix(labels, called)
    return {
        "recall_real": recall[0],
        "precision_real": precision[0],
        "f1_real": f1[0],
        "recall_fake": recall[1],
        "f1_fake": f1[1],
        "f1_macro": sk.f1_score(labels, called, average="macro"),
        "precision_recall_gap": abs(precision[0] - recall[0]),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, called),
        "accuracy": sk.accuracy_score(labels, called),
        "counts": [true_fakes, false_fakes, true_reals, false_reals],
    }


THRESHOLDS = {
    "0.5": lambda of: 0.0,
    "youden": lambda of: of["threshold"],
    "best_f1": lambda of: of["thresholds"]["best_f1"],
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("decision", THRESHOLDS)
def test_decisions_are_what_scikit_learn_says_of_all_folds_together(balance_found, name, decision):
    expected = by_hand(name, THRESHOLDS[decision])
    expected.pop("counts")
    row = balance_found.rows.set_index(["experiment", "decision"]).loc[(name, decision)]
    for metric in expected:
        assert row[metric] == pytest.approx(expected[metric], abs=1e-12), metric
    for metric in ("recall_real", "f1_macro", "auc"):
        assert 0 <= row[f"{metric}_low"] - 1e-12 <= row[metric] <= row[f"{metric}_high"] + 1e-12 <= 1 + 2e-12
    samples = pd.concat(held_out(name))
    assert (row["samples"], row["reals"]) == (len(samples), (samples["label"] == 0).sum())
    assert row["ratio"] == pytest.approx(9.0, rel=0.05)


def test_a_gap_says_nothing_where_hardly_any_real_is_found(balance_found):
    rows = balance_found.rows
    scarce = rows["recall_real"] < imbalance.SCARCE
    assert scarce.sum() >= 3
    assert rows["precision_recall_gap_low"].isna().equals(scarce)
    judged = balance_found.expectations.set_index(["experiment", "metric"])
    assert not judged["reason"].str.contains("recalled").any()  # at the best-F1 threshold all find some


def test_every_threshold_is_there_with_its_counts(balance_found):
    table = balance_found.thresholds
    assert table.groupby("experiment", sort=False)["rule"].agg(list).tolist() == [
        ["0.3", "0.4", "0.5", "0.6", "0.7", *(rule for rule in thresholds.RULES if rule != "half")]
    ] * len(RUNS)
    known = table.set_index(["experiment", "rule"])
    for rule, of in {
        "0.7": lambda of: logit(0.7),
        "best_f1": lambda of: of["thresholds"]["best_f1"],
        "fpr_5": lambda of: of["thresholds"]["fpr_5"],
    }.items():
        row, expected = known.loc[(SHIFTED, rule)], by_hand(SHIFTED, of)
        assert row[["true_fakes", "false_fakes", "true_reals", "false_reals"]].tolist() == expected["counts"]
        assert row["f1_macro"] == pytest.approx(expected["f1_macro"])
        assert row["probability"] == pytest.approx(np.median([expit(of(record(SHIFTED, fold))) for fold in range(4)]))


def examined(name: str, settings) -> operating_points.Examined:
    return operating_points.examine(operating_points.read([name], settings)[name], settings)


def test_thresholds_are_those_of_the_records_and_see_no_held_out_sample(balance_copy):
    before = examined(BASELINE, balance_copy)
    predictions = tables.read(paths().predictions(BASELINE), tables.PREDICTIONS)
    outside = predictions["subset"].isin(["held_out", "test"])
    predictions.loc[outside, "logit"] *= -1
    tables.write(predictions, paths().predictions(BASELINE), tables.PREDICTIONS)
    after = examined(BASELINE, balance_copy)
    assert after.points["probability"].tolist() == before.points["probability"].tolist()
    assert after.calibration["temperature"] == before.calibration["temperature"]
    assert after.points["recall_fake"].tolist() != before.points["recall_fake"].tolist()
    for fold in range(4):
        changed = record(BASELINE, fold)
        changed["thresholds"]["youden"] = 99.0
        tables.write_text(json.dumps(changed), paths().checkpoint_record(BASELINE, fold))
    tuned = examined(BASELINE, balance_copy).points.set_index("rule").loc["youden"]
    assert (tuned["recall_real"], tuned["recall_fake"]) == (1, 0)


def asked(found: imbalance.Found, question: str) -> pd.DataFrame:
    return found.tests.query("question == @question").set_index("experiment")


def test_what_truly_helps_is_better_and_noise_is_not(balance_found):
    assert asked(balance_found, "auc")["verdict"].to_dict() == dict.fromkeys([SHIFTED, NOISE, DOMAINS], "undecided") | {
        BETTER: "better"
    }
    half = asked(balance_found, "f1_half")
    assert half["verdict"][[SHIFTED, BETTER]].tolist() == ["better"] * 2 and half["verdict"][NOISE] != "better"
    tuning = asked(balance_found, "threshold")
    assert tuning["verdict"].to_dict() == dict.fromkeys(RUNS, "better") | {BETTER: "equivalent"}
    words = set(balance_found.tests["verdict"])
    assert words <= {"better", "worse", "equivalent", "undecided"}


def test_a_shift_of_all_logits_is_no_more_than_a_moved_threshold(balance_found):
    for question in ("auc", "f1_tuned"):
        assert asked(balance_found, question).loc[SHIFTED, "difference"] == pytest.approx(0, abs=1e-12)
        assert asked(balance_found, question).loc[BETTER, "low"] > 0.02


@pytest.mark.parametrize(("question", "threshold_of"), [("f1_half", "0.5"), ("f1_tuned", "best_f1")])
def test_both_sides_are_decided_by_the_same_rule(balance_found, question, threshold_of):
    here, there = (by_hand(name, THRESHOLDS[threshold_of])["f1_macro"] for name in (BASELINE, BETTER))
    test = asked(balance_found, question).loc[BETTER]
    assert test["difference"] == pytest.approx(there - here)
    assert (test["samples"], test["groups"], test["repeats"]) == (len(pd.concat(held_out(BASELINE))), 30, 1)


def test_tuning_holds_a_run_against_itself(balance_found):
    test = asked(balance_found, "threshold").loc[NOISE]
    before, after = (by_hand(NOISE, THRESHOLDS[rule])["f1_macro"] for rule in ("0.5", "best_f1"))
    assert test["difference"] == pytest.approx(after - before) and test["baseline"] == NOISE


def test_what_the_design_expects_is_held_against_each_run(balance_found):
    judged = balance_found.expectations.set_index(["metric", "experiment"])
    for metric, expected in imbalance.EXPECTED.items():
        rows = judged.loc[metric]
        assert list(rows.index) == list(RUNS) and (rows["target"] == expected.target).all()
        value = by_hand(BETTER, THRESHOLDS[expected.decision])[metric] if expected.decision else None
        assert value is None or rows.loc[BETTER, "value"] == pytest.approx(value)
        assert rows.loc[BETTER, "verdict"] == "better"
        decided = rows[rows["verdict"].isin(["better", "worse"])]
        above = decided["low"] > expected.target
        assert ((decided["verdict"] == "better") == (above if metric != "precision_recall_gap" else ~above)).all()
    assert judged.loc[("recall_real", BASELINE), "verdict"] == "worse"


def test_calibration_is_what_scikit_learn_says(balance_found):
    row = balance_found.calibration.set_index("experiment").loc[SHIFTED]
    temperatures = [record(SHIFTED, fold)["temperature"] for fold in range(4)]
    ends = [row[f"temperature{end}"] for end in ("", "_low", "_high")]
    assert ends == pytest.approx([np.median(temperatures), min(temperatures), max(temperatures)])
    for when, divisors in (("before", [1] * 4), ("after", temperatures)):
        pairs = [
            (rows["label"], expit(rows["logit"] / by)) for rows, by in zip(held_out(SHIFTED), divisors, strict=True)
        ]
        assert row[f"brier_{when}"] == pytest.approx(np.mean([sk.brier_score_loss(*pair) for pair in pairs]))
        assert row[f"log_loss_{when}"] == pytest.approx(np.mean([sk.log_loss(*pair) for pair in pairs]))
        assert 0 < row[f"ece_floor_{when}"] < row[f"ece_{when}"]
    assert row["log_loss_change"] == pytest.approx(row["log_loss_after"] - row["log_loss_before"])
    assert row["log_loss_low"] < row["log_loss_change"] < row["log_loss_high"]
    bins = balance_found.reliability.query("experiment == @SHIFTED")
    assert bins.groupby("scaled")["samples"].sum().tolist() == [len(pd.concat(held_out(SHIFTED)))] * 2


def test_all_is_written_and_metrics_have_stable_keys(balance_found):
    for part, frame in zip(imbalance.PARTS, balance_found, strict=True):
        written = result_tables.read(f"imbalance{part}")
        assert list(written) == list(frame) and len(written) == len(frame)
    found = json.loads(paths().study_metrics("imbalance").read_text())
    half, youden, best = (row for _, row in balance_found.rows.head(3).iterrows())
    assert list(found.pop("runs")) == list(RUNS)
    words = {word: int((balance_found.tests["verdict"] == word).sum()) for word in ("better", "worse")}
    assert found.pop("equivalent") + found.pop("undecided") + sum(words.values()) == len(balance_found.tests)
    assert found == words | {
        "baseline_recall_real": round(half["recall_real"], 6),
        "baseline_f1": round(half["f1_macro"], 6),
        "baseline_youden_recall_real": round(youden["recall_real"], 6),
        "baseline_youden_f1": round(youden["f1_macro"], 6),
        "baseline_best_f1_recall_real": round(best["recall_real"], 6),
        "baseline_best_f1_f1": round(best["f1_macro"], 6),
        "best_auc": round(balance_found.rows["auc"].max(), 6),
    }


def test_how_each_was_trained_stands_beside_what_it_ranks(balance_found):
    rows = balance_found.experiments.set_index("experiment")
    assert rows.loc[BETTER, ["loss", "sampler", "monitor", "domain"]].tolist() == ["focal", "weighted", "auc", "none"]
    assert rows.loc[NOISE, "monitor"] == "f1_macro"
    assert rows.loc[NOISE, "best_epochs"] == "1 1 1 1"
    # three fake sources of one size; the reals have one source and take no part
    assert rows.loc[DOMAINS, "domain_chance"] == pytest.approx(1 / 3, abs=0.01)
    assert rows["domain_chance"].isna().sum() == len(RUNS) - 1
    assert rows.loc[BASELINE, "chance"] == "above_chance" and np.isnan(rows.loc[BASELINE, "source_auc_variance_change"])


def narrowed(settings: Params, *names: str) -> Params:
    """Return params whose study has these runs alone."""
    study = settings.studies.imbalance
    study = study.model_copy(update={"runs": {name: study.runs[name] for name in names}, "detail": (BASELINE,)})
    return settings.model_copy(update={"studies": settings.studies.model_copy(update={"imbalance": study})})


def test_a_study_of_one_run_has_a_page(balance_copy):
    settings = narrowed(balance_copy, BASELINE)
    found = imbalance.run(settings)
    assert found.tests["question"].tolist() == ["threshold"]
    assert page.write(settings).startswith("Is plain BCE above chance? yes (AUC 0.")
    asked = "Does tuning the threshold alone improve macro F1 of plain BCE?"
    assert asked in paths().page("imbalance").read_text(encoding="utf-8")
    assert paths().page("imbalance").exists()


def test_runs_are_compared_on_the_samples_that_both_held_out(balance_copy):
    predictions = tables.read(paths().predictions(NOISE), tables.PREDICTIONS)
    last = predictions.index[predictions["subset"] == "held_out"][-1]
    tables.write(predictions.drop(last), paths().predictions(NOISE), tables.PREDICTIONS)
    found = imbalance.run(narrowed(balance_copy, BASELINE, NOISE))
    samples = found.tests.set_index(["question", "experiment"])["samples"]
    whole = samples["threshold", BASELINE]
    assert (samples["auc", NOISE], samples["f1_tuned", NOISE]) == (whole - 1, whole - 1)


def test_a_run_that_was_not_trained_is_named(tmp_path, monkeypatch):
    settings = write_project(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    synthetic_study.write_manifest(settings)
    with pytest.raises(InputError, match=r"predictions\.parquet: not found; run deepfake train balance_bce"):
        imbalance.run(settings)


def test_one_run_is_shown_at_every_threshold(balance_copy, runner):
    result = runner.invoke(cli.main, ["thresholds", BETTER])
    assert result.exit_code == 0, result.output
    written = paths().page(f"thresholds_{BETTER}").read_text()
    expected = examined(BETTER, balance_copy).points.set_index("rule")
    for rule, name in (("0.3", "0.3"), ("best_f1", "best F1"), ("youden", "Youden's J (shipped)")):
        row = next(line for line in result.output.splitlines() if line.startswith(f"| {name} "))
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[3] == f"{expected.loc[rule, 'recall_real']:.3f}"
        assert cells[6] == f"{expected.loc[rule, 'f1_macro']:.3f}"
        assert row in written
    for kind in ("roc", "confusion", "reliability"):
        figure = paths().figure(f"thresholds_{BETTER}_{kind}")
        assert str(figure.relative_to(paths().reports)) in written
        assert figure.stat().st_size > 10_000
    assert not paths().page("imbalance").exists()


def test_thresholds_of_what_was_not_trained_is_one_line_and_exit_2(balance_copy, runner):
    result = runner.invoke(cli.main, ["thresholds", "balance_sampler"])
    assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1
    assert "predictions.parquet: not found; run deepfake train balance_sampler, or dvc repro" in result.stderr


def test_epochs_are_blind_only_where_everything_is_predicted_fake(balance_copy):
    for fold, recall_fake in enumerate([1.0, 0.99, 1.0, 1.0]):
        changed = record(BASELINE, fold)
        changed["metrics"] |= {"validation_recall_real": 0.0, "validation_recall_fake": recall_fake}
        tables.write_text(json.dumps(changed), paths().checkpoint_record(BASELINE, fold))
    found = imbalance.run(narrowed(balance_copy, BASELINE))
    assert found.experiments["blind_folds"].tolist() == [3]
