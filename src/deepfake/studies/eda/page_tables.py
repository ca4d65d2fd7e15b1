"""The tables of the page on the data: how the study's tables are shown."""

import html
from collections.abc import Mapping

import pandas as pd

from deepfake import tables
from deepfake.reports.columns import Column, Table, estimate, interval, number, text
from deepfake.studies.eda import distributions, splitting

_CLASSES = {tables.REAL: "real", tables.FAKE: "fake"}


def plain(name: str) -> str:
    """Return a name from the data as text of a page: no markup, and one cell of a table."""
    text = html.escape(" ".join(name.split()), quote=False)
    return "".join(f"&#{ord(letter)};" if letter in "|`*[" else letter for letter in text)


def _name(heading: str, key: str) -> Column:
    """Return a column of names from the data."""
    return Column(heading, {"": key}, plain)


def _range(heading: str, low: str, high: str, form: str = "{:,.0f}") -> Column:
    """Return a column of ranges; a single number where there is one only."""

    def written(first: float, last: float) -> str:
        ends = dict.fromkeys((form.format(first), form.format(last)))
        return " to ".join(ends)

    return Column(heading, {"low": low, "high": high}, written)


_CLASS = Column("Class", {"": "label"}, _CLASSES.__getitem__)
_SOURCE = [_name("Data set", "dataset"), _name("Source", "source"), _CLASS]
SUMMARY = [
    _name("Data set", "dataset"),
    number("Samples", "samples", "{:,}"),
    number("Groups", "groups", "{:,}"),
    number("Reals", "reals", "{:,}"),
    number("Fakes", "fakes", "{:,}"),
    number("Sources", "sources", "{:,}"),
    number("Test samples", "test_samples", "{:,}"),
    _range("Samples a group", "smallest_group", "largest_group"),
    _name("Formats", "formats"),
    _name("Modes", "modes"),
    _range("Width (px)", "width_min", "width_max"),
    _range("Height (px)", "height_min", "height_max"),
    number("MB", "megabytes", "{:,.1f}"),
]
SPLITS = [
    _name("Data set", "dataset"),
    Column("Part", {"": "part"}, lambda part: part.replace("_", " ")),
    number("Folds", "folds", "{:,.0f}"),
    _range("Groups", "groups_min", "groups_max"),
    _range("Samples", "samples_min", "samples_max"),
    _range("Share of fakes", "share_fake_min", "share_fake_max", "{:.3f}"),
    number("Largest gap of a source", "source_gap_max"),
    number("Shared groups", "shared_groups_max", "{:,.0f}"),
    number("Shared files", "shared_files_max", "{:,.0f}"),
]
SCALES = [
    text("Statistics", "statistics"),
    number("Fold", "fold", "{:.0f}"),
    number("Images", "images", "{:,.0f}"),
    *(
        Column(name, {"": f"mean_{channel}", "sd": f"std_{channel}"}, "{:.4f} ± {:.4f}".format)
        for channel, name in zip("rgb", ("Red", "Green", "Blue"), strict=True)
    ),
]
ZSCORES = [
    text("Statistics", "statistics"),
    _name("Source", "source"),
    _CLASS,
    estimate("Mean z-score", "z", "low", "high"),
    number("SD of the pixels", "sd"),
    number("Images", "samples", "{:,}"),
]
FACES = [
    *_SOURCE,
    number("Images", "samples", "{:,}"),
    estimate("Detection rate", "share", "low", "high"),
    number("Several faces", "several", "{:,}"),
    number("Faces an image", "faces_per_image", "{:.2f}"),
    number("Confidence (median)", "confidence", "{:.4f}"),
    number("5%", "confidence_q05", "{:.4f}"),
    number("Box's share of the image (median)", "box_median"),
    interval("5% to 95%", "box_q05", "box_q95"),
]
VIEWS = [
    _name("Data set", "dataset"),
    text("View", "view"),
    _CLASS,
    number("Cut out around a face", "face", "{:.1%}"),
    number("Shown of the image", "shown", "{:.1%}"),
    number("Black beyond it", "black", "{:.1%}"),
    number("Image pixels a pixel", "scale", "{:.2f}"),
    number("Different scales", "scales", "{:,}"),
]
_SIZES = {"width": "{:,.0f}", "height": "{:,.0f}", "aspect": "{:.3f}", "bytes_per_pixel": "{:.3f}", "quality": "{:.0f}"}
_COLOURS = {"brightness": "{:.1f}", "contrast": "{:.1f}", "saturation": "{:.1f}", "gray": "{:.1%}"}


