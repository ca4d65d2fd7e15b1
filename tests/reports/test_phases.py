"""The pages as a reader meets them."""

import re
from pathlib import Path

import pandas as pd
import pytest
from markdown_tables import tables
from PIL import Image

from deepfake import layout
from deepfake.reports import phases

pytest_plugins = ["reported_study"]
PAGES = ["phase1", "phase2", "phase3", "phase4", "custom", "summary"]
FIGURES = [
    *("phase1_auc", "phase1_curves", "phase1_roc", "custom_auc", "custom_curves", "custom_roc"),
    *("phase2_differences", "phase2_shortcuts", "phase3_size", "phase3_curves", "phase4_scaling", "phase4_sources"),
]


@pytest.fixture
def there(reported, monkeypatch):
    monkeypatch.chdir(reported[0])


@pytest.mark.parametrize("name", PAGES)
def test_every_row_of_a_table_has_as_many_cells_as_its_heading(there, name):
    found = tables(layout.page(name).read_text("utf-8"))
    assert found
    for heading, *rows in found:
        assert rows
        assert {len(row) for row in rows} == {len(heading)}


@pytest.mark.parametrize("name", PAGES)
def test_no_number_is_missing_and_no_word_left_empty(there, name):
    text = layout.page(name).read_text("utf-8")
    for wrong in ("nan", "None)", "{", "}", "  ,", "()", "..", "Series", "Name:"):
        assert wrong not in re.sub(r"\]\([^)]*\)", "]", text), wrong


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(there, name):
    text = layout.page(name).read_text("utf-8")
    made = ("sample", "sample_edited", "sample_resent", "views", "augmentation")
    elsewhere = {"audit.md", "explain.md", *(f"figures/{name}.png" for name in made)}
    for link in set(re.findall(r"\]\(([^)]+)\)", text)) - elsewhere:
        assert (layout.REPORTS / link).exists(), link


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_pictures(there, name):
    with Image.open(layout.figure(name)) as picture:
        picture.load()
        assert min(picture.size) > 200
        assert len(picture.convert("L").getcolors()) > 10


def test_no_other_figure_is_written(there):
    assert {path.stem for path in layout.FIGURES.iterdir()} == set(FIGURES)


@pytest.mark.parametrize(
    ("name", "questions"),
    [
        (
            "phase2",
            [
                "Does higher resolution improve performance?",
                "Does face cropping improve performance?",
                "Does augmentation without face crop improve or hurt performance?",
                "Does augmentation with face crop improve or hurt it, beside face crop alone?",
                "Does augmentation interact with face cropping?",
                "Does augmentation without face crop remove shortcuts?",
                "Does augmentation with face crop remove shortcuts?",
                "Is geometry a cue?",
                "Are colour statistics a cue?",
                "Are features specific to the sources trained on?",
                "Which choices work best?",
            ],
        ),
        ("phase3", ["Which architectures are best?", "Which differ from the baselines?", "Do more parameters help?"]),
        ("phase3", ["Does depth help (ResNet 18 → 34 → 50)?"]),
        ("phase4", ["Does more data improve performance?", "Which model is the final one?", "What are its errors?"]),
        ("phase4", ["What stays undecided between the final models?"]),
    ],
)
def test_every_question_of_the_plan_is_answered_once(there, name, questions):
    text = layout.page(name).read_text("utf-8")
    for question in questions:
        assert text.count(f"**{question}** ") == 1, question


def test_a_table_of_phase_2_says_what_it_varies_and_that_it_is_one_thing(there):
    text = layout.page("phase2").read_text("utf-8")
    assert "Varied: 48×48 px, central square → 64×64 px, central square." in text
    assert "Varied: trained on all sources → trained without text2img;" in text
    assert "conditions differ" not in text


def test_what_is_not_of_the_plan_is_told_with_what_sets_it_apart(there):
    text = layout.page("phase3").read_text("utf-8")
    assert "† Not of the plan" in text
    assert "Varied: trained from scratch → from ImageNet weights." in text
    assert text.count("Identical conditions for all") == 1


def test_a_page_written_again_is_the_same_bit_for_bit(reported, there):
    written = [layout.page("phase2"), layout.figure("phase2_differences"), layout.table("phase2d")]
    before = [path.read_bytes() for path in written]
    phases.write("phase2", reported[1])
    assert [path.read_bytes() for path in written] == before


def test_a_geometry_cue_in_the_predictions_is_found(there):
    text = layout.page("phase2").read_text("utf-8")
    assert pd.read_csv(layout.table("phase2a_geometry"))["Δ"][1] < -0.1
    assert "Yes, geometry is a cue for ResNet18" in text


def test_tables_are_linked_as_csv(there):
    text = Path(layout.page("phase2")).read_text("utf-8")
    for name in ("phase2a_geometry", "phase2a_colour", "phase2a_holdout", "phase2b", "phase2c", "phase2d", "phase2e"):
        assert f"[CSV](tables/{name}.csv)" in text


def test_phase_4_waits_for_no_explanation_and_links_to_its_page(there):
    assert not layout.table("gradcam").exists()
    assert "[Explanations of the final models](explain.md)" in layout.page("phase4").read_text("utf-8")
