"""The study of class imbalance, on predictions of known quality."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from scipy.special import expit
from sklearn import metrics as sk
from statsmodels.stats.multitest import multipletests

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

pytest_plugins = ["balanced_study"]


def held_out(name: str, subset: str = "held_out") -> list[pd.DataFrame]:
    """Return the samples of each fold with labels, straight from the two tables."""
    label_of = pd.read_parquet(paths().manifest("sample")).set_index("sample_id")["label"]
    rows = pd.read_parquet(paths().predictions(name)).query("subset == @subset")
    rows["label"] = label_of.loc[rows["sample_id"]].to_numpy()
    return [part for _, part in rows.groupby("fold")]


def record(name: str, fold: int) -> dict:
    return json.loads(paths().checkpoint_record(name, fold).read_text())


def by_hand(name: str, cut_of) -> pd.DataFrame:
    """Return scikit-learn's figures of each fold, cut at the logit that a function of its record gives."""
    found = []
    for fold, rows in enumerate(held_out(name)):
        called = (rows["logit"] >= cut_of(record(name, fold))).astype(int)
        precision, recall, f1, _ = sk.precision_recall_fscore_support(rows["label"], called, zero_division=0)
        (true_reals, false_fakes), (false_reals, true_fakes) = sk.confusion_matrix(rows["label"], called)
        found.append(
            {
                "recall_real": recall[0],
                "precision_real": precision[0],
                "f1_real": f1[0],
                "recall_fake": recall[1],
                "f1_fake": f1[1],
                "f1_macro": sk.f1_score(rows["label"], called, average="macro"),
                "precision_recall_gap": abs(precision[0] - recall[0]),
                "balanced_accuracy": sk.balanced_accuracy_score(rows["label"], called),
                "accuracy": sk.accuracy_score(rows["label"], called),
                "auc": sk.roc_auc_score(rows["label"], rows["logit"]),
                "counts": (true_fakes, false_fakes, true_reals, false_reals),
            }
        )
    return pd.DataFrame(found)


CUTS = {"0.5": lambda of: 0.0, "tuned": lambda of: of["threshold"]}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("decision", CUTS)
def test_before_and_after_are_what_scikit_learn_says(balance_found, name, decision):
    expected = by_hand(name, CUTS[decision]).drop(columns="counts")
    row = balance_found.rows.set_index(["experiment", "decision"]).loc[(name, decision)]
    for metric in expected:
        assert row[metric] == pytest.approx(expected[metric].mean(), abs=1e-12), metric
    for metric in (*imbalance.COMPARED, "auc"):
        assert row[f"{metric}_std"] == pytest.approx(expected[metric].std(ddof=1))
        assert row[f"{metric}_low"] - 1e-12 <= row[metric] <= row[f"{metric}_high"] + 1e-12
        assert row[f"{metric}_fold_low"] <= row[metric] <= row[f"{metric}_fold_high"]
    samples = pd.concat(held_out(name))
    assert (row["samples"], row["reals"]) == (len(samples), (samples["label"] == 0).sum())
    assert row["ratio"] == pytest.approx(9.0, rel=0.05)


def test_every_cut_is_there_with_its_counts(balance_found):
    table = balance_found.cuts
    assert table.groupby("experiment", sort=False)["cut"].agg(list).tolist() == [
        ["0.3", "0.4", "0.5", "0.6", "0.7", *(rule for rule in thresholds.RULES if rule != "half")]
    ] * len(RUNS)
    known = table.set_index(["experiment", "cut"])
    for cut, of in {
        "0.7": lambda of: np.log(7 / 3),
        "best_f1": lambda of: of["thresholds"]["best_f1"],
        "fpr_5": lambda of: of["thresholds"]["fpr_5"],
    }.items():
        row, expected = known.loc[(SHIFTED, cut)], by_hand(SHIFTED, of)
        counts = np.array(expected["counts"].tolist()).sum(axis=0)
        assert row[["true_fakes", "false_fakes", "true_reals", "false_reals"]].tolist() == counts.tolist()
        assert row["f1_macro"] == pytest.approx(expected["f1_macro"].mean())
        assert row["recall_fake_std"] == pytest.approx(expected["recall_fake"].std(ddof=1))
        assert row["probability"] == pytest.approx(np.mean([expit(of(record(SHIFTED, fold))) for fold in range(4)]))
    tuned = known.loc[(BASELINE, thresholds.TUNED)]
    assert tuned["f1_macro"] == balance_found.rows.query("decision == 'tuned'").iloc[0]["f1_macro"]


def examined(name: str, settings) -> operating_points.Examined:
    return operating_points.examine(operating_points.read([name], settings)[name], settings)


