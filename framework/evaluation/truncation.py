"""Precision against recall, and the Fréchet distance, of one generator's samples over the truncation ψ."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_FIELDS = {"precision": "precision", "recall": "recall", "fid": "frechet_distance"}
_DPI, _SIDE, _LEFT, _BOTTOM, _TOP, _GAP = 100, 4.6, 0.85, 0.7, 0.6, 1.1  # inches but for dots per inch
_ROOM = 0.14  # of an axis, free at both ends, for the labels of points
_COLOUR = "#2457a6"
_STEPS = 200  # places along each part of the line that labels keep free
# Where a label may stand, in points from the middle of its mark; the first that covers nothing is taken.
_PLACES = tuple(
    (reach * x, reach * y)
    for reach in (1.0, 1.9, 3.0, 4.4)
    for x, y in ((9, 6), (9, -13), (-9, 6), (-9, -13), (0, 10), (0, -18))
)


@dataclass(frozen=True)
class Point:
    """The scores of samples of one truncation; None for one that was not computed.

    Attributes:
        truncation: Scale ψ of the latents.
    """

    truncation: float
    precision: float | None = None
    recall: float | None = None
    frechet_distance: float | None = None


def truncation_points(scores: Sequence[dict[str, Any]], asked: Sequence[dict[str, Any]]) -> list[Point]:
    """The scores of a generator by ψ, in ascending order: those whose protocols differ in nothing but ψ and the device.

    Args:
        scores: All scores of the generator.
        asked: The scores that were requested. If their protocols differ in more than ψ, those with the most values of ψ
            are taken, and of these the first.

    Returns:
        At least two points; empty if there are fewer.
    """
    groups: dict[str, dict[float, dict[str, float]]] = {_alike(score): {} for score in asked}
    for score in scores:
        protocol = score["protocol"]
        field, group = _FIELDS.get(protocol.get("family", "fid")), groups.get(_alike(score))
        if field is not None and group is not None:
            group.setdefault(protocol["fake"].get("truncation", 1.0), {})[field] = score["value"]
    most = max(groups.values(), key=len, default={})
    return [Point(scale, **most[scale]) for scale in sorted(most)] if len(most) > 1 else []


def draw_truncation(points: Sequence[Point], *, title: str) -> np.ndarray | None:
    """Draws precision against recall and the Fréchet distance against ψ: [H,W,3] uint8.

    Returns:
        None if there are not two points for either panel.
    """
    with mpl.rc_context():
        mpl.rcdefaults()  # ignore the user's matplotlibrc
        figure = truncation_figure(points, title=title)
        if figure is None:
            return None
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3]


def truncation_figure(points: Sequence[Point], *, title: str) -> Figure | None:
    """The matplotlib figure that `draw_truncation` renders."""
    shares = [(each.recall, each.precision, each.truncation) for each in points]
    distances = [(each.truncation, each.frechet_distance, each.truncation) for each in points]
    panels = [
        (places, names)
        for rows, names in ((shares, ("recall", "precision")), (distances, ("truncation ψ", "Fréchet distance")))
        if len(places := [(x, y, scale) for x, y, scale in rows if x is not None and y is not None]) > 1
    ]
    if not panels:
        return None
    width, height = _LEFT + len(panels) * (_SIDE + _GAP) - _GAP + 0.3, _BOTTOM + _SIDE + _TOP
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    figure.text(_LEFT / width, 1 - 0.22 / height, title, fontsize=11, va="top")
    for number, (places, names) in enumerate(panels):
        left = _LEFT + number * (_SIDE + _GAP)
        axes = figure.add_axes((left / width, _BOTTOM / height, _SIDE / width, _SIDE / height))
        _panel(axes, places, names=names, is_share=names[0] == "recall")
    return figure


def _panel(axes: Axes, places: Sequence[tuple[float, float, float]], *, names: tuple[str, str], is_share: bool) -> None:
    across, up, scales = (np.array(values) for values in zip(*places, strict=True))
    axes.set_xlim(*_range(across))
    axes.set_ylim(*_range(up))
    axes.plot(across, up, color=_COLOUR, linewidth=1.2, alpha=0.5, zorder=1)
    axes.scatter(across, up, s=34, color=_COLOUR, zorder=2)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    axes.grid(color="0.9", linewidth=0.7)
    axes.set_axisbelow(True)
    if is_share:
        _label(axes, np.stack([across, up], axis=1), [f"ψ {scale:g}" for scale in scales])


def _range(values: np.ndarray) -> tuple[float, float]:
    """The limits of an axis: the values with room for labels, also if all are equal."""
    low, high = float(values.min()), float(values.max())
    room = (high - low) * _ROOM or max(abs(high) * _ROOM, 0.05)
    return low - room, high + room


def _label(axes: Axes, points: np.ndarray, texts: Sequence[str]) -> None:
    """Labels points [n,2] of a line, each where it covers neither the line, another label nor the frame.

    A text that fits nowhere joins the label of the nearest point that has one: nothing overlaps, nothing is left out.
    """
    figure = axes.figure
    canvas = FigureCanvasAgg(figure)  # pyright: ignore[reportArgumentType]  add_axes was called on a Figure
    renderer, frame = canvas.get_renderer(), axes.get_window_extent()
    marks = axes.transData.transform(points)
    shares = np.linspace(0, 1, _STEPS, endpoint=False)[:, None]
    line = np.concatenate([*(start + shares * (stop - start) for start, stop in pairwise(marks)), marks])
    taken: list[Any] = []
    placed: list[tuple[np.ndarray, Any]] = []
    for mark, point, text in zip(marks, points, texts, strict=True):
        for offset in _PLACES:
            label = axes.annotate(
                text,
                tuple(point),
                xytext=offset,
                textcoords="offset points",
                fontsize=9,
                ha={1: "left", -1: "right", 0: "center"}[int(np.sign(offset[0]))],
            )
            box = label.get_window_extent(renderer).expanded(1.04, 1.1)
            free = frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1
            (left, bottom), (right, top) = box.expanded(1.1, 1.3).get_points()
            covers = bool(((line > (left, bottom)) & (line < (right, top))).all(axis=1).any())
            if free and not covers and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                placed.append((mark, label))
                break
            label.remove()
        else:
            _, nearest = min(placed, key=lambda pair: float(np.abs(pair[0] - mark).sum()))
            nearest.set_text(f"{nearest.get_text()}, {text.removeprefix('ψ ')}")


def _alike(score: dict[str, Any]) -> str:
    """What the protocols of scores have to share to be points of one figure."""
    protocol = score["protocol"]
    sides = {
        side: {key: value for key, value in protocol[side].items() if key not in ("truncation", "device")}
        for side in ("real", "fake")
        if side in protocol
    }
    keys = ("features", "tap", "resize", "seeds", "engine", "pixels")
    return json.dumps({**{key: protocol.get(key) for key in keys}, **sides}, sort_keys=True)
