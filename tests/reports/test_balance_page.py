"""The findings and the page on class imbalance say what its tables say."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from markdown_tables import shown, table, tables

from balance_runs import BASELINE, BETTER, DOMAINS, NOISE, RUNS, SHIFTED
from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.reports import findings as found_findings
from deepfake.studies.imbalance import findings as imbalance_findings
from deepfake.studies.imbalance import page as imbalance_page
from deepfake.studies.imbalance import results as imbalance_results

pytest_plugins = ["balanced_study"]
FIGURES = ("training", "domains", "roc", "confusion", "reliability", "decisions")
LABELS = {
    BASELINE: "plain BCE",
    SHIFTED: "focal loss",
    BETTER: "focal loss with balanced sampling",
    NOISE: "selection by macro F1",
    DOMAINS: "domain-adversarial training",
}


@pytest.fixture
def found(balance_found) -> imbalance_results.Found:
    return imbalance_results.read()


@pytest.fixture
def settings(balanced) -> Params:
    return balanced[1]


@pytest.fixture(scope="module")
def written(balanced, tmp_path_factory) -> Path:
    """A copy of the project with the page."""
    root = tmp_path_factory.mktemp("written") / "project"
    shutil.copytree(balanced[0], root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        imbalance_page.write(balanced[1])
        paths().page("summary").write_text("", "utf-8")
    return root


@pytest.fixture
def page(written, monkeypatch) -> str:
    monkeypatch.chdir(written)
    return paths().page("imbalance").read_text()


def test_the_page_and_its_figures_are_written(page):
    assert set(shown("imbalance")) == {f"imbalance/imbalance_{name}.png" for name in FIGURES}
    assert all(paths().figure(f"imbalance_{name}").stat().st_size > 10_000 for name in FIGURES)
    assert "nan" not in page


def test_the_first_thing_on_the_page_is_its_findings(page):
    findings = found_findings.read("imbalance")
    heading, *rows = tables(page)[0]
    assert heading == ["Question", "Answer", "Effect [interval]", "n (groups) × repeats"]
    assert rows == [[one.question, f"**{one.answer}**", one.figures, one.size] for one in findings.values()]
    assert [one.id for one in findings.key] == ["any.auc"]


def test_runs_are_called_by_what_they_do(found):
    assert found.labels == LABELS
    twins = found.experiments.assign(loss="bce", sampler="shuffle", monitor="auc", domain="none")
    assert imbalance_results.labels(twins) == dict.fromkeys([BASELINE], "plain BCE") | {
        name: name for name in list(RUNS)[1:]
    }


def test_findings_are_the_planned_contrasts(found, settings):
    findings = found_findings.Findings({one.id: one for one in imbalance_findings.of(found, settings)})
    for question in ("auc", "f1_tuned"):
        tests = found.asked(question).set_index("experiment")
        assert len(findings.below(question)) == len(RUNS) - 1
        for name, test in tests.iterrows():
            one = findings[f"{question}.{name}"]
            assert (one.verdict, one.effect) == (test["verdict"], pytest.approx(test["difference"]))
    for metric in ("recall_real", "f1_macro", "precision_recall_gap", "auc"):
        judged = found.expectations.set_index(["experiment", "metric"]).loc[(BETTER, metric)]
        one = findings[f"expected.{metric}"]
        assert (one.verdict, one.effect) == (judged["verdict"], pytest.approx(judged["value"]))
    assert findings["chance"].verdict == "above_chance"


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (["undecided", "better", "worse"], "better"),
        (["equivalent", "equivalent", "undecided"], "undecided"),
        (["worse", "undecided", "worse"], "undecided"),
        (["equivalent", "worse", "equivalent"], "equivalent"),
        (["worse", "worse", "worse"], "worse"),
    ],
)
def test_any_mitigation_helps_when_one_is_better(found, settings, words, verdict):
    auc = found.asked("auc").head(3).assign(verdict=words, difference=[0.3, 0.1, 0.2], low=0.0, high=0.4)
    changed = replace(found, tests=pd.concat([auc, found.tests[found.tests["question"] != "auc"]]))
    one = next(one for one in imbalance_findings.of(changed, settings) if one.id == "any.auc")
    assert one.verdict == verdict
    # the effect shown is the largest of those that have the verdict
    assert one.effect == max(auc["difference"][auc["verdict"] == verdict])


def test_without_another_run_nothing_is_asked_of_mitigations(found, settings):
    alone = replace(found, tests=found.tests[found.tests["question"] == "threshold"])
    ids = [one.id for one in imbalance_findings.of(alone, settings)]
    assert ids[:2] == ["chance", "threshold"] and all(one.startswith("expected.") for one in ids[2:])


def test_decisions_on_the_page_are_the_figures_of_the_table(page, found):
    heading, *cells = table(page, "Run", "Threshold", "Recall (real)")
    assert [row[0] for row in cells] == [LABELS[name] for name in RUNS for _ in range(3)]
    for row, (_, numbers) in zip(cells, found.rows.iterrows(), strict=True):
        for place, metric in ((2, "recall_real"), (3, "f1_macro"), (4, "precision_recall_gap"), (8, "auc")):
            low, high = numbers[f"{metric}_low"], numbers[f"{metric}_high"]
            expected = f"{numbers[metric]:.3f}" + ("" if pd.isna(low) else f" [{low:.3f}, {high:.3f}]")
            assert row[place] == expected, (row[0], heading[place])


def test_the_contrasts_on_the_page_are_those_of_the_table(page, found):
    _, *cells = table(page, "Run", "AUC", "Macro F1, both at 0.5")
    for place, question in enumerate(imbalance_page.QUESTIONS, start=1):
        tests = found.asked(question).set_index("experiment")
        for name, row in zip(RUNS, cells, strict=True):
            if name not in tests.index:
                assert row[place] == "-"
                continue
            test = tests.loc[name]
            assert row[place].startswith(f"{test['difference']:+.3f} ") and row[place].endswith(test["verdict"])


def test_the_classification_report_counts_all_held_out_samples(page):
    rows = [rows for rows in tables(page) if rows[0][:2] == ["Threshold", "Class"]]
    assert len(rows) == 2
    for cells in rows:
        assert [row[-1] for row in cells[1:]] == ["120", "1,080", "1,200"] * 3


def test_what_is_recommended_follows_from_the_verdicts(page):
    assert "Retrain with the mitigation that improves the AUC" in page


def test_the_domain_head_is_held_against_the_most_frequent_domain(page):
    heading, cells = table(page, "Run", "Domain")
    assert cells[:3] == [LABELS[DOMAINS], "source", "0.250"]
    assert float(cells[heading.index("Most frequent domain")]) == pytest.approx(1 / 3, abs=0.01)