def test_thresholds_are_those_of_the_records_and_see_no_held_out_sample(balance_copy):
    before = examined(BASELINE, balance_copy)
    predictions = tables.read(paths().predictions(BASELINE), tables.PREDICTIONS)
    outside = predictions["subset"].isin(["held_out", "test"])
    predictions.loc[outside, "logit"] *= -1
    tables.write(predictions, paths().predictions(BASELINE), tables.PREDICTIONS)
    after = examined(BASELINE, balance_copy)
    assert after.folds["threshold"].tolist() == before.folds["threshold"].tolist()
    assert after.calibration["temperature"] == before.calibration["temperature"]
    assert after.folds["recall_fake"].tolist() != before.folds["recall_fake"].tolist()
    for fold in range(4):
        changed = json.dumps(record(BASELINE, fold) | {"threshold": 99.0})
        tables.write_text(changed, paths().checkpoint_record(BASELINE, fold))
    tuned = examined(BASELINE, balance_copy).folds.query("rule == 'tuned'")
    assert (tuned["recall_real"] == 1).all() and (tuned["recall_fake"] == 0).all()


def asked(found: imbalance.Found, question: str, metric: str, decision: str) -> pd.DataFrame:
    tests = found.tests.query("question == @question and metric == @metric and decision == @decision")
    return tests.set_index("experiment")


def test_what_truly_raises_recall_is_significant_and_noise_is_not(balance_found):
    recall = asked(balance_found, "remedy", "recall_real", "0.5")
    assert recall["significant"].to_dict() == {SHIFTED: True, BETTER: True, NOISE: False, DOMAINS: False}
    assert (recall.loc[[SHIFTED, BETTER], "low"] > 0.2).all()
    tuning = asked(balance_found, "threshold", "recall_real", "tuned")
    assert (tuning.loc[[BASELINE, DOMAINS], "difference"] > 0.5).all()
    auc = asked(balance_found, "remedy", "auc", "")
    assert auc["significant"].to_dict() == {SHIFTED: False, BETTER: True, NOISE: False, DOMAINS: False}


def test_a_shift_of_all_logits_is_no_more_than_a_moved_threshold(balance_found):
    assert asked(balance_found, "remedy", "auc", "").loc[SHIFTED, "difference"] == pytest.approx(0, abs=1e-12)
    for metric in imbalance.COMPARED:
        assert asked(balance_found, "remedy", metric, "tuned").loc[SHIFTED, "difference"] == pytest.approx(0, abs=1e-12)
    for metric, decision in imbalance.MOVED.items():
        beyond = asked(balance_found, "beyond", metric, decision)
        assert beyond.loc[SHIFTED, "difference"] == pytest.approx(0, abs=1e-12)
        assert not beyond.loc[SHIFTED, "significant"]
        assert beyond.loc[BETTER, "low"] > 0


def test_both_thresholds_are_those_chosen_for_the_metric(balance_found):
    here, there = (by_hand(name, lambda of: of["thresholds"]["best_f1"])["f1_macro"] for name in (BASELINE, BETTER))
    test = asked(balance_found, "beyond", "f1_macro", "best_f1").loc[BETTER]
    assert test["difference"] == pytest.approx((there - here).mean())
    parts = pd.read_parquet(paths().predictions(BASELINE))["subset"].value_counts()
    share = parts["held_out"] / (parts["train"] + parts["validation"])
    error = np.sqrt((1 / 4 + share) * (there - here).var(ddof=1))
    assert test["p_ttest"] == pytest.approx(2 * scipy.stats.t.sf(abs((there - here).mean() / error), 3))


def test_holm_runs_over_all_tests_of_a_column(balance_found):
    tests = balance_found.tests
    families = tests.groupby(["question", "decision", "metric"])
    sizes = {
        question: {len(rows) for (name, *_), rows in families if name == question} for question, *_ in families.groups
    }
    assert sizes == {"remedy": {4}, "threshold": {5}, "beyond": {4}}
    assert len(families) == 2 * 3 + 1 + 3 + 2
    for _, rows in families:
        for kind in ("p_bootstrap", "p_ttest"):
            assert rows[f"{kind}_holm"].tolist() == pytest.approx(multipletests(rows[kind], method="holm")[1].tolist())
    both = (tests["p_bootstrap_holm"] <= 0.05) & (tests["p_ttest_holm"] <= 0.05)
    assert tests["significant"].tolist() == both.tolist()


def test_calibration_is_what_scikit_learn_says(balance_found):
    row = balance_found.calibration.set_index("experiment").loc[SHIFTED]
    temperatures = [record(SHIFTED, fold)["temperature"] for fold in range(4)]
    assert row["temperature"] == pytest.approx(np.mean(temperatures))
    for when, divisors in (("before", [1] * 4), ("after", temperatures)):
        pairs = [
            (rows["label"], expit(rows["logit"] / by)) for rows, by in zip(held_out(SHIFTED), divisors, strict=True)
        ]
        assert row[f"brier_{when}"] == pytest.approx(np.mean([sk.brier_score_loss(*pair) for pair in pairs]))
        assert row[f"log_loss_{when}"] == pytest.approx(np.mean([sk.log_loss(*pair) for pair in pairs]))
    assert row["ece_low"] < row["ece_change"] < row["ece_high"]
    bins = balance_found.reliability.query("experiment == @SHIFTED")
    assert bins.groupby("scaled")["samples"].sum().tolist() == [len(pd.concat(held_out(SHIFTED)))] * 2


