"""A notebook's page in a browser: on a phone, in the dark, on paper, without a request."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbformat import v4
from playwright.sync_api import Browser, Page, sync_playwright

from deepfake.reports import notebook_output
from deepfake.studies.notebooks import page as pages

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
_STYLES = """elements => elements.filter(e => e.checkVisibility() && [...e.childNodes].some(
  n => n.nodeType === 3 && n.textContent.trim())).map(e => {
    let behind = e;
    while (behind && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    return [e.textContent.trim().slice(0, 40), getComputedStyle(e).color,
            behind ? getComputedStyle(behind).backgroundColor : "rgb(255, 255, 255)"];
  })"""


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """The page of a notebook with a wide table of 100 rows, a picture, sentences, a note, code and a long name."""
    cells = notebook_output._cells()
    wide = [[f"{row}.{column} [0.123, 0.456]" for column in range(12)] for row in range(100)]
    shown = [
        cells.table([f"a heading of column {number}" for number in range(12)], wide, "a wide table"),
        cells.picture(PIXEL, "figure", "a figure"),
        cells.sentences([("Is <b>this</b> better? " + "experiment_" * 12, "ΔAUC +0.100"), ("שלום 123", "")]),
        cells.note("Not run. Make it by", "dvc repro " + "a_long_stage_name_" * 6, "a caption"),
    ]
    outputs = [v4.new_output("display_data", {"text/html": str(html)}) for html in shown]
    code = v4.new_code_cell('nb.table("x", "a caption")  # why\nfrom a import b', outputs=outputs, id="cell-3")
    texts = [
        v4.new_markdown_cell(text, id=f"cell-{place}") for place, text in enumerate(("# One & all", "## A part"), 1)
    ]
    place = tmp_path_factory.mktemp("page") / "x.html"
    place.write_text(pages.render("x", v4.new_notebook(cells=[*texts, code])), "utf-8")
    return place


def _opened(browser: Browser, file: Path, width: int, scheme: str, heard: list[str]) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url) if request.url.startswith("http") else None)
    page.goto(file.as_uri())
    for summary in page.locator("summary").all():
        summary.click()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_fits_the_window_and_can_be_read(browser, file, width, scheme):
    heard: list[str] = []
    page = _opened(browser, file, width, scheme, heard)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert heard == []
    styles = page.locator("body *").evaluate_all(_STYLES)
    assert len(styles) > 1000
    low = {(text, _contrast(ink, paper)) for text, ink, paper in styles if _contrast(ink, paper) < 4.5}
    assert not low
    assert page.locator("img:not([alt])").count() == 0 and page.locator("h1").count() == 1
    # what scrolls can be reached by keyboard
    assert page.locator(".scroll:not([tabindex='0'])").count() == 0
    page.close()


def test_links_of_the_contents_lead_somewhere(browser, file):
    page = _opened(browser, file, 1280, "light", [])
    targets = [link.get_attribute("href") or "" for link in page.locator("nav a").all()]
    assert targets == ["#cell-2"]
    assert all(page.locator(target).count() == 1 for target in targets)
    page.close()


def test_on_paper_all_rows_are_there_and_no_code(browser, file):
    page = _opened(browser, file, 794, "light", [])  # A4 at 96 dots an inch
    page.emulate_media(media="print")
    box = page.locator(".scroll").bounding_box()
    table = page.locator("table").bounding_box()
    assert box and table and box["height"] >= table["height"] - 1
    assert not page.locator("pre").first.is_visible()
    page.close()


def test_what_cells_hold_is_text(file):
    assert "Is &lt;b&gt;this&lt;/b&gt; better?" in file.read_text("utf-8")


def _contrast(ink: str, paper: str) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    light, dark = sorted((_luminance(ink), _luminance(paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
