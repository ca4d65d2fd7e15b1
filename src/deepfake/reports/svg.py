"""Figures as SVG: text that can be selected, the same bytes for the same numbers, ink that turns light in the dark."""

import io
import re

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

ON_LIGHT, ON_DARK = "#10101a", "#fdfdff"
"""Ink on a coloured cell, which stays as it is: not quite grey, so that no rule of the dark mode finds it."""
FONTS = "DejaVu Sans, Verdana, Segoe UI, Helvetica, Arial, sans-serif"
"""Matplotlib lays text out in the first; Verdana has its widths, the others are narrower."""
_INK, _PAPER = 0xE6, 0x17
"""Black and white in the dark."""


def drawn(figure: Figure, cut: Bbox) -> str:
    """Return a part of a figure as SVG on no background, for pages that are light or dark."""
    file = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "deepfake"}):
        nameless = {"Date": None, "Creator": None}
        figure.savefig(file, format="svg", bbox_inches=cut, transparent=True, metadata=nameless)
    text = re.sub(r' (?:d|x|y|transform)="[^"]*"', _shortened, file.getvalue())
    # fonts stand once in the style; a turn by nothing and indents say nothing
    text = re.sub(r' ?font-family: [^;"]*;?| transform="rotate\(-?0 [^"]*"|(?<=\n) +', "", text)
    style = f"text{{font-family:{FONTS}}}{_dark(text)}"
    return text.replace("<defs>\n<style", f"<style>{style}</style>\n<defs>\n<style", 1)


def _shortened(attribute: re.Match[str]) -> str:
    """Return places to a hundredth of a point, half the bytes and nobody sees it, and straight lines without L."""
    short = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), attribute[0])
    return short if re.search("[CQ]", short) else short.replace(" \nL ", " ")


def _dark(text: str) -> str:
    """Return the rules that turn every grey of a figure to its opposite where people read on a dark page."""
    greys = sorted({shade for shade in re.findall(r"#([0-9a-f]{6})\b", text) if shade == 3 * shade[:2]})
    rules = [f'text:not([style*="fill:"]){{fill:{_opposite("00")}}}']
    for shade in greys:
        rules += [
            f'[style*="{part}: #{shade}"]{{{part}:{_opposite(shade[:2])}!important}}' for part in ("fill", "stroke")
        ]
    # a picture that is opened by itself gets a dark page, too
    return "svg{color-scheme:light dark}@media (prefers-color-scheme:dark){" + "".join(rules) + "}"


def _opposite(shade: str) -> str:
    value = round(_INK + (_PAPER - _INK) * int(shade, 16) / 255)
    return f"#{value:02x}" + 2 * f"{value:02x}"