def test_all_is_written_and_metrics_have_stable_keys(balance_found):
    for part, frame in zip(imbalance.PARTS, balance_found, strict=True):
        written = pd.read_csv(paths().table(f"imbalance{part}"))
        assert list(written) == list(frame) and len(written) == len(frame)
    found = json.loads(paths().study_metrics("imbalance").read_text())
    rows = balance_found.rows
    learned = balance_found.experiments.query("learned")["experiment"].tolist()
    assert len(learned) > 2
    assert list(found.pop("runs")) == list(RUNS)
    assert found == {
        "baseline_recall_real": round(rows.iloc[0]["recall_real"], 6),
        "baseline_f1": round(rows.iloc[0]["f1_macro"], 6),
        "baseline_tuned_recall_real": round(rows.iloc[1]["recall_real"], 6),
        "baseline_tuned_f1": round(rows.iloc[1]["f1_macro"], 6),
        "best_auc": round(rows["auc"].max(), 6),
        "significant_differences": int(
            balance_found.tests.query("metric != 'precision_recall_gap' and experiment in @learned")[
                "significant"
            ].sum()
        ),
    }


def test_how_each_was_trained_stands_beside_what_it_ranks(balance_found):
    rows = balance_found.experiments.set_index("experiment")
    assert rows.loc[BETTER, ["loss", "sampler", "monitor", "domain"]].tolist() == ["focal", "weighted", "auc", "none"]
    assert rows.loc[NOISE, "monitor"] == "f1_macro"
    assert rows.loc[NOISE, "best_epochs"] == "1 1 1 1" and rows.loc[NOISE, "best_epoch"] == 1
    # three fake sources of one size; the reals have one source and take no part
    assert rows.loc[DOMAINS, "domain_chance"] == pytest.approx(1 / 3, abs=0.01)
    assert rows["domain_chance"].isna().sum() == len(RUNS) - 1
    assert rows.loc[BASELINE, "learned"] and np.isnan(rows.loc[BASELINE, "source_auc_variance_change"])


def narrowed(settings: Params, *names: str) -> Params:
    """Return params whose study has these runs alone."""
    study = settings.studies.imbalance
    study = study.model_copy(update={"runs": {name: study.runs[name] for name in names}, "detail": (BASELINE,)})
    return settings.model_copy(update={"studies": settings.studies.model_copy(update={"imbalance": study})})


@pytest.mark.parametrize("names", [(BASELINE,), (BASELINE, NOISE)], ids=["one run", "nothing to compare it with"])
def test_runs_that_were_held_out_on_other_samples_are_not_paired(balance_copy, names):
    predictions = tables.read(paths().predictions(NOISE), tables.PREDICTIONS)
    last = predictions.index[predictions["subset"] == "held_out"][-1]
    tables.write(predictions.drop(last), paths().predictions(NOISE), tables.PREDICTIONS)
    settings = narrowed(balance_copy, *names)
    found = imbalance.run(settings)
    assert set(found.tests["question"]) == {"threshold"}
    assert set(found.rows["experiment"]) == set(names)
    page.write(settings)
    told = f"Not compared with {BASELINE}, since held out on other samples: {NOISE}."
    assert (told in paths().page("imbalance").read_text()) is (NOISE in names)


def test_a_run_that_was_not_trained_is_named(tmp_path, monkeypatch):
    settings = write_project(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    synthetic_study.write_manifest(settings)
    with pytest.raises(InputError, match=r"predictions\.parquet: not found; run deepfake train balance_bce"):
        imbalance.run(settings)


def test_one_experiment_is_shown_at_every_threshold(balance_copy, runner):
    result = runner.invoke(cli.main, ["thresholds", BETTER])
    assert result.exit_code == 0, result.output
    written = paths().page(f"thresholds_{BETTER}").read_text()
    expected = examined(BETTER, balance_copy).cuts.set_index("cut")
    for cut, name in (("0.3", "0.3"), ("best_f1", "best F1"), ("youden", "Youden's J (tuned)")):
        row = next(line for line in result.output.splitlines() if line.startswith(f"| {name} "))
        assert f"{expected.loc[cut, 'f1_macro']:.3f} ± {expected.loc[cut, 'f1_macro_std']:.3f}" in row
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


def test_epochs_are_blind_only_where_everything_is_called_fake(balance_copy):
    for fold, recall_fake in enumerate([1.0, 0.99, 1.0, 1.0]):
        changed = record(BASELINE, fold)
        changed["metrics"] |= {"validation_recall_real": 0.0, "validation_recall_fake": recall_fake}
        tables.write_text(json.dumps(changed), paths().checkpoint_record(BASELINE, fold))
    found = imbalance.run(narrowed(balance_copy, BASELINE))
    assert found.experiments["blind_folds"].tolist() == [3]
