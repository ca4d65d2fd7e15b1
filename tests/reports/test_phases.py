"""The pages as a reader meets them."""

import re

import pandas as pd
import pytest
from markdown_tables import links, shown, tables
from PIL import Image

from deepfake import config
from deepfake.project import paths
from deepfake.reports import wording
from deepfake.studies import results
from deepfake.studies.phases import page as phases_page
from deepfake.studies.phases import questions

pytest_plugins = ["reported_study"]
PAGES = ["phase1", "phase2", "phase3", "phase4", "custom", "summary"]


@pytest.fixture
def there(reported, monkeypatch):
    monkeypatch.chdir(reported[0])
    return reported[1]


@pytest.mark.parametrize("name", PAGES)
def test_every_row_of_a_table_has_as_many_cells_as_its_heading(there, name):
    found = tables(paths().page(name).read_text("utf-8"))
    assert found
    for heading, *rows in found:
        assert rows
        assert {len(row) for row in rows} == {len(heading)}


@pytest.mark.parametrize("name", PAGES)
def test_no_number_is_missing_and_no_word_left_empty(there, name):
    text = paths().page(name).read_text("utf-8")
    for wrong in ("nan", "None)", "{", "}", "  ,", "()", "..", "Series", "Name:"):
        assert wrong not in re.sub(r"\]\([^)]*\)", "]", text), wrong


def test_links_lead_somewhere_and_all_figures_are_shown(there):
    pictures = {path for name in PAGES for path in shown(name)}
    assert {paths().reports / path for path in pictures} == set(paths().reports.glob("*/*.png"))
    for name in PAGES[:-2]:
        with Image.open(paths().reports / shown(name)[0]) as picture:
            picture.load()
            assert min(picture.size) > 200
            assert len(picture.convert("L").getcolors()) > 10
    for name, linked in (("phase2", "phase2/phase2d.csv"), ("phase4", "explain.md")):
        assert linked in links(paths().page(name).read_text("utf-8"))


def test_every_question_is_answered_once(there):
    found = {name: results.read(name, there) for name in ("phase2", "phase3", "phase4a", "phase4b")}
    told = {
        "phase2": questions.phase2(found["phase2"], there),
        "phase3": questions.phase3(found["phase3"], there),
        "phase4": questions.phase4(found["phase4a"], found["phase4b"], there),
    }
    assert [len(answers) for answers in told.values()] == [11, 4, 4]
    for name, answers in told.items():
        text = paths().page(name).read_text("utf-8")
        for answer in answers.values():
            assert text.count(answer.text()) == 1
    # the predictions have a geometry cue
    assert pd.read_csv(paths().table("phase2a_geometry"))["Δ"][1] < -0.1
    assert told["phase2"]["geometry"].short.startswith("yes")


def test_a_table_of_phase_2_varies_one_thing(there):
    found = results.read("phase2", there)
    for table in found.tests["table"].unique():
        pairs = found.pairs(table)
        ends = zip(pairs["baseline"], pairs["experiment"], strict=True)
        assert {len(wording._differing([config.config_of(name) for name in pair])) for pair in ends} == {1}, table


def test_a_page_written_again_is_the_same_bit_for_bit(there):
    written = [paths().page("phase2"), paths().figure("phase2_differences"), paths().table("phase2d")]
    before = [path.read_bytes() for path in written]
    phases_page.write("phase2", there)
    assert [path.read_bytes() for path in written] == before
