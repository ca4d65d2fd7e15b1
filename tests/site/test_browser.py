"""The site in a headless Chromium, page by page: what people see, hear and press."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from site_parsed import parse

from deepfake import config
from deepfake.project import Project, paths
from deepfake.reports.site import html, markdown
from deepfake.reports.site.html import Entry, Navigation
from deepfake.studies.site import page as site

playwright: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
ROOT = Path(__file__).resolve().parents[2]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),  # one browser, and each page is opened once
    pytest.mark.skipif(BROWSER is None, reason="no Chromium and no Chrome on the PATH"),
]
AUDIT = (Path(__file__).parent / "audit.js").read_text("utf-8")
PHONE, DESK = 375, 1280
MILLIMETRE, A4, MARGIN = 96 / 25.4, (210, 297), 13
"""In CSS pixels; the sheet and the margin at its sides, in millimetres."""
MISSING = ("", "-", "–")
OUTSIDE = """() => {
  const edge = document.querySelector("main").getBoundingClientRect().right + 1;
  return [...document.querySelectorAll("main *")]
    .filter((node) => node.checkVisibility() && !node.closest("svg, object"))
    .filter((node) => node.getBoundingClientRect().right > edge)
    .map((node) => node.outerHTML.slice(0, 80));
}"""
"""What stands beside the main part of a page, to its right."""
COLUMNS = """() => [...document.querySelectorAll("table.sortable")].flatMap((table, number) => {
  const read = (place) => [...table.tBodies[0].rows].map((row) => row.cells[place].textContent.trim());
  return [...table.tHead.rows[0].cells].flatMap((head, place) => {
    const button = head.querySelector("button");
    if (!button) return [];
    const before = read(place);
    const step = () => { button.click(); return { order: head.getAttribute("aria-sort"), texts: read(place) }; };
    return [{ number, place, before, up: step(), down: step(), after: step() }];
  });
})"""
"""Each column of each table of a page as it is, sorted up, sorted down, and once more."""


@dataclass
class Opened:
    """A page of the browser, and what went wrong in it since it was opened."""

    page: Any
    root: Path
    faults: list[str] = field(default_factory=list)

    def show(self, name: str, width: int = DESK, **media: str) -> None:
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(**({"color_scheme": "light", "media": "screen"} | media))
        if self.page.url != (address := (self.root / name).as_uri()):
            self.page.goto(address)

    def whole(self, name: str) -> None:
        """Show a page with all its pictures."""
        self.show(name)
        self.page.evaluate(
            "() => Promise.all([...document.images].map((image) => {"
            " image.loading = 'eager'; return image.decode().catch(() => null); }))"
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Return the site of the committed reports, built anew, with the committed pages of runs that are not here."""
    root = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("photographs", "notebooks", "bench")
    shutil.copytree(ROOT / "reports", root / "reports", ignore=ignored)
    (root / "data").mkdir()
    for name in ("params.yaml", "data/catalog.yaml"):
        shutil.copy(ROOT / name, root / name)
    with Project(root).entered():
        site.write(config.load())
        for path in sorted((ROOT / "reports/site").rglob("*.html")):
            there = paths().site / path.relative_to(ROOT / "reports/site")
            if not there.exists():
                shutil.copy(path, there)
        _write_odd_page()
        return paths().site


def _write_odd_page() -> None:
    """Write a page of all that is odd: long names, many sources, right-to-left text, names that are HTML."""
    name, odd = "a_name_of_forty_characters_" + "x" * 13, "<img src=x onerror=alert(1)>"
    columns = [f"source{number} AUC" for number in range(22)]
    many = "".join(f"| source_{number} | 0.{number:03d} |\n" for number in range(200))
    text = (
        f"# {odd} {name} {'x' * 120}\n\n{'unbroken' * 40} `{'code' * 60}`\n\n## مجموعة بيانات {name}\n\n"
        f"| Run | {' | '.join(columns)} |\n|---|{'---|' * 22}\n| {name} | {'0.604 [0.564, 0.643] | ' * 22}\n\n"
        f"| Source | AUC |\n|---|---|\n{many}\n\n| {odd} |\n|---|\n| مصدر {odd} {name} |\n\n"
        f"```\n{'a long line ' * 40}\n```\n\n![{odd}](phase1/there_is_none.png)\n\n![{odd}](photographs/{name}.png)\n"
    )
    page = markdown.render(text, 0, runs={name: f"runs/{name}.html"})
    values = {"page": page, "contents": True, "study": name, "notebooks": [name], "unrecorded": True}
    shared = Navigation({odd: [Entry(name, "odd.html"), Entry("مجموعة", "odd.html", absent=True)]})
    html.page("odd.html", "deepfake.studies.site", "study.html.j2", title=page.title, navigation=shared, **values)


@pytest.fixture(scope="module")
def opened(built) -> Iterator[Opened]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        found = Opened(browser.new_page(), built)
        found.page.on("pageerror", lambda error: found.faults.append(f"error: {error}"))
        found.page.on("request", lambda request: _request(found, request.url))
        found.page.on("console", lambda said: _console(found, said))
        yield found
        browser.close()


