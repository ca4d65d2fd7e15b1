"""Figures, looked at by measuring: no two texts cover each other, nothing is cut off, hostile names fit."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from deepfake.reports import curve_figures, figures, forest, heatmap, image_grid, svg

LONG = (
    "a_run_with_a_name_of_exactly_40_characters",
    "frozen EfficientNet-Lite0, trained from scratch",
    "x",
    "<b>&amp;</b> מבחן",
)


@contextmanager
def looked_at() -> Iterator[list[str]]:
    """Say what is wrong with the figures that are drawn, as they are drawn."""
    found: list[str] = []

    def look(figure: Figure, cut: Bbox, drawn=svg.drawn) -> str:
        figure.draw_without_rendering()
        found.extend(faults(figure))
        return drawn(figure, cut)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(svg, "drawn", look)
        yield found


def texts(figure: Figure) -> list[Text]:
    """Return all that can be read, ticks outside the axes' limits left out."""
    found = []
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks()
            places = axis.get_majorticklocs()
            inside = [low - 1e-9 <= place <= high + 1e-9 for place in places]
            found += [
                tick.label1 for tick, seen in zip(ticks, inside, strict=True) if seen and tick.label1.get_visible()
            ]
        found += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        legend = axes.get_legend()
        found += legend.get_texts() if legend is not None else []
    found += [text for legend in figure.legends for text in legend.get_texts()] + list(figure.texts)
    found += [label for label in (figure._supxlabel, figure._supylabel) if label is not None]  # pyright: ignore
    # the label of a whole figure is also one of its texts
    return list({id(text): text for text in found if text.get_text().strip()}.values())


def faults(figure: Figure) -> list[str]:
    """Return which texts cover each other, by more than a pixel, or are smaller than can be read."""
    boxes = [(text.get_text(), text.get_window_extent().padded(-1), text.get_fontsize()) for text in texts(figure)]
    found = [f"{name!r} is {size} points high" for name, _, size in boxes if float(size) < 7]
    for number, (name, box, _) in enumerate(boxes):
        found += [f"{name!r} covers {other!r}" for other, there, _ in boxes[number + 1 :] if box.overlaps(there)]
    return found


@pytest.fixture
def drawn(tmp_path):
    """Give a function that draws a figure and says what is wrong with it."""

    def draw(function, *arguments, **named) -> list[str]:
        path = tmp_path / "figure.png"
        with looked_at() as found:
            function(*arguments, path=path, **named)
        with Image.open(path) as png:
            assert png.width >= figures.WIDTH * figures.STYLE["figure.dpi"] - 2
        assert path.with_suffix(".svg").exists()
        return found

    return draw


def test_texts_that_cover_each_other_are_found():
    with plt.rc_context(figures.STYLE):
        figure, axes = plt.subplots()
        axes.set_xticks([0, 0.01], ["a long label", "another one"])
        axes.set_xlim(0, 1)
        figure.draw_without_rendering()
    assert faults(figure) == ["'a long label' covers 'another one'"]
    plt.close(figure)


def comparison(names: list[str], sources: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"experiment": names, "auc": rng.uniform(0.5, 0.9, len(names))})
    rows = rows.assign(auc_low=rows["auc"] - 0.03, auc_high=rows["auc"] + 0.02)
    columns = [f"auc_source{number}" for number in range(sources)]
    rows = pd.concat([rows, pd.DataFrame(rng.uniform(0.4, 1, (len(names), sources)), columns=columns)], axis=1)
    folds = pd.DataFrame([(name, 0.7 + 0.01 * fold) for name in names for fold in range(5)])
    return rows, folds.set_axis(["experiment", "auc"], axis=1)


@pytest.mark.parametrize("sources", [1, 3, 200])
@pytest.mark.parametrize("names", [LONG[:1], LONG, [f"run{number}" for number in range(12)]])
def test_auc_of_few_and_many_runs_and_sources(drawn, names, sources):
    rows, folds = comparison(list(names), sources)
    assert drawn(figures.auc, rows, folds, {name: name for name in names}) == []
    by_source = rows.set_index("experiment").filter(like="auc_source")
    assert drawn(heatmap.sources, by_source) == []


