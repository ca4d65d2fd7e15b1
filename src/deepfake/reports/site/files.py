"""The picture files that pages show: whether they exist, and how large they are shown."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Picture:
    """A figure that exists.

    Args:
        png: the picture.
        svg: the same as SVG, where it was drawn so.
        width: in pixels.
        height: in pixels.
    """

    png: Path
    svg: Path | None
    width: int
    height: int


def picture(png: Path) -> Picture | None:
    """Return a figure, or None where it was not made or is damaged."""
    if not png.is_file():
        return None
    from PIL import Image

    try:
        with Image.open(png) as opened:
            width, height = opened.size
    except (OSError, SyntaxError):  # Pillow raises either for what is no picture
        return None
    svg = png.with_suffix(".svg")
    return Picture(png, svg if svg.is_file() else None, width, height)
