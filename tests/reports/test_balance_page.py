"""The page on class imbalance says what its tables say, and nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from markdown_tables import shown, table, tables

from balance_runs import BASELINE, BETTER, DOMAINS, NOISE, RUNS, SHIFTED
from deepfake.project import paths
from deepfake.studies.imbalance import findings as imbalance_findings
from deepfake.studies.imbalance import page as imbalance_page
from deepfake.studies.imbalance import results as imbalance_results
from deepfake.studies.operating_points import page as operating_points_page

pytest_plugins = ["balanced_study"]
FIGURES = ("training", "domains", "roc", "confusion", "reliability", "recall")


@pytest.fixture
def found(balance_found, balanced) -> imbalance_results.Found:
    return imbalance_results.read(balanced[1])


@pytest.fixture(scope="module")
def written(balanced, tmp_path_factory) -> Path:
    """A copy of the project with the page."""
    root = tmp_path_factory.mktemp("written") / "project"
    shutil.copytree(balanced[0], root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        imbalance_page.write(balanced[1])
        paths().summary.write_text("", "utf-8")
    return root


@pytest.fixture
def page(written, monkeypatch) -> str:
    monkeypatch.chdir(written)
    return paths().page("imbalance").read_text()


def test_the_page_and_its_figures_are_written(page):
    assert set(shown("imbalance")) == {f"imbalance/imbalance_{name}.png" for name in FIGURES}
    assert all(paths().figure(f"imbalance_{name}").stat().st_size > 10_000 for name in FIGURES)
    assert "1,440 samples of 36 groups, 144 of them real" in page
    assert "They also differ" not in page and "nan" not in page


def test_before_and_after_are_the_figures_of_the_table(page):
    rows = pd.read_csv(paths().table("imbalance"), dtype={"decision": str}).set_index(["experiment", "decision"])
    heading, *shown = table(page, "Experiment", "Recall (real), at 0.5")
    assert heading[1:] == [
        *("Recall (real), at 0.5", "Recall (real), tuned", "F1 (macro), at 0.5", "F1 (macro), tuned"),
        *("Precision/recall gap, at 0.5", "Precision/recall gap, tuned", "ROC AUC"),
    ]
    assert [cells[0] for cells in shown] == list(RUNS)
    for name, *cells in shown:
        for cell, (metric, decision) in zip(
            cells,
            [
                *((metric, decision) for metric in imbalance_results.DECIDED for decision in ("0.5", "tuned")),
                ("auc", "0.5"),
            ],
            strict=True,
        ):
            row = rows.loc[(name, decision)]
            low, high = row[f"{metric}_low"], row[f"{metric}_high"]
            assert cell.removesuffix(" †") == f"{row[metric]:.3f} [{low:.3f}, {high:.3f}]"
            assert cell.endswith("†") == (metric == "precision_recall_gap" and row["recall_real"] < 0.05)


def test_a_star_is_a_significant_test(page):
    tests = pd.read_csv(paths().table("imbalance_tests"), dtype={"decision": str})
    heading, *shown = table(page, "Experiment", "recall (real)", "F1 (macro)", "gap", "AUC")
    remedies = tests[tests["question"] == "remedy"]
    recall = remedies[(remedies["metric"] == "recall_real") & (remedies["decision"] == "0.5")].set_index("experiment")
    auc = remedies[remedies["metric"] == "auc"].set_index("experiment")
    assert [cells[0] for cells in shown] == list(RUNS)[1:]
    for cells in shown:
        assert cells[1].startswith(f"{recall.loc[cells[0], 'difference']:+.3f} ")
        assert ("*" in cells[1]) == recall.loc[cells[0], "significant"]
        assert ("*" in cells[heading.index("AUC")]) == auc.loc[cells[0], "significant"]


def test_the_classification_report_counts_all_held_out_samples(page):
    rows = [rows for rows in tables(page) if rows[0][:2] == ["Cut", "Class"]]
    assert len(rows) == 2
    for cells in rows:
        assert [row[-1] for row in cells[1:]] == ["144", "1,296", "1,440"] * 2


def told(found: imbalance_results.Found) -> str:
    return "\n".join(imbalance_findings.sentences(found))


def test_the_sentences_follow_from_the_tests(found):
    text, head = told(found), imbalance_findings.headline(found)
    recall, auc = (
        found.asked("remedy", *what).set_index("experiment")["difference"]
        for what in (("recall_real", "0.5"), ("auc",))
    )
    assert f"rises significantly for {SHIFTED} ({recall[SHIFTED]:+.3f}) and {BETTER} ({recall[BETTER]:+.3f})" in text
    assert f"AUC rises significantly for {BETTER} ({auc[BETTER]:+.3f})" in text
    assert f"more than a moved threshold for {BETTER}" in text
    assert f"cannot be told from a moved threshold for {SHIFTED}:" in text
    assert f"{BASELINE} at 0.5, {NOISE} at 0.5 and {DOMAINS} at 0.5" in text  # too few reals found for a gap
    assert "0.900" in text and "0.474" in text  # accuracy and F1 of calling everything fake: 18/19 and 0
    before, after = found.row(BASELINE, "0.5"), found.row(BASELINE, "tuned")
    for number in (f"{before['recall_real']:.1%}", f"{after['recall_real']:.1%}", f"{before['f1_macro']:.3f}"):
        assert number in head
    assert f"{before['recall_real']:.1%}" in text
    assert head.endswith(f"AUC is significantly higher for {BETTER}.") and "\n" not in head and "**" not in head


def test_nothing_significant_is_not_called_a_gain(found):
    quiet = replace(found, tests=found.tests.assign(significant=False))
    text = told(quiet)
    assert "no remedy is shown" in text and "changes significantly for none" in text
    assert "rises significantly" not in text and "falls significantly" not in text
    assert "no other experiment is significantly above" in imbalance_findings.headline(quiet)


def test_a_gain_without_better_ranking_is_a_moved_threshold(found):
    quiet = found.tests["metric"].eq("auc") | found.tests["question"].eq("beyond")
    same = replace(found, tests=found.tests.assign(significant=found.tests["significant"] & ~quiet))
    assert f"cannot be told from a moved threshold for {SHIFTED} and {BETTER}" in told(same)
    assert "more than a moved threshold" not in told(same)
    assert imbalance_findings.headline(same).endswith("higher for none.")


def test_a_loss_is_not_called_a_gain(found):
    tests = found.tests.copy()
    place = (tests["experiment"] == BETTER) & (tests["question"] == "remedy")
    tests.loc[place, ["difference", "low", "high"]] *= -1
    tests.loc[place, "significant"] = True
    text = told(replace(found, tests=tests))
    assert f"AUC falls significantly for {BETTER} (-" in text
    assert f"more than a moved threshold for {BETTER}" not in text


@pytest.mark.parametrize(
    ("learned", "guessing"),
    [([False] * 5, "No experiment"), ([True] * 5, ""), ([True] * 4 + [False], f"{DOMAINS} cannot")],
)
def test_guessing_is_told_first(found, learned, guessing):
    known = replace(found, experiments=found.experiments.assign(learned=learned))
    first = next(iter(imbalance_findings.sentences(known)))
    assert guessing in first and ("guessing" in first) is bool(guessing)
    assert ("guessing" in imbalance_findings.headline(known)) is not any(learned)


def test_the_plans_values_stand_beside_what_was_measured(balanced, page):
    rows = {cells[0]: cells for cells in table(page, "Metric", "Plan: before", "Plan: after")}
    assert rows["Recall (real)"][1:3] == ["30% to 40%", "60% to 75%"]
    assert rows["F1 (macro)"][1:3] == ["50% to 60%", "70% to 80%"]
    assert rows["Precision/recall gap"][1:3] == ["over 30%", "under 15%"]
    assert rows["ROC AUC"][1:3] == ["~70%", "over 85%"]
    measured = balanced[2].rows.set_index(["experiment", "decision"])
    assert rows["Recall (real)"][3:] == [
        f"{measured.loc[side, 'recall_real']:.1%}"
        for side in ((BASELINE, "0.5"), (BASELINE, "tuned"), (BETTER, "tuned"))
    ]
    reached = [name for name in RUNS if measured.loc[(name, "0.5"), "auc"] >= 0.85]
    assert reached == [BETTER]
    assert BETTER in page.split("**ROC AUC**: ")[1].splitlines()[0]


def test_domain_heads_are_held_against_chance(page):
    (sentence,) = [line for line in page.splitlines() if line.startswith(f"- **{DOMAINS}** (source)")]
    # of the synthetic history's last epoch, and of the most frequent domain
    for numbers in ("0.600 to 0.300", "1.200 to 1.300", "25.0% ± 0.0%", "33.", "+0.0000"):
        assert numbers in sentence
    assert "cannot be shown to change" in sentence


def test_calibration_is_told_by_its_interval(found):
    rows = found.calibration.head(3).assign(
        experiment=["a", "b", "c"],
        log_loss_low=[-0.3, 0.1, -0.1],
        log_loss_high=[-0.1, 0.3, 0.1],
        folds_at_bound=[0, 0, 2],
    )
    text = operating_points_page.calibrated(rows)
    words = [("lowers", "a ("), ("raises", "b ("), ("cannot be shown", "c ("), ("", "c (2)")]
    assert all(word in line and name in line for (word, name), line in zip(words, text, strict=True))


def test_experiments_that_cannot_be_paired_are_named(found):
    assert imbalance_findings.unpaired(found, list(RUNS)[1:]) == ""
    tests = found.tests[(found.tests["experiment"] != NOISE) | (found.tests["question"] == "threshold")]
    assert imbalance_findings.unpaired(replace(found, tests=tests), list(RUNS)[1:]).endswith(f": {NOISE}.")
