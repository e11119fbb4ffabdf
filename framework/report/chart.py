"""Line charts as geometry: nice ticks, linear or logarithmic, points in a drawing's own units.

Hand-laid SVG instead of plotly.js: that weighs 4.8 MB in each report (1.5 MB compressed), draws nothing without
scripts, and takes its colours from Python, while these few shapes take theirs from the page's CSS (dark, print),
scale with it, and are drawn by `chart.html`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One trial's values against images seen.

    Args:
        trial: Its id.
        style: CSS class that gives its colour.
        points: (images seen, value), in order; values that are not finite interrupt the line.
        label: What a reader is told that it is.
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
        """The position of a value; on a logarithmic axis what is not above 0 lies at its low end."""
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
    """A line as it is drawn: runs of connected points, and the dots that stand alone or mark each value."""

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


def nice_ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within [low, high].

    >>> nice_ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> nice_ticks(0, 128_000, count=4)
    [0.0, 50000.0, 100000.0]
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.75)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high]; where they are few, their 2- and 5-fold too, or more between.

    >>> log_ticks(0.9, 1100)
    [1.0, 10.0, 100.0, 1000.0]
    >>> log_ticks(4, 60)
    [5.0, 10.0, 20.0, 50.0]
    >>> log_ticks(12, 80)
    [15.0, 20.0, 30.0, 50.0, 70.0]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for factors in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        every = [float(f"{factor * 10.0**power:.6g}") for power in powers for factor in factors]
        ticks = [value for value in every if low <= value <= high]
        if len(ticks) >= 4:
            break
    return ticks[:: math.ceil(len(ticks) / 8)]


def short_number(value: float) -> str:
    """A number as a tick says it.

    >>> [short_number(value) for value in (0, 0.25, 1500, 128_000, 1_500_000, -3.0, 0.0002)]
    ['0', '0.25', '1.5k', '128k', '1.5M', '\u22123', '2e\u22124']
    """
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.6g}{suffix}".replace("-", "\u2212")
    text = f"{value:.6g}"
    if 0 < abs(value) < 0.001:
        mantissa, power = f"{value:.5e}".split("e")
        text = f"{float(mantissa):g}e{int(power)}"
    return text.replace("-", "\u2212")


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
) -> Chart | None:
    """The chart of these lines, or None where not one value is finite.

    Args:
        name: For the page's ids.
        lines: First the ones that lie lowest; the last is drawn over the others.
        title: Its heading.
        caption: One line under the heading.
        size: Width and height in drawing units, about CSS pixels.
        fixed: The vertical range; none: what the values fill, without the most extreme 1% where they are many.
        dots: Whether each value is marked.
        mark: A point to ring and what to write beside it.
        references: Horizontal lines (value, text).
        most_points: A line with more is averaged over equal spans, to that many.
        log_from: The axis is logarithmic where the highest value is so many times the lowest (and that above 0).
    """
    drawn = [(line, [point for point in line.points if math.isfinite(point[0])]) for line in lines]
    drawn = [(line, points) for line, points in drawn if any(math.isfinite(y) for _, y in points)]
    values = np.array([y for _, points in drawn for _, y in points if math.isfinite(y)])
    if not len(values):
        return None
    x, y = _axes(values, max(px for _, points in drawn for px, _ in points), size=size, fixed=fixed, log_from=log_from)
    curves = [_curve(line, thinned(points, most_points), x, y, dots=dots) for line, points in drawn]
    place = (round(x.place(mark[0][0]), 1), round(y.place(mark[0][1]), 1)) if mark else None
    return Chart(
        name, title, caption, size[0], size[1], x, y, x.ticks(4 if size[0] < 500 else 8), y.ticks(5), curves,
        mark=place, mark_text=mark[1] if mark else "",
        mark_anchor="end" if place and place[0] > (x.start + x.end) / 2 else "start",
        references=[(round(y.place(value), 1), text) for value, text in references if y.low <= value <= y.high],
    )  # fmt: skip


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Averages over equal numbers of points where there are more than `most`.

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
    beyond = 0.005 if len(values) >= 200 else 0.0  # among many, a few spikes must not flatten all the rest
    low, high = fixed or (float(np.quantile(values, beyond)), float(np.quantile(values, 1 - beyond)))
    log = fixed is None and low > 0 and high / low > log_from
    if fixed is None:
        low, high = _padded(low, high, log=log)
    left = 14 + 6.4 * max(len(label) for _, label in Axis(low, high, 0, 1, log).ticks())
    return Axis(0.0, max(last, 1.0), round(left, 1), width - 16.0), Axis(low, high, height - 26.0, 12.0, log)


def _padded(low: float, high: float, *, log: bool) -> tuple[float, float]:
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
