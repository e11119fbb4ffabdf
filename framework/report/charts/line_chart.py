"""The geometry of line charts: linear and logarithmic axes, and points in drawing units. `chart.html` draws them.

The charts are SVG made here and not plotly.js, which would add 4.8 MB to each report (1.5 MB compressed), draw nothing
without scripts, and take its colours from Python. These SVGs take their colours from the page's CSS, which also has a
dark and a print version.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from framework.report.text.ticks import log_ticks, nice_ticks, short_number

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One trial's values against images seen.

    Args:
        style: The CSS class that sets the colour.
        points: (images seen, value), in order; values that are not finite interrupt the line.
        label: The name that the reader sees.
    """

    trial: str
    style: str
    points: Sequence[Point]
    label: str


@dataclass(frozen=True)
class Axis:
    """Maps values in [low, high] to [start, end] in drawing units."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """The position of a value; on a logarithmic axis, values of 0 and less are placed at the low end."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        if self.log:
            value = math.log10(value) if value > 0 else low
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """(position, label) of about `count` round values."""
        values = log_ticks(self.low, self.high) if self.log else nice_ticks(self.low, self.high, count=count)
        return [(round(self.place(value), 1), short_number(value)) for value in values]


@dataclass(frozen=True)
class Curve:
    """A line as it is drawn: runs of connected points, and dots (isolated points, or one for each value)."""

    trial: str
    style: str
    label: str
    runs: list[str]
    dots: list[Point]


@dataclass(frozen=True)
class Chart:
    """All that `chart.html` needs to draw."""

    name: str
    title: str
    caption: str
    width: int
    height: int
    x: Axis
    y: Axis
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    curves: list[Curve]
    mark: Point | None = None
    mark_text: str = ""
    mark_anchor: str = "start"
    references: list[tuple[float, str]] = field(default_factory=list)
    against: str = "images seen"


def draw(
    name: str,
    lines: Sequence[Line],
    *,
    title: str,
    caption: str = "",
    size: tuple[int, int] = (300, 200),
    fixed: tuple[float, float] | None = None,
    dots: bool = False,
    mark: tuple[Point, str] | None = None,
    references: Sequence[tuple[float, str]] = (),
    most_points: int = 240,
    log_from: float = 20.0,
    against: str = "images seen",
) -> Chart | None:
    """The chart of these lines; None if no value is finite.

    Args:
        name: Part of the element ids on the page.
        lines: The lines in drawing order; the last one lies over the others.
        title: The heading of the chart.
        caption: A line of text next to the heading.
        size: Width and height in drawing units, about CSS pixels.
        fixed: The vertical range; None for the range of the values, without the most extreme 1% if there are many.
        dots: Whether each value is marked with a dot.
        mark: A point to mark with a ring, and the text next to it.
        references: Horizontal lines as (value, text).
        most_points: A line with more points is reduced to this number, by averaging over equal numbers of points.
        against: What the horizontal axis shows.
        log_from: The axis is logarithmic if the highest value is this many times the lowest, and both are above 0.
    """
    drawn = [(line, [point for point in line.points if math.isfinite(point[0])]) for line in lines]
    drawn = [(line, points) for line, points in drawn if any(math.isfinite(y) for _, y in points)]
    values = np.array([y for _, points in drawn for _, y in points if math.isfinite(y)])
    if not len(values):
        return None
    last = max(px for _, points in drawn for px, _ in points)
    x, y = _axes(values, last, size=size, fixed=fixed, log_from=log_from)
    curves = [_curve(line, thinned(points, most_points), x, y, dots=dots) for line, points in drawn]
    place = (round(x.place(mark[0][0]), 1), round(y.place(mark[0][1]), 1)) if mark else None
    return Chart(
        name, title, caption, size[0], size[1], x, y, x.ticks(4 if size[0] < 500 else 8), y.ticks(5), curves,
        mark=place, mark_text=mark[1] if mark else "",
        mark_anchor="end" if place and place[0] > (x.start + x.end) / 2 else "start",
        references=[(round(y.place(value), 1), text) for value, text in references if y.low <= value <= y.high],
        against=against,
    )  # fmt: skip


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Reduces points to at most `most`, by averaging over equal numbers of points.

    >>> thinned([(1, 1.0), (2, 3.0), (3, 5.0), (4, 7.0)], 2)
    [(1.5, 2.0), (3.5, 6.0)]
    """
    if len(points) <= most:
        return list(points)
    parts = np.array_split(np.array(points, dtype=float), most)
    return [(float(part[:, 0].mean()), float(part[:, 1].mean())) for part in parts]


def _axes(
    values: np.ndarray, last: float, *, size: tuple[int, int], fixed: tuple[float, float] | None, log_from: float
) -> tuple[Axis, Axis]:
    width, height = size
    beyond = 0.005 if len(values) >= 200 else 0.0  # so that a few spikes among many values do not flatten the rest
    low, high = fixed or (float(np.quantile(values, beyond)), float(np.quantile(values, 1 - beyond)))
    log = fixed is None and low > 0 and high / low > log_from
    if fixed is None:
        low, high = padded(low, high, log=log)
    left = 14 + 6.4 * max(len(label) for _, label in Axis(low, high, 0, 1, log).ticks())
    return Axis(0.0, max(last, 1.0), round(left, 1), width - 16.0), Axis(low, high, height - 26.0, 12.0, log)


def padded(low: float, high: float, *, log: bool) -> tuple[float, float]:
    """Widens a range a little at both ends, even if they are equal; it starts at 0 if 0 is close.

    >>> padded(10.0, 20.0, log=False), padded(1.0, 20.0, log=False), padded(5.0, 5.0, log=False)
    ((9.2, 20.8), (0.0, 21.52), (4.5, 5.5))
    """
    if log:
        room = (high / low) ** 0.12
        return low / room, high * room
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return (0.0 if 0 <= low <= (high - low) * 0.5 else low - room), high + room


def _curve(line: Line, points: Sequence[Point], x: Axis, y: Axis, *, dots: bool) -> Curve:
    runs: list[list[Point]] = [[]]
    for px, py in points:
        if math.isfinite(py):
            runs[-1].append((round(x.place(px), 1), round(y.place(py), 1)))
        elif runs[-1]:
            runs.append([])
    alone = [run[0] for run in runs if len(run) == 1]
    return Curve(
        line.trial, line.style, line.label,
        runs=[" ".join(f"{px:g},{py:g}" for px, py in run) for run in runs if len(run) > 1],
        dots=[point for run in runs for point in run] if dots else alone,
    )  # fmt: skip
