"""The report's Markdown as HTML, read back by the standard library's parser."""

from pathlib import Path

import pytest
from PIL import Image
from site_parsed import parse

from deepfake.project import Project
from deepfake.reports.site import glossary, markdown

FINDINGS = """
| Question | Answer | Effect [interval] | n (groups) × repeats |
|:--|:--|:--|:--|
| Is it better? | **yes** | ΔAUC +0.078 [+0.041, +0.115] | 1,187 (30 groups) × 3 |
| Is it worse? | **no, worse** | shift in SD 1.259 | 300 (30 groups) |
| Is it run? | **not run** | - | - |
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "reports" / "phase1").mkdir(parents=True)
    with Project(tmp_path).entered() as here:
        yield here


def page(text, depth=0, **more):
    return parse(markdown.to_html(text, depth, **more))


def meaning(word: str) -> str:
    [term] = [term for term in glossary.terms() if term.name == word]
    return term.meaning


def picture(path: Path, size=(40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path)


def test_a_findings_table_has_answers_as_badges_and_numbers_to_sort_by():
    found = page(FINDINGS)
    table = found.one("table")
    assert table.attributes["class"].split() == ["sortable", "findings"]
    assert [head.attributes["scope"] for head in table.all("th")] == ["col"] * 4
    badges = table.all("span", class_="badge")
    assert [badge.text for badge in badges] == ["yes", "no, worse", "not run"]
    assert [badge.attributes["class"] for badge in badges] == ["badge yes", "badge worse", "badge none"]
    rows = [row.all("td") for row in table.one("tbody").all("tr")]
    assert [row[2].attributes.get("data-sort") for row in rows] == ["0.078", "1.259", None]
    assert [row[3].attributes.get("data-sort") for row in rows] == ["1187", "300", None]
    # to the right stand columns of numbers alone, not those that begin with a measure's name
    assert ["number" in head.attributes.get("class", "") for head in table.all("th")] == [False, False, False, True]
    assert not any("style" in cell.attributes for cell in table.all("td"))


def test_a_table_scrolls_by_itself_and_can_be_reached_by_keyboard():
    found = page("# Phase\n\n## Models\n\n| A | B |\n|---|---|\n| x | 1 |\n\n| C |\n|---|\n| 2 |\n")
    boxes = found.all("div", class_="scroll")
    assert [len(box.all("table")) for box in boxes] == [1, 1]
    assert {box.attributes["tabindex"] for box in boxes} == {"0"}
    assert [box.attributes["aria-label"] for box in boxes] == ["Table: Models"] * 2


def test_only_columns_of_verdicts_show_verdicts_as_badges():
    found = page("| Verdict | Note |\n|---|---|\n| no_shortcut | better |\n| undecided | worse |\n| - | equal |\n")
    assert [badge.text for badge in found.all("span")] == ["no shortcut", "undecided"]


@pytest.mark.parametrize(
    ("depth", "base", "href", "expected"),
    [
        (0, "", "phase2.md", "phase2.html"),
        (0, "", "phase2.md#models", "phase2.html#models"),
        (1, "", "phase2.md", "../phase2.html"),
        (0, "", "summary.md", "index.html"),
        (0, "", "data_cards/sample.md", "data/sample.html"),
        (1, "data_cards", "sample.md", "../data/sample.html"),
        (1, "data_cards", "../phase1.md", "../phase1.html"),
        (0, "", "phase1/phase1_tests.csv", "../phase1/phase1_tests.csv"),
        (1, "", "phase1/phase1_tests.csv", "../../phase1/phase1_tests.csv"),
        (0, "", "../docs/statistics.md", "../../docs/statistics.md"),
        (0, "", "bench/loading.md", "../bench/loading.md"),
        (0, "", "#models", "#models"),
        (0, "", "https://example.org/a.md", "https://example.org/a.md"),
        (0, "", "a%20b.md", "a%20b.html"),
    ],
)
def test_links_lead_from_the_site_to_the_same_place(depth, base, href, expected):
    found = page(f"[there]({href})", depth, base=base)
    assert found.one("a").attributes["href"] == expected


def test_a_link_to_a_table_has_its_name():
    found = page("[CSV](phase1/phase1_tests.csv) · [CSV](phase1/phase1_folds.csv)")
    assert [link.text for link in found.all("a")] == ["phase1_tests.csv", "phase1_folds.csv"]
    assert found.one("p").attributes["class"] == "files"


def test_a_figure_has_svg_png_size_and_words(project):
    picture(project.figure("phase1_auc"))
    project.figure("phase1_auc").with_suffix(".svg").write_text("<svg/>")
    found = page('![AUC of "each" model <b>](phase1/phase1_auc.png)', 1).one("figure")
    assert found.one("source").attributes == {
        "type": "image/svg+xml",
        "srcset": "../../phase1/phase1_auc.svg",
    }
    image = found.one("img").attributes
    assert (image["src"], image["alt"]) == ("../../phase1/phase1_auc.png", 'AUC of "each" model <b>')
    assert (image["width"], image["height"]) == ("40", "30")
    assert found.one("figcaption").text == 'AUC of "each" model <b>'


def test_a_figure_without_svg_is_its_png(project):
    picture(project.figure("phase1_auc"))
    found = page("![AUC](phase1/phase1_auc.png)").one("figure")
    assert not found.all("source")
    assert "paper" in found.attributes["class"]


def test_a_missing_figure_is_a_sentence_and_no_broken_image():
    found = page("![AUC](phase1/phase1_auc.png)")
    assert not found.all("img")
    assert "phase1_auc.png" in found.one("p", class_="missing").text


def test_a_photograph_is_an_object_with_words_in_its_place():
    found = page("![A few <images>](photographs/views.png)", 1).one("object")
    assert found.attributes["data"] == "../../photographs/views.png"
    assert found.attributes["aria-label"] == "A few <images>"
    assert found.attributes["role"] == "img"
    assert "make repro" in found.text
    assert "may not be redistributed" in found.text


def test_nothing_is_loaded_from_elsewhere():
    found = page(
        "![logo](https://example.org/logo.png) and ![x](//example.org/x.png)\n\n![logo](https://example.org/l.png)"
    )
    assert not found.all("img")
    assert not found.all("object")


def test_a_picture_within_a_line_is_a_link_to_it():
    found = page("See ![the curve](phase1/phase1_roc.png) there.", 1).one("p")
    assert found.one("a").attributes["href"] == "../../phase1/phase1_roc.png"
    assert found.text == "See the curve there."
    assert not found.all("figure")


def test_a_picture_outside_the_report_is_not_shown(project):
    picture(project.root / "secret.png")
    for source in ("../secret.png", (project.root / "secret.png").as_posix()):
        assert not page(f"![x]({source})").all("img")


def test_html_in_names_is_text():
    name = "<img src=x onerror=alert(1)>"
    found = page(f"# {name}\n\n{name}\n\n| Sample |\n|---|\n| {name} |\n\n[{name}](phase1/a.csv)")
    assert not found.all("img")
    assert found.one("h1").text == name
    assert found.one("td").text == name


def test_headings_have_ids_of_their_own_and_direction():
    shown = markdown.render("# مرحلة\n\n## Models\n\n## Models\n\n## `a_b` & c\n\n## ---x---\n", 0)
    found = parse(shown.html)
    heads = [*found.all("h1"), *found.all("h2")]
    ids = [head.attributes["id"] for head in heads]
    assert len(set(ids)) == len(ids)
    assert ids[1:4] == ["models", "models-2", "a-b-c"]
    assert {head.attributes["dir"] for head in heads} == {"auto"}
    assert [section.text for section in shown.sections] == ["Models", "Models", "a_b & c", "---x---"]
    assert shown.title == "مرحلة"
    assert not parse(shown.below_title).all("h1")


def test_the_first_occurrence_of_a_term_is_linked():
    found = page("# AUC\n\nThe AUC of `AUC` and [AUC](phase1.md): the AUC.\n\nHeld-out folds again, held-out.\n", 1)
    links = found.all("a", class_="term")
    assert [(link.text, link.attributes["href"]) for link in links] == [
        ("AUC", "../glossary.html#auc"),
        ("Held-out folds", "../glossary.html#fold"),
        ("held-out", "../glossary.html#held-out"),
    ]
    assert links[0].attributes["title"] == meaning("AUC")
    assert not found.one("h1").all("a")


def test_terms_are_words_of_their_own():
    found = page("Unfold, scaffold, holm-oak, CIs, ROCK, auc, Folds.")
    assert [link.text for link in found.all("a", class_="term")] == ["CIs", "Folds"]


def test_headings_of_tables_tell_what_terms_mean():
    found = page("| ECE | Other |\n|---|---|\n| 0.1 | AUC |\n")
    assert found.all("th")[0].attributes["title"] == meaning("ECE")
    assert "title" not in found.all("th")[1].attributes
    assert not found.all("a")


def test_runs_in_cells_lead_to_their_pages():
    runs = {"custom": "runs/custom.html", "simple_cnn_low": "runs/simple_cnn_low.html", "a b": "runs/a b.html"}
    text = (
        "| Run | Says |\n|---|---|\n"
        "| simple_cnn_low | Is SimpleCNN (custom) better? |\n"
        "| Is the custom run good? | custom, simple_cnn_low |\n"
        "| other_run | `simple_cnn_low` |\n"
    )
    found = page(text, 1, runs=runs)
    assert [(link.text, link.attributes["href"]) for link in found.all("a")] == [
        ("simple_cnn_low", "../runs/simple_cnn_low.html"),
        ("custom", "../runs/custom.html"),
        ("custom", "../runs/custom.html"),
        ("simple_cnn_low", "../runs/simple_cnn_low.html"),
        ("simple_cnn_low", "../runs/simple_cnn_low.html"),
    ]


def test_two_hundred_sources_are_two_hundred_rows():
    rows = "".join(f"| source_{number} | 0.{number:03d} |\n" for number in range(200))
    found = page(f"| Source | AUC |\n|---|---|\n{rows}")
    assert len(found.one("tbody").all("tr")) == 200
    assert found.all("td")[-1].attributes["data-sort"] == "0.199"


def test_cells_have_their_own_direction():
    found = page("| Source |\n|---|\n| مصدر <b> |\n")
    assert found.one("td").attributes["dir"] == "auto"
    assert found.one("td").text == "مصدر <b>"
