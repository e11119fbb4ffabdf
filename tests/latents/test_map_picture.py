"""Latent maps as pictures: always of one size, equal axes, every point inside, and the legend next to them."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from framework.latents.maps.picture import Map, draw_maps, draw_plane, map_figure, side_by_side
from framework.latents.maps.plane import Plane

CLASSES = [str(digit) for digit in range(10)]
LABELS = np.arange(500) % 10


def plane(*, spread, method="latents"):
    points = np.random.default_rng(0).standard_normal((500, 2)) * spread
    return Plane(points, ("latent 1", "latent 2"), method)


def maps(count, *, spread=1.0):
    return [Map(f"run {k}: vae\n64 images seen", plane(spread=spread * (k + 1))) for k in range(count)]


@pytest.mark.parametrize(("count", "width"), [(1, 900), (2, 1630)])
def test_the_size_hangs_on_the_number_of_maps_alone(count, width):
    for spread in (0.1, 40.0):
        picture = draw_maps(maps(count, spread=spread), LABELS, CLASSES, legend="digit")
        assert picture.shape == (785, width, 3)
        assert picture.dtype == np.uint8


def test_the_same_points_are_the_same_bytes():
    drawn = [draw_maps(maps(1), LABELS, CLASSES, legend="digit").tobytes() for _ in range(2)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("count", [1, 2])
def test_legend_titles_and_axes_keep_out_of_each_others_way(count):
    figure = map_figure(maps(count), LABELS, ["a longer name", *CLASSES[1:]], legend="digit")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [axes.get_tightbbox(canvas.get_renderer()) for axes in figure.axes]
    legend = figure.legends[0].get_window_extent()
    for number, box in enumerate(boxes):
        assert not legend.overlaps(box)
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.y1


def test_two_maps_have_equal_axes_with_every_point_inside():
    shown = maps(2, spread=3.0)
    figure = map_figure(shown, LABELS, CLASSES, legend="digit")
    first, second = figure.axes
    assert first.get_xlim() == first.get_ylim() == second.get_xlim() == second.get_ylim()
    assert first.get_xlim()[1] > max(np.abs(one.plane.points).max() for one in shown)
    assert first.get_window_extent().width == pytest.approx(first.get_window_extent().height)
    assert first.get_window_extent().width == pytest.approx(second.get_window_extent().width)


def test_every_class_has_its_colour_and_its_line():
    figure = map_figure(maps(1), LABELS, CLASSES, legend="digit")
    colours = figure.axes[0].collections[0].get_facecolors()
    assert len(np.unique(colours, axis=0)) == 10
    assert [text.get_text() for text in figure.legends[0].get_texts()] == CLASSES
    many = map_figure(maps(1), np.arange(500) % 13, [*map(str, range(13))], legend="letter")
    assert len(np.unique(many.axes[0].collections[0].get_facecolors(), axis=0)) == 13


def test_up_on_the_sheet_is_up_on_the_map():
    seen = []

    def decode(latents):
        seen.append(latents)
        return np.zeros((len(latents), 32, 32, 1), np.uint8)

    draw_plane(decode, steps=3, title="plane")
    corners = seen[0].reshape(3, 3, 2)[[0, 0, 2, 2], [0, 2, 0, 2]]
    np.testing.assert_array_equal(corners, [[-3, 3], [3, 3], [-3, -3], [3, -3]])
    np.testing.assert_array_equal(seen[0][4], [0, 0])


def test_pictures_side_by_side():
    low, high = np.zeros((2, 3, 3), np.uint8), np.zeros((4, 1, 3), np.uint8)
    joined = side_by_side([low, high])
    assert joined.shape == (4, 4, 3)
    assert (joined[2:, :3] == 255).all()
    assert not joined[:2].any()
