"""Charts as geometry: where points fall, which ticks there are, what a line with gaps becomes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.report.chart import Axis, Line, draw, thinned
from framework.report.ticks import log_ticks, nice_ticks


def test_axis_places_ends_and_middle():
    linear = Axis(10, 30, 0, 100)
    assert [linear.place(value) for value in (10, 20, 30)] == [0, 50, 100]
    log = Axis(1, 100, 200, 0, log=True)
    assert [log.place(value) for value in (1, 10, 100)] == pytest.approx([200, 100, 0])
    assert log.place(-3) == 200


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 9))
def test_nice_ticks_are_few_even_and_within(low, width, count):
    high = low + width
    if not high - low > 1e-7 * max(abs(low), abs(high)):
        return
    ticks = nice_ticks(low, high, count=count)
    assert 1 <= len(ticks) <= 2 * count + 1
    assert all(low - width * 1e-6 <= tick <= high + width * 1e-6 for tick in ticks)
    if len(ticks) > 2:
        np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0], rtol=1e-3)


@given(st.floats(1e-6, 1e6), st.floats(4.0, 1e9))
def test_log_ticks_lie_within(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert 2 <= len(ticks) <= 9
    assert all(low <= tick <= low * ratio for tick in ticks)


def test_a_gap_splits_a_line_and_a_lonely_point_becomes_a_dot():
    points = [(0, 1.0), (10, 2.0), (20, math.nan), (30, 1.5), (40, math.nan), (50, 1.0), (60, 1.0)]
    drawn = draw("loss", [Line("a", "c0", points, "a")], title="Loss")
    assert drawn is not None
    (curve,) = drawn.curves
    assert [len(run.split()) for run in curve.runs] == [2, 2]
    assert len(curve.dots) == 1


def test_nothing_finite_is_no_chart():
    assert draw("loss", [], title="Loss") is None
    assert draw("loss", [Line("a", "c0", [(1, math.nan), (2, math.inf)], "a")], title="Loss") is None


def test_a_constant_line_still_has_a_range():
    for value in (0.0, 5.0, -2.0):
        drawn = draw("loss", [Line("a", "c0", [(1, value), (2, value)], "a")], title="Loss")
        assert drawn is not None
        assert drawn.y.low < value < drawn.y.high or drawn.y.low == value == 0


def test_a_few_spikes_do_not_flatten_the_rest():
    rng = np.random.default_rng(0)
    values = rng.normal(1, 0.1, 1000)
    values[500] = -1e6
    drawn = draw("loss", [Line("a", "c0", list(enumerate(values)), "a")], title="Loss")
    assert drawn is not None
    assert 0 <= drawn.y.low < drawn.y.high < 2


def test_thinning_keeps_the_mean_and_the_ends_near():
    points = [(float(index), math.sin(index / 50)) for index in range(1200)]
    fewer = thinned(points, 240)
    assert len(fewer) == 240
    assert np.mean([y for _, y in fewer]) == pytest.approx(np.mean([y for _, y in points]), abs=1e-12)
    assert fewer[0][0] == 2.0