def markdown(found: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the tables of the page as Markdown; those without rows are empty."""
    none = pd.DataFrame()
    shown = {
        "summary": Table(found["summary"], SUMMARY),
        "sizes": _of_measures(found["sizes"], _SIZES, distributions.SIZES, ("median", "q05", "q95")),
        "colours": _of_measures(found["colours"], _COLOURS, distributions.COLOURS, ("mean", "sd")),
        "differences": _differences(found["differences"]),
        "quality": _checks(found["quality"]),
        "splits": Table(_ranges(found["splits"]), SPLITS),
        "normalization": Table(found.get("normalization", none), SCALES),
        "zscores": Table(found.get("zscores", none), ZSCORES),
        "faces": Table(found["faces"], FACES),
        "views": Table(found["views"], VIEWS),
    }
    return {name: table.markdown() if len(table.numbers) else "" for name, table in shown.items()}


def _of_measures(
    rows: pd.DataFrame, forms: Mapping[str, str], titles: Mapping[str, str], shown: tuple[str, ...]
) -> Table:
    """Return distributions with a row a source and a column a measure: a mean with its SD, or a median with its range.

    Args:
        rows: a table of distributions.
        forms: how the figures of each measure are written.
        titles: what each measure is called.
        shown: the figures of a measure that a cell shows.
    """
    keys = ["dataset", "source", "label"]
    wide = rows.pivot(index=keys, columns="measure", values=list(shown)).reindex(
        pd.MultiIndex.from_frame(rows[keys].drop_duplicates())
    )
    wide.columns = [f"{measure} {figure}" for figure, measure in wide.columns]
    columns = [
        Column(
            titles[measure],
            {figure: f"{measure} {figure}" for figure in shown},
            (f"{form} [{form}, {form}]" if len(shown) == 3 else f"{form} ± {form}").format,
            form.format,
        )
        for measure, form in forms.items()
        if f"{measure} {shown[0]}" in wide
    ]
    return Table(wide.reset_index(), [*_SOURCE, *columns])


def _differences(rows: pd.DataFrame) -> Table:
    """Return how well each figure predicts the label, with a row a figure and a column a data set."""
    columns = ["auc", "auc_low", "auc_high", "verdict"]
    cells = ("{:.3f} [{:.3f}, {:.3f}], {}".format(*row) for row in rows[columns].itertuples(index=False))
    said = rows.assign(said=[cell.replace("_", " ") for cell in cells])
    return _by_data_set(said, ["level", "name"], [text("Figure", "name"), text("Kind", "level")])


def _checks(rows: pd.DataFrame) -> Table:
    """Return quality checks with a row a check and a column a data set."""
    said = [
        outcome.replace("_", " ") if value != value else f"{value:,.3g}{'' if outcome == 'passed' else f' ({outcome})'}"
        for value, outcome in zip(rows["value"].astype(float), rows["outcome"], strict=True)
    ]
    shown = [text("Check", "check"), number("Limit", "limit", "{:,.3g}")]
    return _by_data_set(rows.assign(said=said), ["check", "limit"], shown)


def _by_data_set(rows: pd.DataFrame, keys: list[str], shown: list[Column]) -> Table:
    """Return a table with a column a data set, which holds what is `said` of it."""
    names = list(dict.fromkeys(rows["dataset"]))
    order = pd.MultiIndex.from_frame(rows[keys].drop_duplicates())
    wide = rows.pivot(index=keys, columns="dataset", values="said").reindex(index=order, columns=names)
    places = [f"data set {place}" for place in range(len(names))]  # a name may be that of another column
    columns = [Column(plain(name), {"": place}, str) for name, place in zip(names, places, strict=True)]
    return Table(wide.set_axis(places, axis=1).reset_index(), [*shown, *columns])


def _ranges(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what the parts of all folds hold: one row a data set and part."""
    rows = rows.assign(place=rows["part"].map(splitting.PARTS.index))
    figures = ["samples", "groups", "share_fake", "source_gap", "shared_groups", "shared_files"]
    by_part = rows.groupby(["dataset", "place"], sort=False)
    found = by_part[figures].agg(["min", "max"])
    found.columns = [f"{figure}_{end}" for figure, end in found.columns]
    return found.assign(folds=by_part["fold"].nunique(), part=by_part["part"].first()).reset_index()
