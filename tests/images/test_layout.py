import itertools

import numpy as np
import pytest

from framework.images import Row, Term, at_side, corner_sheet, equation, grid, labelled_sheet, strip, strips
from framework.images.equation import equation_scene
from framework.images.layout import MARGIN, corner_scene, sheet_scene, strips_scene
from framework.images.scene import CARD, Box, Card, Label, Mark, Tile
from framework.images.text import SMALLEST, fit, font, printable, text_width, wrap

RESOLUTIONS = [32, 64, 128, 256]


def drawings(count: int, resolution: int, channels: int = 3) -> np.ndarray:
    """Seeded noise in colours that no layout draws by itself: neither white, nor near black, nor grey."""
    tiles = np.random.default_rng(0).integers(60, 80, (count, resolution, resolution, channels), dtype=np.uint8)
    tiles[..., 0] += 120
    return tiles


def terms(resolution: int, channels: int = 3, *, sizes=(3, 3, 5)) -> list[Term]:
    built = []
    for index, size in enumerate(sizes):
        tiles = drawings(size + 1, resolution, channels)
        captions = [f"{100 + k}\n0.9{k % 10}" for k in range(size)]
        built.append(Term("-" if index == 1 else "+", f"group_{index}", tiles[:-1], captions, tiles[-1]))
    return built


def check(scene, picture: np.ndarray) -> None:
    """Nothing lies over anything else (cards apart), all is within the margin, each tile is there unharmed."""
    solid = [item for item in scene.items if not isinstance(item, Card)]
    for one, other in itertools.combinations(solid, 2):
        assert not one.box.overlaps(other.box), (one.box, other.box)
    for card in (item for item in scene.items if isinstance(item, Card)):
        for item in solid:
            assert card.box.contains(item.box) or not card.box.overlaps(item.box)
    page = Box(MARGIN, MARGIN, picture.shape[1] - 2 * MARGIN, picture.shape[0] - 2 * MARGIN)
    for item in scene.items:
        assert page.contains(item.box), item
        if isinstance(item, Tile):
            box = item.box
            assert (picture[box.top : box.bottom, box.left : box.right] == item.pixels).all()
    edges = [picture[:MARGIN], picture[-MARGIN:], picture[:, :MARGIN], picture[:, -MARGIN:]]
    assert all((edge == 255).all() for edge in edges)


def words(scene) -> list[str]:
    return [item.text for item in scene.items if isinstance(item, Label)]


def ink(picture: np.ndarray, box: Box) -> int:
    return int((picture[box.top : box.bottom, box.left : box.right].max(axis=-1) < 160).sum())


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_has_one_geometry_and_its_captions_under_the_tiles(resolution, channels):
    images = drawings(23, resolution, channels)
    captions = [str(number) for number in range(1, 24)]
    scene = sheet_scene(images, captions, columns=10, title="23 samples", scale=None)
    picture = labelled_sheet(images, captions, columns=10, title="23 samples")
    check(scene, picture)
    tiles = [item.box for item in scene.items if isinstance(item, Tile)]
    assert {(box.width, box.height) for box in tiles} == {(128, 128)}
    # a title line of 29 and 12 below it, three rows of tile, 3 pixels, caption of 21, with 12 between
    height = 29 + 12 + 3 * (128 + 3 + 21) + 2 * 12
    assert picture.shape == (2 * MARGIN + height, 2 * MARGIN + 10 * 128 + 9 * 12, 3)
    labels = [item for item in scene.items if isinstance(item, Label)][1:]
    assert [label.text for label in labels] == captions
    for tile, label in zip(tiles, labels, strict=True):
        assert (label.box.left, label.box.width) == (tile.left, tile.width)
        assert 0 <= label.box.top - tile.bottom < 8
        assert ink(picture, label.box) > 5


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("columns", [2, 7])
def test_a_corner_sheet_has_one_geometry_and_words_outside_its_corners_alone(resolution, columns):
    images = drawings(columns * columns, resolution)
    captions = [f"sample {number}" for number in range(1, 5)]
    scene = corner_scene(images, captions, columns=columns, title="Between four")
    picture = corner_sheet(images, captions, columns=columns, title="Between four")
    check(scene, picture)
    (tile,) = [item.box for item in scene.items if isinstance(item, Tile)]
    assert (tile.width, tile.height) == (columns * 128, columns * 128)
    assert picture.shape == (2 * MARGIN + 29 + 12 + 2 * (21 + 3) + tile.height, 2 * MARGIN + tile.width, 3)
    labels = [item for item in scene.items if isinstance(item, Label)][1:]
    assert [(label.text, label.box.left == tile.left, label.box.bottom < tile.top) for label in labels] == [
        ("sample 1", True, True), ("sample 2", False, True), ("sample 3", True, False), ("sample 4", False, False)
    ]  # fmt: skip
    assert all(ink(picture, label.box) > 5 for label in labels)
    side = 128
    last = at_side(images[-1:], side)[0]
    assert (picture[tile.bottom - side : tile.bottom, tile.right - side : tile.right] == last).all()