def _request(found: Opened, url: str) -> None:
    if not url.startswith(("file://", "data:")):
        found.faults.append(f"external request: {url}")


def _console(found: Opened, said: Any) -> None:
    """Note what the console says; photographs are not in git, so their pictures may be missing."""
    if said.type in ("error", "warning") and "/photographs/" not in said.location["url"]:
        found.faults.append(f"{said.type}: {said.text} {said.location['url']}")


def names(built: Path) -> list[str]:
    return sorted(path.relative_to(built).as_posix() for path in built.rglob("*.html"))


@dataclass
class Surveyed:
    """What is wrong with one page, or what was read there."""

    light: list[str]
    dark: list[str]
    phone: list[int]
    paper: list[str]
    columns: list[dict[str, Any]]


@pytest.fixture(scope="module")
def survey(opened) -> dict[str, Surveyed]:
    """Return what was found on every page; each is opened once."""
    return {name: _survey(opened, name) for name in names(opened.root)}


def _survey(opened: Opened, name: str) -> Surveyed:
    opened.faults.clear()
    opened.whole(name)
    light = opened.page.evaluate(AUDIT) + opened.faults
    columns = opened.page.evaluate(COLUMNS)
    opened.show(name, color_scheme="dark")
    dark = opened.page.evaluate(AUDIT)
    opened.show(name, width=int((A4[0] - 2 * MARGIN) * MILLIMETRE), media="print")
    paper = opened.page.evaluate(OUTSIDE)[:3]
    opened.show(name, width=PHONE)
    opened.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    phone = opened.page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
    return Surveyed(light, dark, phone, paper, columns)


def test_all_pages_are_there(built):
    found = names(built)
    studies = {"phase1", "phase2", "phase3", "phase4", "final", "shortcuts", "robustness", "imbalance"}
    assert {f"{name}.html" for name in studies | {"index", "glossary", "generalization", "explain"}} <= set(found)


def test_every_page_is_sound_in_light(survey):
    assert {name: page.light for name, page in survey.items() if page.light} == {}


