"""Latent maps as pictures: codes by class on equal axes, side by side, and a plane of latents decoded as a sheet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from framework.images import corner_sheet
from framework.latents.maps.plane import Plane

PLANE_REACH = 3.0  # standard deviations of the prior that the plane's sheet shows to each side
_DPI = 100
_SIDE, _LEFT, _BOTTOM, _TOP, _GAP, _LEGEND = 6.4, 0.8, 0.7, 0.75, 0.9, 1.8  # inches
_ROOM = 1.05  # of the axes around the points
_WHITE = 255


@dataclass(frozen=True, eq=False)
class Map:
    """One generator's panel.

    Attributes:
        title: Above it; a line break makes a second line.
        plane: Where the codes lie.
    """

    title: str
    plane: Plane


def draw_maps(maps: Sequence[Map], labels: np.ndarray, classes: Sequence[str], *, legend: str) -> np.ndarray:
    """Panels side by side: [H, W, 3] uint8, its size the same for any points.

    Args:
        maps: One or more.
        labels: [n], each code's class by its number, the same for all maps.
        classes: Their names.
        legend: What the classes are of.
    """
    with mpl.rc_context():
        mpl.rcdefaults()  # no setting of the user's own
        figure = map_figure(maps, labels, classes, legend=legend)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3]


def map_figure(maps: Sequence[Map], labels: np.ndarray, classes: Sequence[str], *, legend: str) -> Figure:
    """The layout of `draw_maps`."""
    width = _LEFT + len(maps) * (_SIDE + _GAP) - _GAP + _LEGEND
    height = _BOTTOM + _SIDE + _TOP
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    reach = _ROOM * max(float(np.abs(one.plane.points).max()) for one in maps)
    reach = max(reach, _ROOM * PLANE_REACH)
    colours = _colours(len(classes))
    for number, one in enumerate(maps):
        left = _LEFT + number * (_SIDE + _GAP)
        axes = figure.add_axes((left / width, _BOTTOM / height, _SIDE / width, _SIDE / height))
        points = one.plane.points
        # all classes in one go, in the images' order: none covers the others by being last
        axes.scatter(points[:, 0], points[:, 1], s=9, c=colours[labels.astype(int)], alpha=0.7, linewidths=0)
        if one.plane.method == "latents":
            side = 2 * PLANE_REACH
            axes.add_patch(Rectangle((-PLANE_REACH, -PLANE_REACH), side, side, fill=False, linewidth=0.6, color="0.5"))
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set_xlabel(one.plane.axes[0])
        axes.set_ylabel(one.plane.axes[1])
        axes.set_title(one.title, fontsize=12)
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=8, color=colour, label=name)
        for colour, name in zip(colours, classes, strict=True)
    ]
    place = ((width - _LEGEND + 0.15) / width, (_BOTTOM + _SIDE) / height)
    figure.legend(handles=handles, title=legend, loc="upper left", bbox_to_anchor=place, frameon=False, borderaxespad=0)
    return figure


def draw_plane(images: Callable[[np.ndarray], np.ndarray], *, steps: int, title: str) -> np.ndarray:
    """The square from -3 to 3 of two latents, decoded at even steps, up being up as on the map.

    Args:
        images: Latents [n, 2] -> [n, h, w, c] uint8.
        steps: Side in tiles.
        title: Above.

    Returns:
        [H, W, 3] uint8.
    """
    along = np.linspace(-PLANE_REACH, PLANE_REACH, steps, dtype=np.float32)
    first, second = np.meshgrid(along, along[::-1])  # rows go down, the second latent up
    latents = np.stack([first.ravel(), second.ravel()], axis=1)
    far = f"{PLANE_REACH:g}"
    captions = [f"(-{far}, {far})", f"({far}, {far})", f"(-{far}, -{far})", f"({far}, -{far})"]
    return corner_sheet(images(latents), captions, columns=steps, title=title)


def beside(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures [h, w, 3] uint8 from left to right on white, their upper edges level."""
    height = max(len(picture) for picture in pictures)
    padded = [
        np.pad(picture, ((0, height - len(picture)), (0, 0), (0, 0)), constant_values=_WHITE) for picture in pictures
    ]
    return np.concatenate(padded, axis=1)


def _colours(count: int) -> np.ndarray:
    """[count, 4] that are told apart: ten of a fixed set, more from all round."""
    if count <= 10:
        return mpl.colormaps["tab10"](np.arange(count))
    return mpl.colormaps["turbo"](np.linspace(0.05, 0.95, count))