def test_a_sheet_may_be_of_one_tile_and_at_a_given_scale():
    images = drawings(1, 32)
    scene = sheet_scene(images, ["1"], columns=1, title="a title that is longer than one tile", scale=2)
    check(scene, labelled_sheet(images, ["1"], columns=1, title="a title that is longer than one tile", scale=2))
    (tile,) = [item for item in scene.items if isinstance(item, Tile)]
    assert (tile.box.width, tile.box.height) == (64, 64)
    assert " ".join(words(scene)[:-1]) == "a title that is longer than one tile"


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_strips_show_each_row_with_its_label(resolution):
    images = drawings(6, resolution)
    captions = [f"t={step / 5:g}" for step in range(6)]
    rows = [Row(images, captions, "lerp"), Row(images[::-1], captions, "slerp")]
    scene = strips_scene(rows, title="From 1 to 2", scale=None)
    check(scene, strips(rows, title="From 1 to 2"))
    assert words(scene) == ["From 1 to 2", "lerp", *captions, "slerp", *captions]
    assert {item.box.width for item in scene.items if isinstance(item, Tile)} == {max(128, resolution)}
    assert np.array_equal(strip(images, captions, "x"), strips([Row(images, captions)], title="x"))
    assert strip(images).shape[0] == 2 * MARGIN + max(128, resolution)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_equation_has_one_geometry(resolution, channels):
    parts = terms(resolution, channels)
    result = drawings(1, resolution, channels)[0]
    arguments = {"title": "group_0 − group_1 + group_2", "note": "How it was made, in as many words. " * 8}
    scene = equation_scene(parts, result, "result\nsmiling 0.98", **arguments)
    picture = equation(parts, result, "result\nsmiling 0.98", **arguments)
    check(scene, picture)
    reference = equation_scene(terms(64), drawings(1, 64)[0], "result\nsmiling 0.98", **arguments)
    assert [item.box for item in scene.items] == [item.box for item in reference.items]
    sides = [item.box.width for item in scene.items if isinstance(item, Tile)]
    assert sides == [64, 64, 64, 128] * 2 + [64] * 5 + [128, 256]
    assert [item.kind for item in scene.items if isinstance(item, Mark)] == ["-", "+", "="]
    for part in parts:
        assert part.name in words(scene)
        assert {line for caption in part.member_captions for line in caption.split("\n")} <= set(words(scene))


def test_operators_stand_at_the_height_of_the_means():
    scene = equation_scene(terms(64, sizes=(3, 12, 1)), drawings(1, 64)[0], "result", title=None, note=None)
    middles = {2 * item.box.top + item.box.height for item in scene.items if isinstance(item, Mark)}
    means = {2 * i.box.top + i.box.height for i in scene.items if isinstance(i, Tile) and i.box.width == 128}
    assert middles == means
    assert len(middles) == 1


def test_a_leading_minus_is_drawn_and_a_leading_plus_is_not():
    first, second, _ = terms(32)
    result = drawings(1, 32)[0]
    kinds = [
        [item.kind for item in equation_scene(order, result, "", title=None, note=None).items if isinstance(item, Mark)]
        for order in ([first, second], [second, first])
    ]
    assert kinds == [["-", "="], ["-", "+", "="]]
    check(equation_scene([second], result, "r", title=None, note=None), equation([second], result, "r"))


def test_the_minus_is_one_bar_and_the_plus_two():
    parts = terms(64)
    scene = equation_scene(parts, drawings(1, 64)[0], "r", title=None, note=None)
    picture = equation(parts, drawings(1, 64)[0], "r")
    minus, plus, equals = (item.box for item in scene.items if isinstance(item, Mark))
    thick = 6
    assert ink(picture, minus) == 24 * thick
    assert ink(picture, plus) == 2 * 24 * thick - thick * thick
    assert ink(picture, equals) == 2 * 24 * thick


def test_cards_are_light_and_long_names_stay_on_them():
    (part, *_) = terms(64)
    long = Term("+", "a_name_that_nobody_would_ever_give_to_a_group", part.members, part.member_captions, part.mean)
    picture = equation([long], drawings(1, 64)[0], "r")
    check(equation_scene([long], drawings(1, 64)[0], "r", title=None, note=None), picture)
    assert (picture == np.array(CARD)).all(axis=-1).mean() > 0.1


def test_text_shrinks_then_is_cut():
    assert fit("short", size=16, width=100) == ("short", 16)
    line, size = fit("m" * 12, size=16, width=120)
    assert line == "m" * 12
    assert SMALLEST <= size < 16
    line, size = fit("m" * 100, size=16, width=120)
    assert size == SMALLEST
    assert line.endswith("...")
    assert text_width(line, size) <= 120
    assert fit("", size=16, width=10) == ("", 16)


def test_what_the_font_lacks_is_spelled_so_that_no_empty_boxes_are_drawn():
    assert printable("glasses − no_glasses … é ∂") == "glasses - no_glasses ... e ?"
    missing = bytes(font(16).getmask("\uffff"))
    assert all(bytes(font(16).getmask(chr(code))) != missing for code in range(33, 127))


def test_wrap_keeps_every_word():
    text = "one two three four five six\nseven"
    lines = wrap(text, size=16, width=90)
    assert " ".join(lines).split() == text.split()
    assert lines[-1] == "seven"
    assert len(lines) > 3
    assert all(text_width(line, 16) <= 90 for line in lines)


def test_at_side_repeats_or_averages_whole_pixels():
    tile = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    assert at_side(tile, 8)[0, ..., 0].tolist() == np.kron(tile[0, ..., 0], np.ones((2, 2), int)).tolist()
    assert at_side(tile, 2)[0, ..., 0].tolist() == [[2, 4], [10, 12]]  # 2.5, 4.5, 10.5, 12.5 to even
    assert at_side(drawings(2, 28), 64).shape == (2, 56, 56, 3)
    assert at_side(drawings(2, 200), 128).shape == (2, 200, 200, 3)


def test_pictures_are_the_same_every_time():
    images = drawings(4, 32)
    assert np.array_equal(grid(images, columns=2), grid(images, columns=2))
    one, other = (equation(terms(32), images[0], "r", note="n") for _ in range(2))
    assert np.array_equal(one, other)
