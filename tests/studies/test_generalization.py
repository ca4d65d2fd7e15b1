"""The comparison across data sets finds what was put into made-up predictions, and nothing else."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import spearmanr
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

import cross_study
from cross_study import BASELINE, EDITED, IN_DOMAIN, OTHER, RESENT
from deepfake import modalities
from deepfake.evaluation import influence, resampling, thresholds, verdicts
from deepfake.project import paths
from deepfake.reports import findings as stored
from deepfake.studies.generalization import analysis, contrasts, external, findings, page
from deepfake.studies.generalization.analysis import Found

pytest_plugins = ["crossed_study"]


@pytest.fixture(scope="module")
def cells(crossed):
    return {(cell.experiment, cell.dataset): cell for cell in cross_study.cells_of(crossed[1])}


def asked(frame: pd.DataFrame, **values: str) -> pd.DataFrame:
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def row(found: Found, experiment: str, dataset: str) -> pd.Series:
    return found.trained.set_index(["experiment", "dataset"]).loc[(experiment, dataset)]


def between_groups(rows: pd.DataFrame) -> float:
    """Return the mean over folds of the share of won pairs of different groups, by comparing every pair."""
    values = []
    for _, part in rows.groupby("fold"):
        fakes, reals = part[part["label"] == 1], part[part["label"] == 0]
        wins = np.sign(fakes["logit"].to_numpy()[:, None] - reals["logit"].to_numpy()) / 2 + 0.5
        values.append(wins[fakes["group"].to_numpy()[:, None] != reals["group"].to_numpy()].mean())
    return float(np.mean(values))


def test_there_is_a_row_for_each_detector_and_data_set_and_then_for_external_ones(crossed, found):
    names = list(crossed[1].studies.generalization.runs)
    assert list(zip(found.trained["experiment"], found.trained["dataset"], strict=True)) == [
        (name, dataset) for name in names for dataset in (IN_DOMAIN, EDITED, RESENT)
    ]
    assert found.cells["kind"].tolist() == ["trained"] * 27 + ["reported", "predictions"]
    assert found.cells["samples"].tolist() == pytest.approx([384] * 27 + [np.nan, 120], nan_ok=True)
    reported, theirs = (found.cells.iloc[place] for place in (-2, -1))
    assert reported["accuracy"] == 0.997 and np.isnan(reported["accuracy_low"]) and np.isnan(reported["f1"])
    assert theirs["f1_high"] == 0.7 and np.isnan(theirs["auc"])


@pytest.mark.parametrize("dataset", [IN_DOMAIN, EDITED, RESENT])
def test_figures_are_independently_those_of_the_held_out_samples(found, cells, dataset):
    cell, of = cells[BASELINE, dataset], row(found, BASELINE, dataset)
    rows = cell.held_out
    assert of["auc"] == pytest.approx(between_groups(rows))
    usual = [roc_auc_score(part["label"], part["logit"]) for _, part in rows.groupby("fold")]
    assert of["auc_all"] == pytest.approx(np.mean(usual))
    inner = cell.joined[cell.joined["subset"] == "validation"].groupby("fold")
    retuned = {fold: thresholds.youden(part["label"], part["logit"]) for fold, part in inner}
    shipped = rows["logit"] >= rows["fold"].map(cell.thresholds)
    for name, figure in {
        "accuracy": accuracy_score,
        "f1": f1_score,
        "balanced_accuracy": balanced_accuracy_score,
    }.items():
        assert of[name] == pytest.approx(figure(rows["label"], shipped))
        assert of[f"{name}_low"] <= of[name] <= of[f"{name}_high"]
    moved = balanced_accuracy_score(rows["label"], rows["logit"] >= rows["fold"].map(retuned))
    assert of["retuned_balanced_accuracy"] == pytest.approx(moved)


def test_held_out_samples_choose_no_threshold(cells):
    cell = cells[BASELINE, EDITED]
    held_out = cell.joined["subset"] == "held_out"
    raised = cell.joined["logit"].where(~held_out, cell.joined["logit"] + 100)
    assert replace(cell, joined=cell.joined.assign(logit=raised)).predicted_fake_retuned.all()


def test_gaps_stand_where_a_detector_was_trained_on_one_data_set_and_not_the_other(found):
    gaps = asked(found.gaps, metric="auc")
    assert asked(gaps, experiment=BASELINE)["dataset"].tolist() == [EDITED, RESENT]
    assert asked(gaps, experiment="backbone_combined")["dataset"].tolist() == [RESENT]
    target = asked(gaps, experiment="backbone_target")
    assert target["dataset"].tolist() == [IN_DOMAIN, RESENT] and set(target["reference"]) == {EDITED}
    for test in gaps.to_dict("records"):
        inside, outside = (row(found, test["experiment"], test[side]) for side in ("reference", "dataset"))
        assert test["difference"] == pytest.approx(outside["auc"] - inside["auc"], abs=2e-6)
        assert (inside["in_domain"], outside["in_domain"]) == (1, 0)


def test_a_gap_is_paired_by_the_people_of_both_data_sets(crossed, found, cells):
    evaluation = crossed[1].evaluation
    own = [cells[BASELINE, dataset] for dataset in (IN_DOMAIN, EDITED, RESENT)]
    figures = [resampling.trained_models(influence.difference(own[0].auc, cell.auc)) for cell in own[1:]]
    test = asked(found.gaps, metric="auc", experiment=BASELINE)
    for verdict, (_, stored_row) in zip(
        verdicts.compare(figures, evaluation.rope, evaluation.confidence), test.iterrows(), strict=True
    ):
        assert (verdict.word, stored_row["groups"]) == (stored_row["verdict"], 24)
        assert [verdict.low, verdict.high, verdict.p] == pytest.approx(
            stored_row[["low", "high", "p"]].tolist(), abs=1e-5
        )
    # other people: the same figures, each with a spread of its own
    strangers = replace(own[1], joined=own[1].joined.assign(group="other/" + own[1].joined["group"]))
    apart = resampling.trained_models(influence.difference(own[0].auc, strangers.auc))
    assert apart.n_groups == 48 and apart.value == pytest.approx(figures[0].value)
    assert apart.se == pytest.approx(np.hypot(*(resampling.trained_models(each.auc).se for each in own[:2])), rel=1e-6)


def test_detectors_are_compared_by_what_they_were_trained_under(crossed, monkeypatch):
    root, settings, _ = crossed
    monkeypatch.chdir(root)
    assert list(map(tuple, contrasts.pairs(cross_study.configs_of(settings), settings))) == [
        ("architecture", OTHER, BASELINE),
        ("combined", "backbone_combined", BASELINE),
        ("architecture", "other_combined", "backbone_combined"),
        ("combined", "other_combined", OTHER),
        ("target", "backbone_target", BASELINE),
        ("invariant", "backbone_combined_invariant", "backbone_combined"),
        ("fine_tuning", "backbone_finetuned", BASELINE),
        ("fine_tuning_or_target", "backbone_finetuned", "backbone_target"),
        *(("ensemble", name, member) for name in ("ensemble_mean", "ensemble_fitted") for member in (BASELINE, OTHER)),
    ]


def test_what_was_put_in_is_found(found):
    combined = asked(found.contrasts, question="combined", baseline=BASELINE).set_index("dataset")
    assert combined["verdict"].to_dict() == {IN_DOMAIN: "undecided", EDITED: "better", RESENT: "undecided"}
    aucs = [row(found, name, EDITED)["auc"] for name in ("backbone_combined", BASELINE)]
    assert combined.loc[EDITED, "difference"] == pytest.approx(aucs[0] - aucs[1], abs=2e-6)
    tuned = asked(found.contrasts, question="fine_tuning").set_index("dataset")["verdict"]
    assert tuned.to_dict() == {IN_DOMAIN: "worse", EDITED: "better", RESENT: "worse"}
    for question in ("architecture", "invariant"):
        assert not asked(found.contrasts, question=question)["verdict"].isin(["better", "worse"]).any()
    between = asked(found.gaps, metric="between").iloc[0]
    assert (between["reference"], between["dataset"], between["verdict"]) == (EDITED, RESENT, "better")


def test_a_shift_of_all_logits_costs_reals_and_the_threshold_fixes_it(found):
    recall = {side: asked(found.gaps, metric=f"recall_{side}", dataset=RESENT).iloc[0] for side in ("real", "fake")}
    assert recall["real"]["verdict"] == "worse" and recall["fake"]["difference"] > 0
    moved = asked(found.gaps, metric="retuned").set_index("dataset")["difference"]
    assert moved[RESENT] > 0.03 and moved[RESENT] > moved[EDITED]


def test_only_sources_of_both_data_sets_have_gaps_of_their_own(found):
    sources = asked(found.gaps, metric="source_auc")
    assert sources["dataset"].unique().tolist() == [RESENT]
    assert sources["source"].tolist() == ["inpainting", "insight", "text2img"]


def test_sources_are_held_against_all_reals(found, cells):
    known = found.sources.set_index(["experiment", "dataset", "source"])
    rows = cells[BASELINE, IN_DOMAIN].held_out
    weak = known.loc[(BASELINE, IN_DOMAIN, "insight")]
    assert weak["auc"] == pytest.approx(between_groups(rows[rows["source"].isin(["wiki", "insight"])]))
    assert weak["samples"] == 96 and weak["auc"] < known.loc[(BASELINE, IN_DOMAIN, "text2img"), "auc"]


def test_features_are_those_of_the_reals_and_the_score_is_followed_on_all(crossed, found, cells):
    rows = found.features.set_index(["dataset", "feature"])
    shifted = rows.loc[(RESENT, "width"), ["in_domain_median", "out_of_domain_median", "separability"]]
    assert shifted.tolist() == [184, 120, 1]
    assert rows.loc[(RESENT, "format"), ["in_domain_value", "out_of_domain_share"]].tolist() == ["JPEG", 1]
    assert pd.isna(rows.loc[(RESENT, "width"), "correlation"])  # the same for all of them
    # the only thing that the logits were made to follow
    assert {feature for _, feature in rows[rows["p"] <= 0.05].index} == {"mean_r"}
    held_out = cells[BASELINE, EDITED].held_out.merge(cross_study.features_of(crossed[1])[EDITED], on="sample_id")
    expected = [spearmanr(part["logit"], part["mean_r"])[0] for _, part in held_out.groupby(["fold", "label"])]
    assert rows.loc[(EDITED, "mean_r"), "correlation"] == pytest.approx(np.mean(expected))


def test_what_detectors_were_trained_on_is_told(found):
    assert row(found, "backbone_combined", EDITED)["trained_on"] == "sample + sample_edited"
    assert row(found, "backbone_finetuned", EDITED)["trained_on"] == "sample, then sample_edited"
    recipes = found.trained.drop_duplicates("experiment").set_index("experiment")["recipe"]
    assert recipes[["backbone_combined_invariant", "backbone_finetuned", "ensemble_mean"]].tolist() == [
        *("domain-invariant", "fine-tuned", "ensemble"),
    ]


def test_a_detector_at_chance_is_not_above_it(found):
    assert row(found, BASELINE, IN_DOMAIN)["chance"] == "above_chance"
    assert row(found, "backbone_target", IN_DOMAIN)["chance"] != "above_chance"


def test_metrics_average_the_same_data_sets_on_both_sides(found):
    figures = json.loads(paths().study_metrics("generalization").read_text())
    assert list(figures) == ["in_domain_auc", "out_of_domain_auc", "gap", "unseen_auc", "best_unseen_auc", "runs"]
    assert list(figures["runs"]) == list(cross_study.RUNS)
    others = np.mean([row(found, BASELINE, dataset)["auc"] for dataset in (EDITED, RESENT)])
    assert figures["out_of_domain_auc"] == pytest.approx(others, abs=1e-6)
    assert figures["gap"] == pytest.approx(others - row(found, BASELINE, IN_DOMAIN)["auc"], abs=1e-6)
    # the one data set that no detector was trained on
    assert figures["unseen_auc"] == pytest.approx(row(found, BASELINE, RESENT)["auc"], abs=1e-6)
    best = max(row(found, name, RESENT)["auc"] for name in cross_study.RUNS)
    assert figures["best_unseen_auc"] == pytest.approx(best, abs=1e-6)


def test_the_baseline_is_in_domain_where_it_was_trained_whatever_the_studys_data_set_is(found):
    order = found.cells["experiment"].ne("backbone_target").sort_values(kind="stable").index
    turned = found._replace(cells=found.cells.loc[order])
    assert (turned.in_domain, turned.out_of_domain) == (EDITED, [IN_DOMAIN, RESENT])


def test_findings_repeat_the_verdicts_and_the_keys_are_the_gaps_and_what_narrows_them(found):
    told = {one.id: one for one in findings.of(found)}
    assert [name for name, one in told.items() if one.key] == [
        *(f"gap.{EDITED}", f"gap.{RESENT}", f"combined.backbone_combined.{RESENT}"),
    ]
    gap = asked(found.gaps, metric="auc", experiment=BASELINE, dataset=EDITED).iloc[0]
    one = told[f"gap.{EDITED}"]
    assert (one.verdict, one.effect, one.low, one.p) == ("worse", gap["difference"], gap["low"], gap["p"])
    assert one.question == "Is SimpleCNN as good on sample_edited as on sample?"
    assert told[f"combined.backbone_combined.{RESENT}"].question.endswith("on sample_resent, which neither saw?")
    assert told[f"combined.backbone_combined.{EDITED}"].verdict == "better"
    assert told[f"chance.{EDITED}"].effect == row(found, BASELINE, EDITED)["auc"]
    assert f"combined.other_combined.{EDITED}" not in told
    own = [one for one in told.values() if one.id.startswith("ensemble.")]
    assert len(own) == 4


def test_a_detector_at_chance_has_nothing_to_lose(found):
    cells = found.cells.copy()
    cells.loc[(cells["experiment"] == BASELINE) & (cells["dataset"] == IN_DOMAIN), "chance"] = "undecided"
    for other in (found, found._replace(cells=cells)):
        notes = [one.note for one in findings.of(other) if one.id == f"gap.{EDITED}"]
        assert notes == (
            ["It is not above chance on sample, so it has nothing to lose."] if other is not found else [""]
        )


def test_with_all_data_sets_in_the_union_the_key_is_about_those(found):
    cells = found.cells.copy()
    cells.loc[cells["experiment"] == "backbone_combined", "in_domain"] = 1
    cells.loc[cells["experiment"] == "other_combined", "in_domain"] = 1
    keys = [one.id for one in findings.of(found._replace(cells=cells)) if one.key]
    assert keys[2:] == [f"combined.backbone_combined.{dataset}" for dataset in (EDITED, RESENT)]


@pytest.fixture(scope="module")
def written(crossed):
    root, settings, _ = crossed
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        stored.write(analysis.NAME, findings.of(analysis.read()))
        page.write(settings)
        return paths().page(analysis.NAME).read_text("utf-8")


def test_the_page_begins_with_the_findings_and_ends_with_recommendations_and_conditions(written):
    headings = [line for line in written.splitlines() if line.startswith("#")]
    assert headings == [
        "# Generalization to other data sets",
        *("## The comparison", "## Train set by test set", "## What makes a data set harder"),
        *("## Architecture or training data", "## Recommendations", "## Conditions"),
    ]
    first = written.splitlines().index("| Question | Answer | Effect [interval] | n (groups) × repeats |")
    assert first < written.splitlines().index("## The comparison")
    assert "| Fine-tuned (`backbone_finetuned`) | sample_edited | - | sample, sample_resent | - |" in written
    assert "nan" not in written


def test_the_designs_table_has_external_rows_with_what_is_known(written):
    lines = [line for line in written.splitlines() if line.startswith("| Original Eval")]
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        *("Original Eval (reported): its own", "?", "99.7%", *["-"] * 7),
    ]
    theirs = next(line for line in written.splitlines() if line.startswith("| Theirs"))
    assert "60.0% [50.0%, 70.0%]" in theirs


def test_all_that_the_page_links_is_there(crossed, written):
    links = [part.split(")")[0] for part in written.split("](")[1:] if not part.startswith("summary")]
    assert len(links) >= 9
    assert all((crossed[0] / "reports" / link).exists() for link in links)


def small(root, *names: str) -> tuple:
    """Compare some detectors, with a union of the study's data set alone."""
    settings = cross_study.settings_of(root, *names, datasets=(RESENT,), union=())
    cells, configs = cross_study.cells_of(settings), cross_study.configs_of(settings)
    return settings, analysis.analyse(
        cells, configs, cross_study.features_of(settings), modalities.load("image").FAMILIES, settings
    )


