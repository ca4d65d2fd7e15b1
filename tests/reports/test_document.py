"""The summary: the plan's table, the key answers and the way to the rest."""

import pandas as pd
import pytest
from markdown_tables import links, tables

from deepfake.project import paths
from deepfake.reports import wording
from deepfake.studies import results
from deepfake.studies.phases import questions
from deepfake.studies.summary import page as summary_page

pytest_plugins = ["reported_study"]


@pytest.fixture
def summary(reported, monkeypatch) -> str:
    monkeypatch.chdir(reported[0])
    return paths().summary.read_text("utf-8")


def test_the_plans_summary_table_has_its_rows_and_a_conclusion(summary):
    plan = ["Phase", "Variable Tested", "Models", "Data", "Resolution", "Facecrop", "Augment", "CV"]
    shown = pd.read_csv(paths().table("summary_study"), dtype=str)
    assert list(shown) == [*plan, "Conclusion"]
    assert shown["Phase"].tolist() == ["1", "2A", "2A-Holdout", "2B", "2C", "2D", "2E", "3", "4A", "4B"]
    rows = shown.set_index("Phase")
    both = ["SimpleCNN, ResNet18", "75%"]
    assert rows.loc["1"].tolist()[1:-1] == [*both, "48", "No", "No", "4-fold stratified"]
    assert rows.loc["2A"].tolist()[1:-1] == ["ResNet18", "75%", "64", "No", "No", "4-fold stratified"]
    assert rows.loc["2B"].tolist()[1:-1] == [*both, "48/64", "No", "No", "4-fold stratified"]
    assert rows.loc["2C"].tolist()[1:-1] == [*both, "64", "±", "No", "4-fold stratified"]
    assert rows.loc["2E"].tolist()[1:-1] == [*both, "64", "Yes", "±", "4-fold stratified"]
    assert rows.loc["4A", "Data"] == "75/90/100%"
    assert rows.loc["4B", "Data"] == "100%"
    assert [*plan, "Conclusion"] in [found[0] for found in tables(summary)]


def test_conclusions_are_those_of_the_pages(summary):
    conclusions = pd.read_csv(paths().table("summary_study")).set_index("Phase")["Conclusion"]
    for phase, page in (("2B", "phase2"), ("3", "phase3"), ("4A", "phase4")):
        text = paths().page(page).read_text("utf-8")
        assert conclusions[phase][1:] in text


def test_key_answers_are_few_and_come_first(summary):
    _, answers, *_ = summary.split("\n## ")
    bullets = [line for line in answers.splitlines() if line.startswith("- ")]
    assert 5 <= len(bullets) <= 12
    assert "(phase4.md)" in bullets[0]
    assert any(line.endswith("Width alone tells fakes from reals. ([more](shortcuts.md))") for line in bullets)


def test_every_page_is_linked_and_shortcuts_only_when_there_is_something_to_say(reported, summary):
    pages = {f"{page}.md" for page in ("phase1", "phase2", "phase3", "phase4", "custom", "explain")}
    assert {link for link in links(summary) if link.endswith(".md")} == pages | {"shortcuts.md"}
    summary_page.write(reported[1])
    try:
        assert "shortcuts.md" not in links(paths().summary.read_text("utf-8"))
    finally:
        paths().summary.write_text(summary, "utf-8")


def test_scope_data_decision_and_custom_run_stand_in_it(reported, summary):
    settings = reported[1]
    assert wording.scope("quick", "sample") in summary
    assert "384 samples in 24 groups" in summary
    told = questions.phase2(results.read("phase2", settings), settings)
    assert told["decision"].text() in summary
    custom = results.read("custom", settings).row("custom")
    assert wording.learned(custom, settings.evaluation.confidence) in summary
