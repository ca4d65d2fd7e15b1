"""The page on class imbalance says what its tables say, and nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path

import markdown_tables
import pandas as pd
import pytest
from click.testing import CliRunner

from balance_runs import BASELINE, BETTER, DOMAINS, NOISE, RUNS, SHIFTED
from deepfake import cli, layout
from deepfake.reports import balance, balance_findings, balance_tables, cuts

pytest_plugins = ["balanced_study"]
FIGURES = ("training", "domains", "roc", "confusion", "reliability", "recall")


@pytest.fixture
def found(balance_found, balanced) -> balance_tables.Found:
    return balance_tables.read(balanced[1])


@pytest.fixture(scope="module")
def written(balanced, tmp_path_factory) -> Path:
    """A copy of the project in which the command has written the page."""
    root = tmp_path_factory.mktemp("written") / "project"
    shutil.copytree(balanced[0], root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        result = CliRunner().invoke(cli.main, ["balance"])
        assert result.exit_code == 0, result.output
        assert result.output.strip() == balance.headline(balanced[1])
    return root


@pytest.fixture
def page(written, monkeypatch) -> str:
    monkeypatch.chdir(written)
    return layout.page("balance").read_text()


def test_the_command_writes_page_and_figures(page):
    for name in FIGURES:
        assert f"(figures/balance_{name}.png)" in page
        assert layout.figure(f"balance_{name}").stat().st_size > 10_000
    assert page.startswith("# Class imbalance: what helps at 9.0 fakes for each real\n")
    assert "samples are left out until there are 9 fakes for each real" in page
    assert "1,440 samples of 36 groups, 144 of them real" in page
    assert "Holm's correction over all tests of a column" in page
    assert "All else is the same:" in page and "They also differ" not in page
    assert "nan" not in page


def table(page: str, *headings: str) -> list[list[str]]:
    return next(rows for rows in markdown_tables.tables(page) if rows[0][: len(headings)] == list(headings))


def test_before_and_after_are_the_figures_of_the_table(page):
    rows = pd.read_csv(layout.table("balance"), dtype={"decision": str}).set_index(["experiment", "decision"])
    heading, *shown = table(page, "Experiment", "Recall (real), at 0.5")
    assert heading[1:] == [
        *("Recall (real), at 0.5", "Recall (real), tuned", "F1, at 0.5", "F1, tuned"),
        *("Precision/recall gap, at 0.5", "Precision/recall gap, tuned", "ROC AUC"),
    ]
    assert [cells[0] for cells in shown] == list(RUNS)
    for name, *cells in shown:
        for cell, (metric, decision) in zip(
            cells,
            [
                *((metric, decision) for metric in balance_tables.DECIDED for decision in ("0.5", "tuned")),
                ("auc", "0.5"),
            ],
            strict=True,
        ):
            row = rows.loc[(name, decision)]
            low, high = row[f"{metric}_low"], row[f"{metric}_high"]
            assert cell.removesuffix(" †") == f"{row[metric]:.3f} [{low:.3f}, {high:.3f}]"
            assert cell.endswith("†") == (metric == "precision_recall_gap" and row["recall_real"] < 0.05)


def test_a_star_is_a_significant_test(page):
    tests = pd.read_csv(layout.table("balance_tests"), dtype={"decision": str})
    heading, *shown = table(page, "Experiment", "recall (real)", "F1", "gap", "AUC")
    remedies = tests[tests["question"] == "remedy"]
    recall = remedies[(remedies["metric"] == "recall_real") & (remedies["decision"] == "0.5")].set_index("experiment")
    auc = remedies[remedies["metric"] == "auc"].set_index("experiment")
    assert [cells[0] for cells in shown] == list(RUNS)[1:]
    for cells in shown:
        assert cells[1].startswith(f"{recall.loc[cells[0], 'difference']:+.3f} ")
        assert ("*" in cells[1]) == recall.loc[cells[0], "significant"]
        assert ("*" in cells[heading.index("AUC")]) == auc.loc[cells[0], "significant"]


def test_the_classification_report_counts_all_held_out_samples(page):
    rows = [rows for rows in markdown_tables.tables(page) if rows[0][:2] == ["Cut", "Class"]]
    assert len(rows) == 2
    for cells in rows:
        assert [row[-1] for row in cells[1:]] == ["144", "1,296", "1,440"] * 2


def test_the_sentences_follow_from_the_tests(found):
    text = "\n".join(balance_findings.sentences(found))
    recall = found.asked("remedy", "recall_real", "0.5").set_index("experiment")["difference"]
    assert (
        "both at probability 0.5: recall (real) rises significantly for "
        f"{SHIFTED} ({recall[SHIFTED]:+.3f}) and {BETTER} ({recall[BETTER]:+.3f})" in text
    )
    auc = found.asked("remedy", "auc").set_index("experiment")["difference"]
    assert f"The AUC rises significantly for {BETTER} ({auc[BETTER]:+.3f}), against **{BASELINE}**." in text
    assert f"is more than a moved threshold for {BETTER} (its AUC is significantly higher" in text
    assert f"it cannot be told from a moved threshold for {SHIFTED}:" in text
    assert f"Best epochs chosen by f1 ({NOISE}) in place of auc ({BASELINE}), with nothing else changed" in text
    assert f"Not counted: {BASELINE} at 0.5, {NOISE} at 0.5 and {DOMAINS} at 0.5" in text
    row = found.row(BASELINE, "0.5")
    assert f"**{BASELINE}** finds {row['recall_real']:.1%} of the reals" in text
    assert "held against 0.900, which calling everything fake would give; its F1 of" in text
    assert "against 0.474." in text  # F1 of 0 for the reals and 18/19 for the fakes


def test_nothing_significant_is_not_called_a_gain(found):
    quiet = replace(found, tests=found.tests.assign(significant=False))
    text = "\n".join(balance_findings.sentences(quiet))
    assert "**So** no remedy is shown to improve recall (real) or F1 at 0.5" in text
    assert "rises significantly" not in text and "falls significantly" not in text
    assert f"The AUC changes significantly for none (largest change: {BETTER}" in text
    assert "**Not significant does not mean equal.**" in text
    assert "no other experiment is significantly above it in F1" in balance_findings.headline(quiet)


def test_a_gain_without_better_ranking_is_a_moved_threshold(found):
    quiet = found.tests["metric"].eq("auc") | found.tests["question"].eq("beyond")
    same = replace(found, tests=found.tests.assign(significant=found.tests["significant"] & ~quiet))
    text = "\n".join(balance_findings.sentences(same))
    assert f"cannot be told from a moved threshold for {SHIFTED} and {BETTER}: neither the AUC" in text
    assert "is more than a moved threshold" not in text
    assert "not shown to exceed what moving its threshold gives; the AUC is significantly higher for none." in (
        balance_findings.headline(same)
    )


def test_a_loss_is_not_called_a_gain(found):
    tests = found.tests.copy()
    place = (tests["experiment"] == BETTER) & (tests["question"] == "remedy")
    tests.loc[place, ["difference", "low", "high"]] *= -1
    tests.loc[place, "significant"] = True
    text = "\n".join(balance_findings.sentences(replace(found, tests=tests)))
    assert f"The AUC falls significantly for {BETTER} (-" in text
    assert f"is more than a moved threshold for {BETTER}" not in text


def test_the_headline_has_the_numbers_of_the_baseline(found):
    before, after = found.row(BASELINE, "0.5"), found.row(BASELINE, "tuned")
    text = balance_findings.headline(found)
    assert text.startswith(
        f"At 9.0 fakes for each real {BASELINE} finds {before['recall_real']:.1%} of the reals at probability 0.5 and "
        f"{after['recall_real']:.1%} at tuned thresholds (F1 {before['f1_macro']:.3f} → {after['f1_macro']:.3f}); "
    )
    assert text.endswith(f"the AUC is significantly higher for {BETTER}.")
    assert text.count(".\n") == 0 and "**" not in text


@pytest.mark.parametrize(
    ("learned", "words"),
    [
        (
            [False] * 5,
            ("**No experiment can be told from guessing**", "no experiment can be told from guessing, so none"),
        ),
        ([True] * 5, ("All 5 experiments rank better than chance", "At 9.0 fakes")),
        ([True] * 4 + [False], (f"{DOMAINS} cannot be told from guessing", "At 9.0 fakes")),
    ],
)
def test_guessing_is_told_first(found, learned, words):
    told = replace(found, experiments=found.experiments.assign(learned=learned))
    assert next(iter(balance_findings.sentences(told))).startswith(words[0])
    assert words[1] in balance_findings.headline(told)


def test_the_plans_values_stand_beside_what_was_measured(balanced, page):
    rows = {cells[0]: cells for cells in table(page, "Metric", "Plan: before", "Plan: after")}
    assert rows["Recall (real)"][1:3] == ["30% to 40%", "60% to 75%"]
    assert rows["F1"][1:3] == ["50% to 60%", "70% to 80%"]
    assert rows["Precision/recall gap"][1:3] == ["over 30%", "under 15%"]
    assert rows["ROC AUC"][1:3] == ["~70%", "over 85%"]
    measured = balanced[2].rows.set_index(["experiment", "decision"])
    assert rows["Recall (real)"][3:] == [
        f"{measured.loc[side, 'recall_real']:.1%}"
        for side in ((BASELINE, "0.5"), (BASELINE, "tuned"), (BETTER, "tuned"))
    ]
    reached = [name for name in RUNS if measured.loc[(name, "0.5"), "auc"] >= 0.85]
    assert reached == [BETTER]
    assert f"what it expects after is reached by {BETTER}.\n" in page.split("**ROC AUC**: ")[1]
    assert f"**Recall (real)**: {BASELINE} at 0.5 lies below what the plan expects before" in page
    assert f"{BASELINE} at 0.5 finds too few reals for its gap to say anything" in page


def test_domain_heads_are_held_against_chance(page):
    # of the synthetic history's last epoch
    assert f"**{DOMAINS}** (source): from the first to the last epoch" in page
    assert "class loss goes from 0.600 to 0.300, the domain loss from 1.200 to 1.300" in page
    assert "right in 25.0% ± 0.0% of the samples, where the most frequent domain makes up 33." in page
    assert "The variance of the per-source AUC cannot be shown to change against balance_bce: +0.0000" in page


def test_calibration_is_told_by_its_interval(found):
    rows = found.calibration.head(3).assign(
        experiment=["a", "b", "c"],
        log_loss_low=[-0.3, 0.1, -0.1],
        log_loss_high=[-0.1, 0.3, 0.1],
        folds_at_bound=[0, 0, 2],
    )
    text = cuts.calibrated(rows)
    assert [sentence.split(" (")[0] for sentence in text[:3]] == [
        "Temperature scaling lowers the held-out log loss of a",
        "Temperature scaling raises the held-out log loss of b",
        "Temperature scaling cannot be shown to change the held-out log loss of c",
    ]
    assert text[3].startswith("In some folds (their number in brackets) the temperature of c (2) is the greatest")


def test_experiments_that_cannot_be_paired_are_named(found):
    assert balance_findings.unpaired(found, list(RUNS)[1:]) == ""
    tests = found.tests[(found.tests["experiment"] != NOISE) | (found.tests["question"] == "threshold")]
    told = balance_findings.unpaired(replace(found, tests=tests), list(RUNS)[1:])
    assert told == f"Not compared with {BASELINE}, since held out on other samples: {NOISE}."