def test_every_page_can_be_read_in_the_dark(survey, opened):
    assert {name: page.dark for name, page in survey.items() if page.dark} == {}
    shades = []
    for scheme in ("light", "dark"):
        opened.show("index.html", color_scheme=scheme)
        shades.append(opened.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert shades[0] != shades[1]


def test_no_page_scrolls_sideways_on_a_phone(survey):
    assert {name: page.phone for name, page in survey.items() if max(page.phone) > PHONE} == {}


def test_every_page_fits_on_a4(survey):
    """Nothing is cut off at the right: boxes that scroll on a screen cannot on paper."""
    assert {name: page.paper for name, page in survey.items() if page.paper} == {}


def test_the_printed_start_page_is_a4_and_has_no_navigation(opened):
    opened.show("index.html")
    pdf = opened.page.pdf(prefer_css_page_size=True)
    sheets = {
        tuple(round(float(side)) for side in box.split()[2:]) for box in re.findall(rb"/MediaBox \[([^\]]*)\]", pdf)
    }
    assert sheets == {(595, 842)}  # points
    opened.show("index.html", media="print")
    assert not opened.page.locator(".menu").is_visible()


def test_tables_sort_by_every_column(survey):
    """Each column of each table, up and down: numbers by what a person reads first, what is missing last."""
    assert sum(len(page.columns) for page in survey.values()) > 100
    faults = {name: [fault for column in page.columns for fault in _unsorted(column)] for name, page in survey.items()}
    assert {name: found for name, found in faults.items() if found} == {}


def _unsorted(column: dict[str, Any]) -> list[str]:
    """Return what is wrong with a column after it was sorted."""
    before, up, down = column["before"], column["up"]["texts"], column["down"]["texts"]
    known = sum(text not in MISSING for text in before)
    orders = [column[step]["order"] for step in ("up", "down", "after")]
    rising, falling = ([_first_number(text) for text in texts[:known]] for texts in (up, down))
    checks = {
        "aria-sort": orders == ["ascending", "descending", None],
        "rows are lost": sorted(up) == sorted(down) == sorted(before),
        "not as before": column["after"]["texts"] == before,
        "missing is not last": all(text in MISSING for text in [*up[known:], *down[known:]]),
        "not sorted": _in_order(rising),
        "not sorted down": _in_order(falling[::-1]),
        "words not sorted": any(re.search(r"[^a-z]", text) for text in up[:known]) or up[:known] == sorted(up[:known]),
    }
    return [
        f"table {column['number']}, column {column['place']}: {fault}" for fault, fine in checks.items() if not fine
    ]


def _in_order(values: list[float | None]) -> bool:
    """Return whether a column rises, if all of it is numbers."""
    numbers = [value for value in values if value is not None]
    return len(numbers) < len(values) or numbers == sorted(numbers)


def _first_number(text: str) -> float | None:
    """Return the number that a cell is, or begins with before an interval, a spread or a size; None for words."""
    plain = text.replace(",", "").replace("−", "-")
    found = re.fullmatch(r"(<?)([+-]?\d+(?:\.\d+)?)(%?)(?: (?:\[|\(|±|×).*)?", plain)
    if not found:
        return None
    return float(found[2]) * (0.01 if found[3] else 1) - (1e-9 if found[1] else 0)


def test_a_table_sorts_by_keyboard(opened):
    opened.show("phase2.html")
    opened.page.reload()
    head = opened.page.locator("table.findings th").nth(1)
    rows = "[...document.querySelector('table.findings tbody').rows].map((row) => row.cells[1].textContent.trim())"
    before = opened.page.evaluate(rows)
    for _ in range(200):
        opened.page.keyboard.press("Tab")
        if head.evaluate("(head) => head.contains(document.activeElement)"):
            break
    assert head.evaluate("(head) => getComputedStyle(document.activeElement).outlineStyle") == "solid"
    opened.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert opened.page.evaluate(rows) == sorted(before, key=str.lower)
    opened.page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert opened.page.evaluate(rows) == sorted(before, key=str.lower, reverse=True)
    opened.page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") is None
    assert opened.page.evaluate(rows) == before


def test_the_first_key_leads_past_the_navigation(opened):
    opened.show("phase1.html")
    opened.page.reload()
    link = opened.page.locator(".skip")
    assert link.bounding_box()["x"] < 0
    opened.page.keyboard.press("Tab")
    assert link.evaluate("(link) => link === document.activeElement")
    assert link.bounding_box()["x"] >= 0
    opened.page.keyboard.press("Enter")
    assert opened.page.evaluate("document.activeElement.id") == "main"


def test_the_navigation_opens_on_a_phone_and_stands_open_on_a_desk(opened):
    opened.show("index.html", width=PHONE)
    opened.page.reload()
    link = opened.page.get_by_role("navigation", name="Pages").get_by_role("link", name="Glossary")
    assert not link.is_visible()
    opened.page.get_by_text("Contents", exact=True).click()
    assert link.is_visible()
    opened.page.reload()
    opened.page.set_viewport_size({"width": DESK, "height": 900})
    assert link.is_visible()


def test_missing_photographs_say_how_to_make_them(opened):
    opened.show("explain.html")
    words = opened.page.locator("object").first.locator("p")
    assert words.is_visible()
    assert "make repro" in words.inner_text()


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<p style="color: #777">pale</p>', "contrast 4.48"),  # WCAG's own example of what is just too pale on white
        ('<p style="color: #767676">not pale</p>', ""),
        ('<p style="color: #000; opacity: .4">pale</p>', "contrast"),
        ('<p style="color: #949494; font-size: 24px">large</p>', ""),
        ("<img src='data:,'>", "no alt"),
        ("<object data='data:,'></object>", "no label"),
        ("<h3>deep</h3>", "skips a level"),
        ("<h1>second</h1>", "headings"),
        ("<i id=a></i><i id=a></i>", "id twice"),
        ("<a href='#nowhere'>x</a>", "leads nowhere"),
        ("<table><tr><td>x</table>", "cannot scroll"),
    ],
)
def test_the_audit_itself_finds_faults(opened, body, fault):
    """Against figures and examples of WCAG, so that a sound site is no blind audit."""
    opened.show("index.html")
    opened.page.evaluate(
        """(body) => { document.body.innerHTML = `<main><h1>x</h1>${body}</main>`;
        document.body.style = "background: #fff; color: #000"; document.querySelector("h1").style = "color: #000"; }""",
        body,
    )
    found = opened.page.evaluate(AUDIT)
    opened.page.goto("about:blank")
    assert (fault in " ".join(found)) if fault else found == []


def test_what_stands_beside_the_page_is_found(opened):
    opened.show("index.html", width=700, media="print")
    opened.page.evaluate(
        "document.querySelector('main').append(Object.assign(document.createElement('pre'), "
        "{ textContent: 'x'.repeat(500), style: 'overflow: visible; width: 900px' }))"
    )
    assert opened.page.evaluate(OUTSIDE)
    opened.page.goto("about:blank")


def test_the_start_page_is_small(built):
    assert (built / "index.html").stat().st_size < 300_000
    loaded = [built / "index.html", built / "assets/style.css", built / "assets/sort.js"]
    pages = parse(loaded[0].read_text("utf-8").removeprefix("<!doctype html>")).all("picture")
    svgs = [source.attributes["srcset"] for page in pages for source in page.all("source")]
    pngs = [page.one("img").attributes["src"] for page in pages if not page.all("source")]
    pictures = [built / name for name in (*svgs, *pngs)]
    assert len(pictures) == 4
    assert sum(path.resolve().stat().st_size for path in [*loaded, *pictures]) < 300_000
    assert sum(path.stat().st_size for path in built.rglob("*") if path.is_file()) < 3_000_000