def band(x: str, y: str, **more: float) -> pd.DataFrame:
    grid = np.linspace(0, 1, 21)
    return pd.DataFrame({x: grid, y: grid**0.5, "low": grid**0.6, "high": grid**0.4, **more})


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_curves_of_one_to_five_runs(drawn, count):
    names = [*LONG, "another"][:count]
    folds = pd.DataFrame({"fold": [0, 0, 1, 1], "fpr": [0.0, 1, 0, 1], "tpr": [0.0, 1, 0.3, 1]})
    points = {f"a rule {number}": [(0.1 * number, 0.5)] * count for number in range(5)}
    roc = dict.fromkeys(names, band("fpr", "tpr"))
    assert drawn(curve_figures.roc, roc, dict.fromkeys(names, folds), points=points) == []
    pr = dict.fromkeys(names, band("recall", "precision", prevalence=0.75))
    assert drawn(curve_figures.precision_recall, pr, dict.fromkeys(names, 0.9)) == []
    risk = dict.fromkeys(names, band("coverage", "risk"))
    assert drawn(curve_figures.risk_coverage, risk, dict.fromkeys(names, 0.9)) == []
    against = pd.DataFrame({"probability": np.linspace(0.02, 0.98, 49)})
    for metric in curve_figures.DECIDED:
        against = against.assign(**{f"{metric}{end}": against["probability"] for end in ("", "_low", "_high")})
    chosen = {name: [0.5, 0.6] for name in names}
    assert drawn(curve_figures.thresholds, dict.fromkeys(names, against), chosen) == []
    counts = pd.DataFrame({"actual": ["real", "real", "fake", "fake"], "predicted": ["real", "fake"] * 2})
    assert drawn(figures.confusion, dict.fromkeys(names, counts.assign(count=123456))) == []
    history = pd.DataFrame({"epoch": [1, 2] * 2, "fold": [0, 0, 1, 1], "train_auc": 0.7, "validation_auc": 0.6})
    assert drawn(figures.curves, dict.fromkeys(names, history)) == []


@pytest.mark.parametrize("side_by_side", [None, "dataset"])
def test_forest_plots_of_long_names(drawn, side_by_side):
    rows = [
        {"table": table, "name": f"{name} − {table}", "dataset": dataset, "verdict": verdict, "difference": effect}
        for table, effect in (("first", 0.1), ("second", -0.3))
        for name in LONG[:3]
        for dataset, verdict in (("sample", "better"), ("another_data_set", "undecided"))
    ]
    tests = pd.DataFrame(rows).assign(low=lambda of: of["difference"] - 0.05, high=lambda of: of["difference"] + 0.05)
    tests = tests if side_by_side else tests.drop_duplicates("name")
    headings = {"first": "2A-1: is geometry a shortcut, and of what kind?", "second": "2B"}
    assert drawn(forest.differences, tests, headings, 0.02, side_by_side=side_by_side) == []


def test_an_auc_that_is_missing_leaves_its_cell_empty(tmp_path):
    values = pd.DataFrame({"a": [0.7, np.nan], "b": [0.2, 0.95]}, index=["one", "two"])
    heatmap.sources(values, tmp_path / "figure.png")
    text = (tmp_path / "figure.svg").read_text("utf-8")
    assert "nan" not in text
    assert all(f">{value}<" in text for value in ("0.700", "0.200", "0.950"))
    # dark ink on light cells, light ink on dark ones
    assert text.count(f"fill: {svg.ON_DARK}") == 1 and text.count(f"fill: {svg.ON_LIGHT}") == 2


def test_a_name_with_dollars_is_text(tmp_path):
    name = r"$\nothing_$"
    heatmap.sources(pd.DataFrame({name: [0.6]}, index=pd.Index([name])), tmp_path / "heat.png")
    text = "".join(ElementTree.parse(tmp_path / "heat.svg").getroot().itertext())
    assert text.count(name) == 2
    image_grid.draw([[np.zeros((8, 8, 3), np.uint8)]], [[name]], tmp_path / "grid.png", columns=[name], rows=[name])
    assert (tmp_path / "grid.png").exists()


def test_a_long_name_is_broken_at_an_underscore_and_never_at_a_hyphen():
    lines = figures.wrapped("a_run_with_a_name", 12).split("\n")
    assert "".join(lines) == "a_run_with_a_name" and len(lines) == 3
    assert all(len(line) <= 12 and line.endswith(end) for line, end in zip(lines, "__e", strict=True))
    assert figures.wrapped("frozen EfficientNet-Lite0", 20).split("\n") == ["frozen", "EfficientNet-Lite0"]
    assert max(map(len, figures.wrapped("x" * 95, 30).split("\n"))) == 30


def test_pages_folder_has_room_for_all_figures(tmp_path):
    """A step line of a fold is drawn from at most 200 points; fifteen folds of four runs stay small."""
    rng = np.random.default_rng(1)
    folds = [
        pd.DataFrame({"fold": fold, "fpr": np.sort(rng.random(200)), "tpr": np.sort(rng.random(200))})
        for fold in range(15)
    ]
    each = {name: pd.concat(folds) for name in "abcd"}
    path: Path = tmp_path / "roc.png"
    curve_figures.roc(dict.fromkeys(each, band("fpr", "tpr")), each, path)
    assert path.with_suffix(".svg").stat().st_size < 300_000