def test_one_data_set_and_one_detector_are_enough(tmp_path, monkeypatch):
    settings, found = small(tmp_path / "project", BASELINE)
    assert set(found.gaps["metric"]) == {"auc", "recall_fake", "recall_real", "source_auc", "retuned"}
    assert found.contrasts.empty
    assert analysis.metrics(found)["unseen_auc"] == analysis.metrics(found)["best_unseen_auc"]
    monkeypatch.chdir(tmp_path / "project")
    cross_study.write_inputs(settings)
    analysis.write(cross_study.cells_of(settings), [], settings)
    stored.write(analysis.NAME, findings.of(analysis.read()))
    page.write(settings)
    assert "Recommendations" not in paths().page(analysis.NAME).read_text("utf-8")


def test_the_analysis_imports_no_torch():
    code = "import sys, deepfake.studies.generalization.analysis; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- predictions in the two formats of the documents, from the catalog to the page

NAMED = {
    "in_the_wild": ("In-The-Wild", "results.csv", "file", "label", ("bona-fide", "spoof")),
    "fake_or_real": ("Fake-or-Real", "results_fake_or_real.csv", None, "true", ("real", "fake")),
}


def predicted_rows(key: str, samples: int = 300) -> pd.DataFrame:
    """Make predictions as the notebooks save them: the true label and the predicted one in words."""
    _, _, file, truth, words = NAMED[key]
    rng = np.random.default_rng(len(key))
    labels = rng.integers(0, 2, samples)
    called = np.where(rng.random(samples) < 0.7, labels, 1)
    frame = pd.DataFrame({truth: [words[label] for label in labels], "pred": [words[label] for label in called]})
    if file is not None:
        frame.insert(0, file, [f"{number}.wav" for number in range(samples)])
    return frame


