"""A picture of a generated data set: some of its photographs, and what was made of them."""

import io
from contextlib import ExitStack
from pathlib import Path
from zipfile import ZipFile

import av
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from deepfake import tables
from deepfake.synthetic import photographs

ROWS = 5
"""Photographs on a contact sheet."""
FRAMES = 4
"""Frames of a clip on a contact sheet, one after the other from its middle on."""


def draw(raw: Path, titles: dict[str, str], path: Path) -> None:
    """Draw a few photographs of different people beside the fakes made from them, at their relative sizes.

    The picture shows photographs: it is made anew from the archives and never committed.

    Args:
        raw: a folder of archives that share the names of their members.
        titles: the archives' names without `.zip`, in the order of the columns, and what a person reads above each.
        path: the PNG to write, gray, about 900 x 1200 pixels.
    """
    with ExitStack() as stack:
        opened = {source: stack.enter_context(ZipFile(raw / f"{source}.zip")) for source in titles}
        members = _spread(set.intersection(*(set(archive.namelist()) for archive in opened.values())))
        rows = [[_decode(opened[source].read(member)) for source in titles] for member in members]
    _lay_out({Path(member).stem: row for member, row in zip(members, rows, strict=True)}, titles, path)


def draw_clips(raw: Path, titles: dict[str, str], path: Path) -> None:
    """Draw a few frames of a few clips of different people beside the fakes made from them, as `draw` does.

    Args:
        raw: a folder of folders of clips that share the names of their files.
        titles: the folders' names, in the order of the columns, and what a person reads above each.
        path: the PNG to write.
    """
    clips = ({str(clip.relative_to(raw / source)) for clip in (raw / source).rglob("*.mp4")} for source in titles)
    members = _spread(set.intersection(*clips))
    rows = {Path(member).stem: [_strip(raw / source / member) for source in titles] for member in members}
    _lay_out(rows, titles, path)


def _lay_out(rows: dict[str, list[np.ndarray]], titles: dict[str, str], path: Path) -> None:
    """Write rows of gray pictures, a column a title, each row with its name."""
    height, width = (max(image.shape[axis] for row in rows.values() for image in row) + 12 for axis in (0, 1))
    unit = 2.4 / min(height, width)
    size = (unit * width * len(titles), unit * height * len(rows) + 0.8)
    figure = Figure(figsize=size, dpi=94, layout="constrained")
    sheet = figure.add_subplot(xlim=(0, width * len(titles)), ylim=(height * len(rows), 0), aspect="equal")
    for row, images in enumerate(rows.values()):
        for column, image in enumerate(images):
            left, top = width * (column + 0.5) - image.shape[1] / 2, height * (row + 0.5) - image.shape[0] / 2
            extent = (left, left + image.shape[1], top + image.shape[0], top)
            sheet.imshow(image, cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="antialiased")
    sheet.set(xlim=(0, width * len(titles)), ylim=(height * len(rows), 0))
    columns = [f"{source}\n({title})" for source, title in titles.items()]
    sheet.set_xticks([width * (column + 0.5) for column in range(len(titles))], columns)
    sheet.set_yticks([height * (row + 0.5) for row in range(len(rows))], list(rows))
    sheet.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    sheet.spines[:].set_visible(False)
    sheet.set_xlabel(photographs.CREDIT, fontsize=9, labelpad=10)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight", pad_inches=0.1)
    with tables.atomic(path) as temporary:
        Image.open(drawn).convert("L").save(temporary, optimize=True)


def _spread(members: set[str]) -> list[str]:
    """Return `ROWS` members of people who lie evenly among all, each time another photograph."""
    by_person: dict[str, list[str]] = {}
    for member in sorted(members):
        by_person.setdefault(member.split("/")[0], []).append(member)
    chosen = np.linspace(0, len(by_person) - 1, min(ROWS, len(by_person))).round().astype(int)
    candidates = [list(by_person.values())[person] for person in chosen]
    return [of_person[(7 * row) % len(of_person)] for row, of_person in enumerate(candidates)]


def _decode(data: bytes) -> np.ndarray:
    """Return a JPEG file's pixels as gray: uint8 [height, width]."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"))


def _strip(path: Path) -> np.ndarray:
    """Return frames of a clip side by side, as gray: uint8 [height, width of all]."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    return np.hstack(frames[len(frames) // 2 :][:FRAMES])
