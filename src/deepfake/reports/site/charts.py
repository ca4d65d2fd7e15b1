"""Small charts of the site, drawn as SVG inside its pages: where everything stands, for the macros of `charts.html.j2`.

They take the page's own colour, so they are right on light and on dark, and weigh a few kilobytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 340, 170
"""Of a chart of lines, in pixels."""
PANEL_WIDTH, PANEL_HEIGHT = 210, 96
"""Of a histogram."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 8, 20
"""Space for the ticks around the plot."""
DASHES = ("", "5 3", "1.5 3")
"""How the first, second and third line are told apart: not by colour."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Tick:
    """A mark on an axis.

    Args:
        at: where, in pixels.
        label: what stands there.
    """

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Args:
        name: for the legend.
        points: as SVG wants them.
        dash: its dashes, as SVG wants them.
        legend: where the legend begins that names it, in pixels from the left.
    """

    name: str
    points: str
    dash: str
    legend: float


@dataclass(frozen=True)
class Frame:
    """The plot's place in a chart, in pixels.

    Args:
        width: of the whole chart.
        height: of the whole chart.
        left: edge of the plot.
        right: edge of the plot.
        top: edge of the plot.
        bottom: edge of the plot.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def x(self, share: float) -> float:
        """Return where a share of the width lies."""
        return round(self.left + share * (self.right - self.left), 1)

    def y(self, share: float) -> float:
        """Return where a share of the height lies, from the bottom."""
        return round(self.bottom - share * (self.bottom - self.top), 1)


@dataclass(frozen=True)
class LineChart:
    """Lines over whole numbers, such as epochs.

    Args:
        frame: where it lies.
        lines: what it shows.
        x_ticks: of the horizontal axis.
        y_ticks: of the vertical axis.
    """

    frame: Frame
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True)
class Histogram:
    """Shares of equal bins between 0 and 1.

    Args:
        frame: where it lies.
        path: the outline of all bars, as SVG wants it.
        x_ticks: of the horizontal axis.
        y_ticks: of the vertical axis.
    """

    frame: Frame
    path: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def lines(series: Mapping[str, Points], low: float, high: float) -> LineChart:
    """Lay out lines.

    Args:
        series: the points (x, y) of each line by its name, at most three lines, one point at least in all.
        low: the value at the bottom; what lies lower is drawn there.
        high: the value at the top; what lies higher is drawn there.
    """
    frame = Frame(WIDTH, HEIGHT, _LEFT, WIDTH - _RIGHT, _TOP + 14, HEIGHT - _BOTTOM)
    places = sorted({x for points in series.values() for x, _ in points})
    first, span = places[0], max(places[-1] - places[0], 1)

    def at(x: float, y: float) -> str:
        share = min(1.0, max(0.0, (y - low) / (high - low)))
        return f"{frame.x((x - first) / span):g},{frame.y(share):g}"

    drawn = [
        Line(name, " ".join(at(x, y) for x, y in points), dash, frame.left + 110 * number)
        for number, ((name, points), dash) in enumerate(zip(series.items(), DASHES, strict=False))
    ]
    step = max(1, -(-len(places) // 8))
    x_ticks = [Tick(frame.x((x - first) / span), f"{x:g}") for x in places[::step]]
    middle = (low + high) / 2
    return LineChart(
        frame,
        drawn,
        x_ticks,
        [Tick(frame.y(s), f"{v:.2f}") for s, v in zip((0, 0.5, 1), (low, middle, high), strict=True)],
    )


def histogram(shares: Sequence[float], highest: float) -> Histogram:
    """Lay out a histogram.

    Args:
        shares: of each bin, from that at 0 to that at 1.
        highest: the share at the top, above 0: that of all histograms that are to be compared.
    """
    frame = Frame(PANEL_WIDTH, PANEL_HEIGHT, _LEFT, PANEL_WIDTH - _RIGHT, _TOP, PANEL_HEIGHT - _BOTTOM)
    steps = [f"M{frame.left} {frame.bottom}"]
    for number, share in enumerate(shares):
        steps.append(f"V{frame.y(min(1.0, share / highest)):g}H{frame.x((number + 1) / len(shares)):g}")
    path = "".join([*steps, f"V{frame.bottom}Z"])
    x_ticks = [Tick(frame.x(share), f"{share:g}") for share in (0, 0.5, 1)]
    return Histogram(frame, path, x_ticks, [Tick(frame.y(0), "0"), Tick(frame.y(1), f"{highest:.0%}")])
