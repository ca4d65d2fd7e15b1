"""The whole site: of nothing, of the committed reports, and of what is damaged or odd."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from site_parsed import Node, parse

from conftest import ROOT
from deepfake import cli, config
from deepfake.config.params import Params
from deepfake.project import Project, paths
from deepfake.reports.site import cells, glossary, html
from deepfake.reports.site.html import Entry, Navigation
from deepfake.studies.site import navigation, page

pytestmark = pytest.mark.xdist_group("site")  # it is built once
PHASES = ("phase1", "phase2", "phase3", "phase4")


def project(root: Path) -> Project:
    (root / "data").mkdir(parents=True)
    for name in ("params.yaml", "data/catalog.yaml"):
        shutil.copy(ROOT / name, root / name)
    return Project(root)


@pytest.fixture(scope="module")
def committed(tmp_path_factory) -> Path:
    """Return a project with the committed reports and nothing else, and its site."""
    root = tmp_path_factory.mktemp("committed") / "project"
    there = project(root)
    shutil.copytree(
        ROOT / "reports", root / "reports", ignore=shutil.ignore_patterns("photographs", "notebooks", "site")
    )
    shutil.copytree(ROOT / "docs", root / "docs")
    with there.entered():
        page.write(config.load())
    return root


@pytest.fixture
def there(committed, tmp_path):
    """A copy of it, to be damaged."""
    root = tmp_path / "project"
    shutil.copytree(committed, root)
    with Project(root).entered() as here:
        yield here


def read(path: Path) -> Node:
    return parse(path.read_text("utf-8").removeprefix("<!doctype html>"))


def test_every_link_of_the_site_leads_somewhere(committed):
    """But to notebooks and photographs, which git does not keep."""
    dead = []
    for path in sorted((committed / "reports/site").rglob("*.html")):
        root = read(path)
        links = [link.attributes["href"] for link in [*root.all("a"), *root.all("link")]]
        links += [script.attributes["src"] for script in root.all("script")]
        for link in links:
            parts = urlsplit(link)
            assert parts.scheme in ("", "data"), link
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if (
                parts.scheme
                or "/reports/notebooks/" in target.as_posix()
                or "/reports/photographs/" in target.as_posix()
            ):
                continue
            assert target.is_relative_to(committed.resolve()) or target == path, link
            if not target.is_file():
                dead.append((path.name, link))
            elif parts.fragment and target.suffix == ".html":
                ids = re.findall(r'\bid="([^"]*)"', target.read_text("utf-8"))
                if unquote(parts.fragment) not in ids:
                    dead.append((path.name, link))
    assert dead == []


def test_study_pages_lead_to_notebooks_that_exist(committed):
    known = {path.stem for path in (ROOT / "notebooks").glob("*.py")}
    linked = set()
    for path in (committed / "reports/site").glob("*.html"):
        links = [link.attributes["href"] for link in read(path).all("a")]
        linked |= {Path(link).stem for link in links if link.startswith("../notebooks/")}
    assert linked == known


def test_the_start_page_has_the_key_findings(committed):
    root = read(committed / "reports/site/index.html")
    rows = [row.all("td") for row in root.one("table", class_="findings").one("tbody").all("tr")]
    assert 0 < len(rows) <= 14
    for question, answer, effect, size in rows:
        study = question.one("a").attributes["href"].removesuffix(".html")
        known = json.loads((committed / f"reports/findings/{study}.json").read_text("utf-8"))
        found = next(one for one in known if one["question"] == question.text)
        assert found["key"]
        assert ("undecided" in answer.text) == (found["verdict"] == "undecided")
        assert float(effect.attributes["data-sort"]) == pytest.approx(found["effect"], abs=0.0006)
        assert size.attributes["data-sort"] == str(found["n_samples"])
    assert [len(root.all("section", class_="phase")), len(root.all("h1"))] == [4, 1]
    captions = [section.one("figcaption").text for section in root.all("section", class_="phase")]
    assert all(any(row[0].text in caption for row in rows) for caption in captions)


def test_the_start_page_names_the_final_model_and_why(there):
    chosen = json.loads((there.root / "reports/decisions/final.json").read_text("utf-8"))["run"]
    page.write(config.load())
    said = next(one.text for one in read(there.site / "index.html").all("p") if "final model is" in one.text)
    assert f"({chosen}): the best AUC" in said
    there.final.unlink()
    page.write(config.load())
    assert "The final model is" not in read(there.site / "index.html").text


def test_study_pages_say_what_the_markdown_says(committed):
    """Every word of the report's page stands on the site's, in order: the text is said once, and not lost."""
    for name in (*PHASES, "imbalance", "generalization", "shortcuts"):
        text = (committed / f"reports/{name}.md").read_text("utf-8")
        text = re.sub(
            r"^\[Summary\].*$|^\|[-:| ]+\|$|!\[[^\]]*\]\([^)]*\)|\[CSV\]\([^)]*\)", "", text, flags=re.MULTILINE
        )
        text = re.sub(r"\]\([^)]*\)", "", text).replace("no_shortcut", "no shortcut")
        words = re.findall(r"[^\W_]+", text)
        shown = iter(re.findall(r"[^\W_]+", read(committed / f"reports/site/{name}.html").one("main").text))
        missing = [word for word in words if word not in shown]
        assert missing == [], (name, missing[:5])


def test_a_project_in_which_nothing_was_run_has_a_site(tmp_path):
    with project(tmp_path / "project").entered():
        page.write(config.load())
        root = read(paths().site / "index.html")
        assert "No study was run yet" in root.text
        absent = root.one("nav", aria_label="Pages").all("a", class_="absent")
        assert len(absent) == len(navigation.titles())
        for study, title in navigation.titles().items():
            shown = read(paths().site / f"{study}.html")
            assert shown.one("h1").text == title
            assert "Not run" in shown.one("p", class_="missing").text
            assert "dvc repro" in shown.text


def test_one_study_that_was_not_run_is_said(there):
    there.page("phase3").unlink()
    there.findings("phase3").unlink()
    page.write(config.load())
    root = read(there.site / "index.html")
    assert "Not run: Phase 3: more architectures." in root.text
    assert len(root.all("section", class_="phase")) == 3
    assert not [link for link in root.one("table", class_="findings").all("a") if "phase3" in link.attributes["href"]]
    assert "Not run" in read(there.site / "phase3.html").text


def test_a_study_without_a_summary_has_a_start_page(there):
    there.page("summary").unlink()
    there.table("summary_study").unlink()
    page.write(config.load())
    root = read(there.site / "index.html")
    links = [link.attributes["href"] for link in root.all("a")]
    assert root.all("table", class_="findings")
    assert "#how-to-read-this" not in links
    assert not [link for link in links if "summary_study" in link]


def test_a_page_without_findings_says_so(there):
    there.findings("phase3").unlink()
    page.write(config.load())
    assert "left no findings" in read(there.site / "phase3.html").one("p", class_="caution").text
    assert read(there.site / "phase3.html").all("table")


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_missing_or_damaged_figure_is_words(there, content):
    there.figure("phase3_size").unlink()
    if content is not None:
        there.figure("phase3_size").write_bytes(content)
    page.write(config.load())
    for name in ("index", "phase3"):
        root = read(there.site / f"{name}.html")
        assert not [image for image in root.all("img") if "phase3_size" in image.attributes["src"]]
        assert "phase3_size.png" in root.text


def test_damaged_findings_are_one_line_and_nothing_is_written(there, monkeypatch):
    shutil.rmtree(there.site)
    there.findings("phase3").write_text("[{]")
    monkeypatch.chdir(there.root)
    result = CliRunner().invoke(cli.main, ["site"])
    assert result.exit_code == 2
    assert len(result.output.strip().splitlines()) == 1
    assert "reports/findings/phase3.json" in result.output
    assert not there.site.exists()


def test_the_same_reports_give_the_same_bytes_and_old_pages_go(there):
    before = {path.relative_to(there.site): path.read_bytes() for path in there.site.rglob("*") if path.is_file()}
    (there.site / "runs").mkdir(exist_ok=True)
    (there.site / "runs/gone.html").write_text("old")
    page.write(config.load())
    assert {
        path.relative_to(there.site): path.read_bytes() for path in there.site.rglob("*") if path.is_file()
    } == before


def test_the_command_says_where_the_site_is(there, monkeypatch):
    monkeypatch.chdir(there.root)
    result = CliRunner().invoke(cli.main, ["site"])
    assert result.exit_code == 0, result.output
    assert "reports/site/index.html" in result.output


def test_a_page_escapes_what_it_is_given(tmp_path):
    odd = '<b>"x"</b> & مرحبا'
    with project(tmp_path / "project").entered():
        shared = Navigation({odd: [Entry(odd, f"runs/{odd}.html")]}, {})
        values = {"title": odd, "navigation": shared, "crumbs": [Entry(odd, "runs/index.html")]}
        html.page("runs/a.html", "deepfake.reports.site", "glossary.html.j2", terms=[glossary.Term(odd, odd)], **values)
        root = read(paths().site / "runs/a.html")
    assert not root.all("b")
    assert root.one("title").text.startswith(odd)
    assert root.one("dt").text == odd
    [link] = [link for link in root.one("nav", aria_label="Pages").all("a")]
    assert unquote(link.attributes["href"]) == f"../runs/{odd}.html"
    assert link.text == odd


def test_glossary_terms_are_said_in_a_sentence_each():
    text = (Path(glossary.__file__).parent / "glossary.yaml").read_text("utf-8")
    known = yaml.safe_load(text)
    assert len(glossary.terms()) == len(known) > 50
    assert len({term.id for term in glossary.terms()}) == len(known)
    words = [word.lower() for term in glossary.terms() for word in (term.name, *term.also)]
    assert len(set(words)) == len(words), "a word of two terms"
    for term in glossary.terms():
        assert term.meaning.endswith(".") and len(term.meaning.split()) <= 25, term
        assert not re.search(r"[a-z0-9)]\. [A-Z]", term.meaning.replace("et al. ", "")), term
    wanted = {"AUC", "EER", "fold", "group", "inner validation", "held-out", "Holm", "cluster jackknife", "ECE"}
    assert wanted | {"Grad-CAM", "letterbox", "frozen"} <= known.keys()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.604 [0.564, 0.643]", 0.604),
        ("1,187 (30 groups) × 3", 1187),
        ("12,345,678", 12345678),
        ("+0.013 [-0.029, +0.055] undecided", 0.013),
        ("-8.0% [-15.1%, -0.9%]", -0.08),
        ("−0.5", -0.5),
        ("0.623 ± 0.028", 0.623),
        ("64 of 300", 64),
        ("256×256", 256),
        ("0.523 [0.499, 0.547] †", 0.523),
        ("ΔAUC +0.078 [+0.041, +0.115]", 0.078),
        ("Δ macro F1 +0.033 [-0.086, +0.152]", 0.033),
        ("[-0.100, +0.300]", 0.1),
        ("1e-05", 1e-5),
        ("-", None),
        ("", None),
        ("2A", None),
        ("5-fold stratified × 3", None),
        ("50/75/100%", None),
        ("ResNet18", None),
        ("96 px, central square", None),
        ("2021-05-03", None),
        ("[a, b]", None),
    ],
)
def test_cells_are_sorted_by_the_number_they_begin_with(text, value):
    assert cells.number(text) == (None if value is None else pytest.approx(value))


def test_less_than_a_limit_comes_before_the_limit():
    key = cells.sort_key("<0.001")
    assert key is not None and 0.00099 < float(key) < 0.001


def test_frames_are_shown_as_people_read_them():
    frame = pd.DataFrame({"name": ["x", None], "auc": [0.5, float("nan")], "n": [1187, 2], "yes": [True, False]})
    shown = cells.grid(frame)
    assert [[cell.text for cell in row] for row in shown.rows] == [
        ["x", "0.500", "1,187", "yes"],
        ["-", "-", "2", "no"],
    ]
    assert [*shown.numeric] == [False, True, True, False]
    assert [row[1].sort for row in shown.rows] == ["0.5", None]


def test_settings_of_another_preset_build_too(there):
    settings: Params = config.load().model_copy(update={"preset": "full"})
    page.write(settings)
    assert "preset full" in read(there.site / "index.html").one("p", class_="lead").text


def test_it_needs_no_torch():
    code = "import sys, deepfake.studies.site.page, deepfake.studies.notebooks.execution; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
