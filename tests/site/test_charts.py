"""Charts drawn into pages: what is drawn is what was given."""

import re

import numpy as np
import pytest

from deepfake.reports.site import charts


def heights(path: str, frame: charts.Frame) -> list[float]:
    """Return the shares of the frame's height that the bars of a histogram reach."""
    steps = re.findall(r"V([\d.]+)H[\d.]+", path)
    return [(frame.bottom - float(step)) / (frame.bottom - frame.top) for step in steps]


def test_a_bar_is_as_high_as_its_share_of_the_highest():
    shares = [0.0, 0.1, 0.25, 0.4, 0.25]
    drawn = charts.histogram(shares, 0.5)
    np.testing.assert_allclose(heights(drawn.path, drawn.frame), np.array(shares) / 0.5, atol=0.01)
    edges = [float(x) for x in re.findall(r"H([\d.]+)", drawn.path)]
    width = drawn.frame.right - drawn.frame.left
    np.testing.assert_allclose(edges, drawn.frame.left + np.arange(1, 6) / 5 * width, atol=0.05)


def test_lines_run_from_the_first_epoch_to_the_last_and_stay_inside():
    drawn = charts.lines({"train": [(1, 0.4), (2, 0.7), (3, 1.2)], "validation": [(1, 0.55)]}, 0.5, 1.0)
    train, validation = ([tuple(map(float, point.split(","))) for point in line.points.split()] for line in drawn.lines)
    frame = drawn.frame
    assert [x for x, _ in train] == pytest.approx([frame.left, (frame.left + frame.right) / 2, frame.right], abs=0.05)
    height = frame.bottom - frame.top
    assert [y for _, y in train] == pytest.approx([frame.bottom, frame.bottom - 0.4 * height, frame.top], abs=0.05)
    assert validation == [pytest.approx((frame.left, frame.bottom - 0.1 * height), abs=0.05)]
    assert drawn.lines[0].dash != drawn.lines[1].dash
    assert [tick.label for tick in drawn.y_ticks] == ["0.50", "0.75", "1.00"]


def test_a_single_epoch_can_be_drawn():
    drawn = charts.lines({"train": [(1, 0.6)]}, 0.5, 1.0)
    assert drawn.lines[0].points and [tick.label for tick in drawn.x_ticks] == ["1"]


def test_many_epochs_have_few_ticks():
    drawn = charts.lines({"train": [(epoch, 0.6) for epoch in range(1, 101)]}, 0.5, 1.0)
    assert 2 <= len(drawn.x_ticks) <= 8
