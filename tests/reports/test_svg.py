"""Figures as SVG, read by another program: XML with its text, its ink in the dark, and no more bytes than needed."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from deepfake.reports import figures, svg

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def drawn(tmp_path) -> Path:
    with plt.rc_context(figures.STYLE):
        figure, axes = plt.subplots()
        axes.plot([0, 1], [0, 1], color="0.6")
        axes.plot([0, 1], [1, 0], color=figures.COLOURS[1])
        axes.axvspan(0.2, 0.3, color="0.9")
        axes.text(0.5, 0.5, "<script>alert(1)</script> & מבחן", color=svg.ON_LIGHT)
        axes.set_title("AUC of each run")
        figures.save(figure, tmp_path / "figure.png")
    return tmp_path / "figure.svg"


def rules(text: str) -> dict[str, str]:
    """Return what each selector is in the dark, as a stylesheet's own text says it."""
    (dark,) = re.findall(r"@media \(prefers-color-scheme:dark\)\{(.*?)\}</style>", text)
    return dict(re.findall(r"([^{}]+)\{([^{}]+)\}", dark))


def test_a_figure_is_written_as_png_and_as_svg_of_the_same_shape(drawn):
    with Image.open(drawn.with_suffix(".png")) as png:
        wide, high = png.size
    root = ET.fromstring(drawn.read_text("utf-8"))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert wide / high == pytest.approx(width / height, rel=0.02)


def test_lines_are_where_matplotlib_draws_them(tmp_path):
    """The points of a path, read as SVG says: numbers after a pair go on as straight lines."""
    with plt.rc_context(figures.STYLE):
        figure, axes = plt.subplots()
        x = np.linspace(0, 1, 40)
        axes.plot(x, x**2, gid="curve", color=figures.COLOURS[2])
        figures.save(figure, tmp_path / "figure.png")
    root = ET.fromstring((tmp_path / "figure.svg").read_text("utf-8"))
    group = next(one for one in root.iter(f"{SVG}g") if one.get("id") == "curve")
    path = group.find(f"{SVG}path")
    assert path is not None
    numbers = np.array(re.findall(r"[\d.]+", path.attrib["d"]), float).reshape(-1, 2)
    shape = (numbers - numbers[0]) / (numbers[-1] - numbers[0])
    # points that a straight line goes through are left out
    assert 5 < len(shape) <= 40 and shape[:, 1] == pytest.approx(shape[:, 0] ** 2, abs=0.003)
    assert figures.COLOURS[2] in path.attrib["style"]


def test_text_stays_text_and_nothing_in_it_is_markup(drawn):
    root = ET.fromstring(drawn.read_text("utf-8"))
    said = [text.text for text in root.iter(f"{SVG}text")]
    assert {"AUC of each run", "<script>alert(1)</script> & מבחן"} <= set(said)
    assert root.find(f".//{SVG}script") is None


def test_greys_turn_to_their_opposite_in_the_dark_and_colours_do_not(drawn):
    text = drawn.read_text("utf-8")
    found = rules(text)
    greys = {shade for shade in re.findall(r"(?:fill|stroke): #(\w{6})", text) if len({*re.findall("..", shade)}) == 1}
    assert {"000000", "999999", "e6e6e6"} <= greys
    for shade in greys:
        light, dark = int(shade[:2], 16), int(found[f'[style*="stroke: #{shade}"]'].split("#")[1][:2], 16)
        assert (light < 128) == (dark > 126), shade
    for kept in (figures.COLOURS[1], svg.ON_LIGHT, svg.ON_DARK):
        assert not any(kept in selector for selector in found)


def test_all_colours_of_data_but_the_greys_can_be_seen_on_both_pages():
    def luminance(colour: str) -> float:  # WCAG 2.1
        parts = [int(part, 16) / 255 for part in re.findall("..", colour.removeprefix("#"))]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    def contrast(one: str, other: str) -> float:
        high, low = sorted((luminance(one), luminance(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for colour in figures.COLOURS[:4]:
        assert min(contrast(colour, "ffffff"), contrast(colour, "15181c")) > 2.8, colour


def test_the_same_numbers_give_the_same_bytes_in_another_process(drawn):
    again = """
import sys
from pathlib import Path
from deepfake.reports import figures
import matplotlib.pyplot as plt
with plt.rc_context(figures.STYLE):
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1], "o-", color="0.6")
    axes.fill_between([0, 1], [0, 0], [1, 1])
    figures.save(figure, Path(sys.argv[1]))
"""
    paths = [drawn.with_name(f"{seed}.png") for seed in "12"]
    for seed, path in zip("12", paths, strict=True):
        subprocess.run([sys.executable, "-c", again, path], check=True, env=os.environ | {"PYTHONHASHSEED": seed})
    first, second = (path.with_suffix(".svg").read_bytes() for path in paths)
    assert first == second
    assert b"Matplotlib v" not in first
    assert not re.search(rb"20\d\d-\d\d-\d\d", first)
