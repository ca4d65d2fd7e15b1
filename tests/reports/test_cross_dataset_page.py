"""The page on other data sets says what its tables say, and says nothing where nothing can be said."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from markdown_tables import shown, table, tables

import cross_study
from cross_study import BASELINE, EDITED, HOME, OTHER, QUALITY, RESENT
from cross_verdicts import KEPT, LOST, gaps, guessing, judged
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.studies.generalization import analysis, difficulty, findings
from deepfake.studies.generalization import page as generalization_page
from deepfake.studies.generalization import results as cross_tables

pytest_plugins = ["crossed_study"]
FIGURES = ("accuracy", "matrix", "sources", "thresholds")


@pytest.fixture(scope="module")
def written(crossed, tmp_path_factory) -> Path:
    """A copy of the project with the page."""
    root = tmp_path_factory.mktemp("written") / "project"
    shutil.copytree(crossed[0], root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        generalization_page.write(crossed[1])
        paths().summary.write_text("", "utf-8")
    return root


@pytest.fixture
def page(written, monkeypatch) -> str:
    monkeypatch.chdir(written)
    return paths().page("generalization").read_text()


def test_the_page_and_its_figures_are_written(page):
    assert set(shown("generalization")) == {f"generalization/generalization_{name}.png" for name in FIGURES}
    assert all(paths().figure(f"generalization_{name}").stat().st_size > 10_000 for name in FIGURES)
    assert "nan" not in page and "{" not in page


def test_the_plans_table_comes_first_and_has_the_figures_of_the_csv(page):
    heading, *rows = tables(page)[0]
    assert heading == [
        *("Dataset", "Total Files", "Accuracy", "Precision", "Recall", "F1 (fake)"),
        *("AUC", "EER", "Balanced accuracy"),
    ]
    known = pd.read_csv(paths().table("generalization"))
    assert [row[0] for row in rows] == [
        *(f"{HOME} (home)", EDITED, RESENT, "Original Eval (reported)", "Theirs: their files"),
    ]
    for cells, (_, of) in zip(rows[:3], known[known["model"] == BASELINE].iterrows(), strict=True):
        assert cells[1] == f"{of['files']:,.0f}"
        accuracy = [100 * of[f"accuracy{end}"] for end in ("", "_low", "_high")]
        assert cells[2] == "{:.1f} [{:.1f}, {:.1f}]".format(*accuracy)
        assert cells[6] == f"{of['auc']:.3f} [{of['auc_low']:.3f}, {of['auc_high']:.3f}]"
    assert rows[3][1:] == ["?", "99.7", *["-"] * 6]
    assert rows[4][2] == "60.0 [50.0, 70.0]" and rows[4][6] == "-"


def test_all_detectors_stand_in_the_second_table_and_guessing_is_marked(page):
    rows = table(page, "Detector", "Trained on")
    assert [row[0] for row in rows[1:]] == list(QUALITY)
    cells = {row[0]: row for row in rows[1:]}
    assert cells["simple_cnn_away"][2].endswith("†") and "†" not in cells[BASELINE][2]
    assert cells[BASELINE][2].endswith("(seen)") and "(seen)" not in cells[BASELINE][3]


def test_a_green_bar_is_held_against_naming_the_commoner_class(page):
    assert "75% on sample, 75% on sample_edited and 75% on sample_resent" in page


@pytest.mark.parametrize(
    ("edited", "resent", "words"),
    [
        (LOST, LOST, "loses significantly on all of sample_edited and sample_resent"),
        (LOST, KEPT, "loses significantly on sample_edited; on sample_resent it is not"),
        (KEPT, KEPT, "not shown to lose significantly anywhere"),
    ],
)
def test_the_first_answer_follows_from_the_gaps(found, edited, resent, words):
    *each, last = findings.generality(gaps(found, edited, resent))
    assert words in last
    assert [text.split("**")[1] for text in each] == [EDITED, RESENT]
    assert each[0].endswith("n = 384: significant." if edited is LOST else "n = 384: not significant.")


def test_an_improvement_is_no_loss(found):
    better = judged(gaps(found, LOST, LOST), {"difference": -0.1}, question="gap", model=BASELINE)
    assert "not shown to lose" in list(findings.generality(better))[-1]


def test_with_one_away_data_set_this_one_and_any_are_not_told_apart(found):
    rows = found.rows[found.rows["dataset"] != RESENT]
    alone = replace(gaps(found, LOST, LOST), rows=rows)
    alone = replace(alone, tests=alone.tests[alone.tests["dataset"] != RESENT])
    assert "cannot be told apart" in list(findings.generality(alone))[-1]


def test_a_detector_that_guesses_at_home_has_nothing_to_lose(found):
    lost = guessing(found, BASELINE, dataset=HOME)
    (only,) = findings.generality(lost)
    text = "\n".join(difficulty.sentences(lost))
    assert all(told.startswith("**Cannot be said**") and "AUC 0." in told for told in (only, text))
    assert "guessing" in findings.headline(lost)
    assert "threshold or ranking" not in text and "alone cost" not in text


def test_where_it_guesses_away_nothing_follows_for_classes_and_thresholds(found):
    lost = guessing(gaps(found, KEPT, LOST), BASELINE, dataset=EDITED)
    text = list(findings.generality(lost))
    assert text[0].endswith("nothing can be said.")
    told = [sentence for sentence in difficulty.sentences(lost) if sentence.startswith(f"**{EDITED}**")]
    assert len(told) == 3 and "cannot be said" in told[0]


@pytest.mark.parametrize(
    ("mends", "worse", "words"),
    [
        (LOST, LOST, "**both**"),
        (LOST, KEPT, "**the threshold**"),
        (KEPT, LOST, "**the ranking**"),
        (KEPT, KEPT, "**neither is shown**"),
    ],
)
def test_threshold_or_ranking_follows_from_both_tests(found, mends, worse, words):
    told = judged(gaps(found, LOST, worse), mends, question="threshold", model=BASELINE, dataset=RESENT)
    (sentence,) = [
        text for text in difficulty.sentences(told) if text.startswith(f"**{RESENT}**, threshold or ranking")
    ]
    assert words in sentence
    row = found.row(BASELINE, RESENT)
    assert f"{row['retuned_balanced_accuracy']:.1%} [" in sentence


def test_lost_fakes_and_accused_reals_are_told_by_their_tests(found):
    told = judged(found, LOST, question="class")
    edited, resent = [text for text in difficulty.sentences(told) if "'s own thresholds:" in text]
    assert "**fakes get lost" in edited  # fewer fakes are found
    assert "**reals get accused**" in resent  # all logits lie higher there
    row = found.sources.set_index(["model", "dataset", "source"]).loc[(BASELINE, RESENT, "wiki")]
    assert f"{row['called']:.1%} of the reals" in resent
    quiet = judged(found, KEPT, question="class")
    assert "neither lost fakes nor accused reals are shown" in "".join(difficulty.sentences(quiet))


def test_shared_manipulations_are_held_against_home_and_others_are_not(found):
    text = "\n".join(difficulty.sentences(found))
    assert "insight +" in text and text.count("None of them is in sample") == 1
    assert text.count("only conditions differ") == 1 and f"{RESENT} has the manipulations of {HOME}" in text


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (LOST | {"difference": -0.2, "low": -0.3, "high": -0.1}, f"**{EDITED} is harder than {RESENT}**"),
        (LOST | {"difference": 0.2, "low": 0.1, "high": 0.3}, f"**{EDITED} is easier than {RESENT}**"),
        (KEPT, f"{EDITED} and {RESENT} are not shown to differ"),
    ],
)
def test_conditions_and_manipulations_are_weighed_by_the_difference_of_the_away_sets(found, verdict, words):
    text = "\n".join(difficulty.sentences(judged(found, verdict, question="between")))
    assert words in text
    # the edited set has conditions of its own, so its manipulations are weighed against nothing
    assert ("manipulations and its own conditions" in text) == (verdict is not KEPT)
    if verdict is not KEPT:
        # the test is the edited minus the resent set, and is told the other way round
        ends = [-verdict[name] for name in ("difference", "high", "low")]
        assert "{:+.3f} [{:.3f}, {:.3f}]".format(*ends) in text


def test_data_sets_of_other_people_share_no_manipulations_by_name_alone(found):
    text = "\n".join(difficulty.sentences(replace(found, kin=frozenset())))
    assert "only conditions differ" not in text


def test_conditions_are_told_by_separability_and_by_what_the_score_follows(found):
    (text,) = [text for text in difficulty.sentences(found) if text.startswith(f"**{RESENT}**, conditions")]
    assert "width (median 184 → 120, separability 1.00)" in text
    assert "score moves with mean_r (+0." in text
    quiet = replace(found, features=found.features.assign(p_holm=1.0, separability=0.1))
    (text,) = [text for text in difficulty.sentences(quiet) if text.startswith(f"**{RESENT}**, conditions")]
    assert "no single feature" in text and "no feature is shown to move" in text


def test_a_data_set_that_can_be_learned_is_not_hard_in_itself(found):
    lifted = judged(found, LOST, question="elsewhere", dataset=EDITED)
    assert "**it is not hard in itself**" in "\n".join(difficulty.sentences(lifted))
    lost = guessing(found, "simple_cnn_away", dataset=EDITED)
    text = "\n".join(difficulty.sentences(lost))
    # not told from guessing is no finding
    assert "hard in itself cannot be said" in text


@pytest.mark.parametrize(
    ("architecture", "data", "words"),
    [
        (KEPT, LOST, "**the training data**"),
        (LOST, KEPT, "**the architecture**"),
        (LOST, LOST, "**both**"),
        (KEPT, KEPT, "**cannot be said**"),
    ],
)
def test_architecture_or_data_follows_from_both_comparisons(found, architecture, data, words):
    up = {"difference": 0.1, "low": 0.05, "high": 0.15}
    told = judged(found, architecture | up, question="architecture", dataset=EDITED)
    told = judged(told, data | up, question="data", dataset=EDITED)
    text = next(iter(findings.causes(told)))
    assert text.startswith(f"**{EDITED}** (part of the union") and words in text
    assert f"({OTHER}): +0.100 [0.050, 0.150]" in text and "(simple_cnn_union): +0.100" in text


def test_a_never_seen_data_set_is_told_apart_from_the_unions(found):
    text = list(findings.causes(found))[1]
    assert text.startswith(f"**{RESENT}** (never seen")


def test_a_significant_loss_helps_nobody(found):
    down = LOST | {"difference": -0.1, "low": -0.2, "high": -0.05}
    told = judged(judged(found, down, question="architecture"), down, question="data")
    assert "**cannot be said**" in next(iter(findings.causes(told)))
    assert "the union **costs**" in "\n".join(findings.causes(told))


def test_detectors_that_all_guess_are_not_ranked(found):
    lost = judged(found, LOST, dataset=EDITED)
    lost = guessing(lost, *QUALITY, dataset=EDITED)
    assert "**cannot be said**: none" in next(iter(findings.causes(lost)))
    for text in findings.recommendations(lost):
        assert f"{EDITED} cannot be said" in text
        assert f"**better** on {EDITED}" not in text


def test_without_a_union_the_third_question_cannot_be_answered(found):
    alone = replace(found, tests=found.tests[found.tests["question"] != "data"])
    assert "**cannot be said**: there is no detector" in next(iter(findings.causes(alone)))


def test_recommendations_are_told_with_what_they_cost(found):
    told = {text.split("**")[1]: text for text in findings.recommendations(found) if text.startswith("Fine-tuning:")}
    tests = found.asked("fine_tuning").set_index("dataset")
    text = told["simple_cnn_finetuned"]
    assert f"**better** on {EDITED}" in text and f"**worse** on {HOME}" in text
    assert "seen sample and sample_edited" in text
    assert f"{HOME} {tests.loc[HOME, 'difference']:+.3f} [" in text
    ensembles = [text for text in findings.recommendations(found) if text.startswith("An ensemble")]
    assert len(ensembles) == 4


def test_what_compared_detectors_differ_in_besides_is_told(page):
    besides = [line for line in page.splitlines() if line.startswith("- resnet_union and simple_cnn_union: ")]
    assert len(besides) == 1 and "epochs (" in besides[0]
    assert "- simple_cnn_union and simple_cnn_home" not in page


def test_the_people_are_those_of_the_baselines_home_wherever_that_is(crossed, found, tmp_path, monkeypatch):
    assert found.kin == {EDITED, RESENT}
    shutil.copytree(crossed[0], tmp_path / "turned")
    monkeypatch.chdir(tmp_path / "turned")
    rows = pd.read_csv(paths().table("generalization"))
    order = rows["model"].ne("simple_cnn_away").sort_values(kind="stable").index
    rows.loc[order].to_csv(paths().table("generalization"), index=False)
    turned = cross_tables.read(crossed[1])
    assert (turned.home, turned.kin) == (EDITED, {HOME, RESENT})


def test_detectors_that_are_plain_and_alike_have_a_page_too(tmp_path, monkeypatch):
    models = (BASELINE, "simple_cnn_union")
    settings = cross_study.settings_of(tmp_path / "project", *models, datasets=(RESENT,), union=(), replicates=100)
    monkeypatch.chdir(tmp_path / "project")
    cross_study.write_inputs(settings)
    analysis.write(cross_study.cells_of(settings), (), settings)
    generalization_page.write(settings)
    assert all(model in paths().page("generalization").read_text() for model in models)


def test_without_tables_one_is_told_what_to_run(tmp_path, crossed, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"generalization\.csv: .*deepfake generalization"):
        generalization_page.headline(crossed[1])