@pytest.mark.parametrize("key", NAMED)
def test_predictions_of_the_catalog_become_the_row_of_the_documents(tmp_path, monkeypatch, key):
    settings, _ = small(tmp_path / "project", BASELINE)
    monkeypatch.chdir(tmp_path / "project")
    cross_study.write_inputs(settings)
    title, name, _, truth, words = NAMED[key]
    made = predicted_rows(key)
    paths().external_predictions.mkdir(parents=True, exist_ok=True)
    made.to_csv(paths().external_predictions / name, index=False)
    catalog = yaml.safe_load(paths().catalog.read_text("utf-8"))
    catalog["predictions"] = {key: {"title": "Their detector", "file": name, "dataset": title}}
    paths().catalog.write_text(yaml.safe_dump(catalog))
    analysis.write(cross_study.cells_of(settings), external.rows(settings), settings)
    stored.write(analysis.NAME, findings.of(analysis.read()))
    page.write(settings)
    (line,) = (
        line for line in paths().page(analysis.NAME).read_text("utf-8").splitlines() if line.startswith("| Their ")
    )
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[:2] == [f"Their detector: {title}", "300"]
    # as the documents compute them
    positive = {"pos_label": words[1], "zero_division": np.nan}
    expected = [
        accuracy_score(made[truth], made["pred"]),
        *(figure(made[truth], made["pred"], **positive) for figure in (precision_score, recall_score, f1_score)),
    ]
    assert [cell.split("%")[0] for cell in cells[2:6]] == [f"{100 * value:.1f}" for value in expected]
    assert all(cell.endswith("%]") for cell in cells[2:6])
