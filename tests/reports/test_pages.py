"""The pages as a reader meets them, of a synthetic study; and templates, which refuse what is not there."""

import dataclasses
import re

import jinja2
import pandas as pd
import pytest
from markdown_tables import links, shown, table, tables
from PIL import Image

from deepfake import config
from deepfake.project import paths
from deepfake.reports import findings, pages
from deepfake.studies import results
from deepfake.studies.phases import findings as phase_findings
from deepfake.studies.phases import page as phases_page
from deepfake.studies.summary import page as summary_page
from deepfake.tables import results as result_tables

pytest_plugins = ["reported_study"]
PAGES = ["phase1", "phase2", "phase3", "phase4", "custom", "final", "summary"]


@pytest.fixture
def there(reported, monkeypatch):
    monkeypatch.chdir(reported[0])
    return reported[1]


def text_of(name: str) -> str:
    return paths().page(name).read_text("utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_every_row_of_a_table_has_as_many_cells_as_its_heading(there, name):
    found = tables(text_of(name))
    assert found
    for heading, *rows in found:
        assert rows, heading
        assert {len(row) for row in rows} == {len(heading)}


@pytest.mark.parametrize("name", PAGES)
def test_no_number_is_missing_and_no_word_left_empty(there, name):
    text = re.sub(r"\]\([^)]*\)", "]", text_of(name))
    for wrong in ("nan", "{", "}", "  ,", "()", "..", "Series", "Name:"):
        assert not re.search(rf"(?<![a-z]){re.escape(wrong)}(?![a-z])", text), wrong
    assert not re.search(r"\bNone\b", text)
    assert "\n\n\n" not in text


@pytest.mark.parametrize("name", PAGES[:-1])
def test_each_figure_is_there_as_png_and_svg_and_its_numbers_stand_beside_it(there, name):
    found = 0
    for section in re.split(r"^## ", text_of(name), flags=re.MULTILINE):
        for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", section):
            found += 1
            path = paths().reports / picture
            assert path.exists() and path.with_suffix(".svg").exists(), picture
            linked = re.findall(r"\[CSV\]\(([^)]+)\)", section)
            assert linked, picture
            assert all((paths().reports / csv).exists() for csv in linked), section
    assert found


@pytest.mark.parametrize("name", PAGES[:-1])
def test_a_page_begins_with_its_findings(there, name):
    rows = table(text_of(name), "Question", "Answer")
    assert tables(text_of(name))[0] == rows
    told = [(one.question, f"**{one.answer}**", one.figures) for one in findings.read(name).values()]
    assert [tuple(row[:3]) for row in rows[1:]] == told


def test_links_lead_somewhere_and_all_figures_are_shown(there):
    pictures = {path for name in PAGES for path in shown(name)}
    assert {paths().reports / path for path in pictures} == set(paths().reports.glob("*/*.png"))
    for name in PAGES[:-3]:
        with Image.open(paths().reports / shown(name)[0]) as picture:
            picture.load()
            assert min(picture.size) > 200
            assert len(picture.convert("L").getcolors()) > 10


def test_a_page_written_again_is_the_same_bit_for_bit(there):
    written = [paths().page("phase2"), paths().figure("phase2_differences")]
    before = [path.read_bytes() for path in written]
    phases_page.write("phase2", there)
    assert [path.read_bytes() for path in written] == before


def test_tables_show_the_numbers_of_their_csv(there):
    rows = result_tables.read("phase1_experiments").set_index("experiment")
    shown_rows = table(text_of("phase1"), "Model", "Params")[1:]
    assert [row[1] for row in shown_rows] == [f"{value:,}" for value in rows["parameters"]]
    form = "{auc:.3f} [{auc_low:.3f}, {auc_high:.3f}]"
    assert [row[2] for row in shown_rows] == [form.format_map(row) for _, row in rows.iterrows()]
    ranking = result_tables.read("phase3_ranking")
    goes_on = [row[-1] for row in table(text_of("phase3"), "Rank")[1:]]
    assert goes_on == ["yes" if chosen else "no" for chosen in ranking["chosen"]]


# --- the summary


def test_the_summary_shows_the_key_findings_and_no_more_than_fourteen(there):
    rows = table(text_of("summary"), "Question")[1:]
    expected = [
        f"[{one.question}](" + f"{study}.md)"
        for study, planned in summary_page.KEY.items()
        if paths().findings(study).exists()
        for one in findings.read(study).key[:planned]
    ]
    assert [row[0] for row in rows] == expected
    assert len(expected) <= 14
    assert tables(text_of("summary"))[0][1:] == rows


def test_the_designs_summary_table_has_its_rows_and_conclusions(there):
    plan = ["Phase", "Variable Tested", "Models", "Data", "Resolution", "Facecrop", "Augment", "CV", "Conclusion"]
    told = pd.read_csv(paths().table("summary_study"), dtype=str)
    assert list(told) == plan
    assert told["Phase"].tolist() == ["1", "2A", "2A-Holdout", "2B", "2C", "2D", "2E", "3", "4A", "4B"]
    rows = told.set_index("Phase")
    sizes = there.presets["quick"].resolution
    cv = "4-fold stratified × 2"
    assert rows.loc["2A"].tolist()[2:-1] == ["50%", f"{sizes.high}", "No", "No", cv]
    assert rows.loc["2B"].tolist()[2:-1] == ["50%", f"{sizes.low}/{sizes.high}", "No", "No", cv]
    assert rows.loc["2C"].tolist()[2:-1] == ["50%", f"{sizes.high}", "±", "No", cv]
    assert rows.loc["2E"].tolist()[2:-1] == ["50%", f"{sizes.high}", "Yes", "±", cv]
    assert rows.loc["4A", "Data"] == "50/75/100%" and rows.loc["4B", "Data"] == "100%"
    for phase, study, *prefixes in (
        ("2A", "phase2", "geometry", "colour"),
        ("2A-Holdout", "phase2", "sources", "source"),
        ("2B", "phase2", "resolution"),
        ("3", "phase3", "candidate"),
    ):
        found = findings.read(study)
        answers = [f"{one.question} {one.answer}" for prefix in prefixes for one in found.below(prefix)]
        assert len(answers) > 1
        assert rows.loc[phase, "Conclusion"] == "; ".join(answers)
    assert plan in [found[0] for found in tables(text_of("summary"))]


def test_the_summary_links_the_pages_that_are_there(there):
    found = {link for link in links(text_of("summary")) if re.fullmatch(r"\w+\.md", link)}
    assert found == {f"{name}.md" for name in [*PAGES[:-1], "explain"]}


def test_what_stands_for_the_designs_models_is_told(there):
    assert "EfficientNet-Lite0 (frozen) stands for the design's ResNet18 (all weights trained)" in text_of("summary")
    assert "MobileNetV2 (frozen) stands for the design's SimpleCNN (all weights trained) in generalization" in text_of(
        "summary"
    )
    assert summary_page.stand_ins(there.model_copy(update={"preset": "full"})) == []


def test_what_the_preset_leaves_out_is_told(there):
    line = next(line for line in text_of("summary").splitlines() if line.startswith("Only preset `full` has "))
    named = set(re.findall(r"`(\w+)`", line)) - {"full"}
    full = set(config.entries(there.model_copy(update={"preset": "full"})))
    scaled = {name for name in full if name.endswith(("_medium", "_all"))}
    assert named == full - scaled - set(config.entries(there))
    assert summary_page.left_out(there.model_copy(update={"preset": "full"})) == []


def test_a_custom_run_that_is_its_baseline_asks_for_another(there, monkeypatch):
    known = results.read("custom")
    same = known.tests.assign(difference=0.0, verdict="undecided", reason="no spread between groups")
    monkeypatch.setattr(results, "read", lambda phase: dataclasses.replace(known, tests=same))
    found = phase_findings.of("custom", there)[-1]
    assert found.verdict == "not_run" and "-S model=NAME" in found.note


# --- what pages are made of


def test_pairs_stand_beside_the_figures_of_both_sides(there):
    found = results.read("phase2")
    pairs = found.pairs("phase2b").set_index("experiment")
    rows = result_tables.read("phase2_experiments").set_index("experiment")
    assert pairs.index.tolist() == ["simple_cnn_high", "backbone_high"]
    assert pairs.loc["backbone_high", "a_auc"] == rows.loc["backbone_low", "auc"]
    assert pairs.loc["backbone_high", "b_auc"] == rows.loc["backbone_high", "auc"]
    assert pairs.loc["backbone_high", "title"] == "frozen EfficientNet-Lite0"
    assert found.experiments("phase2a_colour") == ["backbone_high", "backbone_real_stats"]


def test_runs_go_by_their_model_only_where_that_tells_them_apart(there):
    names = {"simple_cnn_low": "SimpleCNN", "backbone_low": "frozen EfficientNet-Lite0"}
    assert results.read("phase1").names() == names | {"resnet18_scratch": "ResNet18 from scratch"}
    custom = {"simple_cnn_low": "SimpleCNN (simple_cnn_low)", "custom": "SimpleCNN (custom)"}
    assert results.read("custom").names() == custom


def test_what_can_be_seen_is_the_median_of_the_contrasts():
    tests = [pd.DataFrame({"detectable": [0.01, 0.03, None]}), pd.DataFrame({"detectable": [0.08]})]
    assert "of 0.030 (median of 3 contrasts; 0.010 to 0.080)" in results.resolution(tests)
    assert results.resolution([pd.DataFrame({"detectable": [None]})]) == "No contrast of this study can be resolved."


def test_a_template_refuses_what_it_is_not_given():
    with pytest.raises(jinja2.UndefinedError, match="'found' is undefined"):
        pages.render("deepfake.studies.phases", "phase4.md.j2", title="Phase 4")
