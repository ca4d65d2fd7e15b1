"""The summary: the plan's table, the key answers and the way to the rest."""

import pandas as pd
import pytest
from markdown_tables import tables

from deepfake import layout
from deepfake.reports import document

pytest_plugins = ["reported_study"]


@pytest.fixture
def summary(reported, monkeypatch) -> str:
    monkeypatch.chdir(reported[0])
    return layout.SUMMARY.read_text("utf-8")


def test_the_plans_summary_table_has_its_rows_and_a_conclusion(summary):
    plan = ["Phase", "Variable Tested", "Models", "Data", "Resolution", "Facecrop", "Augment", "CV"]
    shown = pd.read_csv(layout.table("study"), dtype=str)
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
    conclusions = pd.read_csv(layout.table("study")).set_index("Phase")["Conclusion"]
    for phase, page in (("2B", "phase2"), ("3", "phase3"), ("4A", "phase4")):
        text = layout.page(page).read_text("utf-8")
        assert conclusions[phase][1:] in text


def test_key_answers_are_few_and_come_first(summary):
    part = summary[summary.index("## Key answers") : summary.index("## The study")]
    bullets = [line for line in part.splitlines() if line.startswith("- ")]
    assert 5 <= len(bullets) <= 12
    assert bullets[0].startswith("- **Which model is the final one?**")
    assert "- **The audit for shortcuts:** Width alone tells fakes from reals. ([more](audit.md))" in bullets


def test_every_page_is_linked_and_the_audit_only_when_it_has_something_to_say(reported, summary):
    for page in ("phase1", "phase2", "phase3", "phase4", "custom", "explain", "audit"):
        assert f"({page}.md)" in summary
    document.write(reported[1])
    try:
        assert "audit.md" not in layout.SUMMARY.read_text("utf-8")
    finally:
        layout.SUMMARY.write_text(summary, "utf-8")


def test_scope_data_decision_custom_run_and_reading_stand_in_it(summary):
    headings = [line for line in summary.splitlines() if line.startswith("## ")]
    assert headings == [
        *("## Key answers", "## The study", "## What phase 2 decided", "## The custom run: simple_cnn", "## Data"),
        "## How to read this",
    ]
    assert "This is the quick preset" in summary
    assert "384 samples in 24 groups" in summary
    assert "**Which choices work best?**" in summary
    assert "dvc exp run -S model=NAME" in summary
