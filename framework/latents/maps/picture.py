"""Draws latent maps: codes coloured by class, side by side on equal axes, and a decoded plane of latents."""

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

PLANE_REACH = 3.0  # the sheet of the plane shows this many standard deviations of the prior on each side
_DPI = 100
_SIDE, _LEFT, _BOTTOM, _TOP, _GAP, _LEGEND = 6.4, 0.8, 0.7, 0.75, 0.9, 1.8  # inches
_ROOM = 1.05  # size of the axes relative to the farthest point
_WHITE = 255


@dataclass(frozen=True, eq=False)
class Map:
    """The panel of one generator.

    Attributes:
        title: The text above the panel, with at most one line break.
        plane: The positions of the codes.
    """

    title: str
    plane: Plane


def draw_maps(maps: Sequence[Map], labels: np.ndarray, classes: Sequence[str], *, legend: str) -> np.ndarray:
    """Draws one or more panels side by side: [H, W, 3] uint8, whose size does not depend on the points.

    Args:
        labels: [n] class indices of the codes, the same for all maps.
        classes: Names of the classes.
        legend: Title of the legend.
    """
    with mpl.rc_context():
        mpl.rcdefaults()  # ignore the user's matplotlibrc
        figure = map_figure(maps, labels, classes, legend=legend)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3]


def map_figure(maps: Sequence[Map], labels: np.ndarray, classes: Sequence[str], *, legend: str) -> Figure:
    """The matplotlib figure that `draw_maps` renders."""
    width = _LEFT + len(maps) * (_SIDE + _GAP) - _GAP + _LEGEND
    height = _BOTTOM + _SIDE + _TOP
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    reach = _ROOM * max(float(np.abs(panel.plane.points).max()) for panel in maps)
    reach = max(reach, _ROOM * PLANE_REACH)
    colours = _colours(len(classes))
    for number, panel in enumerate(maps):
        left = _LEFT + number * (_SIDE + _GAP)
        axes = figure.add_axes((left / width, _BOTTOM / height, _SIDE / width, _SIDE / height))
        points = panel.plane.points
        # One call for all classes, in the order of the images, so that no class covers the others.
        axes.scatter(points[:, 0], points[:, 1], s=9, c=colours[labels.astype(int)], alpha=0.7, linewidths=0)
        if panel.plane.method == "latents":
            side = 2 * PLANE_REACH
            axes.add_patch(Rectangle((-PLANE_REACH, -PLANE_REACH), side, side, fill=False, linewidth=0.6, color="0.5"))
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set_xlabel(panel.plane.axes[0])
        axes.set_ylabel(panel.plane.axes[1])
        axes.set_title(panel.title, fontsize=12)
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=8, color=colour, label=name)
        for colour, name in zip(colours, classes, strict=True)
    ]
    place = ((width - _LEGEND + 0.15) / width, (_BOTTOM + _SIDE) / height)
    figure.legend(handles=handles, title=legend, loc="upper left", bbox_to_anchor=place, frameon=False, borderaxespad=0)
    return figure


def draw_plane(images: Callable[[np.ndarray], np.ndarray], *, steps: int, title: str) -> np.ndarray:
    """Draws the decoded square from -3 to 3 of a two-dimensional latent space, oriented like the map.

    Args:
        images: Latents [n, 2] -> images [n, h, w, c] uint8.
        steps: Number of tiles on each side.

    Returns:
        [H, W, 3] uint8.
    """
    along = np.linspace(-PLANE_REACH, PLANE_REACH, steps, dtype=np.float32)
    first, second = np.meshgrid(along, along[::-1])  # rows go down, the second latent up
    latents = np.stack([first.ravel(), second.ravel()], axis=1)
    far = f"{PLANE_REACH:g}"
    captions = [f"(-{far}, {far})", f"({far}, {far})", f"(-{far}, -{far})", f"({far}, -{far})"]
    return corner_sheet(images(latents), captions, columns=steps, title=title)


def side_by_side(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Joins pictures [h, w, 3] uint8 from left to right, aligned at the top, on white."""
    height = max(len(picture) for picture in pictures)
    padded = [
        np.pad(picture, ((0, height - len(picture)), (0, 0), (0, 0)), constant_values=_WHITE) for picture in pictures
    ]
    return np.concatenate(padded, axis=1)


def _colours(count: int) -> np.ndarray:
    """Distinguishable RGBA colours [count, 4]: up to ten from a fixed set, more from a continuous colour map."""
    if count <= 10:
        return mpl.colormaps["tab10"](np.arange(count))
    return mpl.colormaps["turbo"](np.linspace(0.05, 0.95, count))
