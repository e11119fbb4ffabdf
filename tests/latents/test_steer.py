"""Along a direction: measured on a toy whose attributes answer with a known slope, and drawn."""

import dataclasses
import json

import numpy as np
import pytest

from framework.latents.attributes.groups import labels_of
from framework.latents.directions.attributes import attributes_of
from framework.latents.directions.direction import Direction
from framework.latents.steering.effects import random_directions
from framework.latents.steering.move import (
    Moved,
    distances_along,
    draw_film,
    draw_strip,
    effect_of,
    mean_slopes,
    move_and_assess,
    table_of,
)

NAMES = ["sample 1", "sample 2", "me"]
STRENGTHS = [-1.0, -0.5, 0.0, 0.5, 1.0]


@pytest.fixture
def smiling():
    return Direction("smiling", "difference", np.eye(10, dtype=np.float32)[1], 0.5, "a" * 64)


@pytest.fixture
def measured(toy, make_judges, smiling):
    """(direction) -> what it does on 300 latents, and the attributes."""
    measurer = make_judges().measurer
    attributes = attributes_of(labels_of(measurer), ["glasses", "smiling", "female"])

    def measure(direction=smiling, parts=1):
        latents = toy.sample_latents(300, 7)
        split = [move_and_assess(toy, measurer, attributes, direction, part, STRENGTHS)
                 for part in np.array_split(latents, parts)]  # fmt: skip
        return Moved.merged(split)

    return measure


def test_slopes_are_the_toys(measured):
    """Its smile is 4 logits a unit of latent 1; a natural step here is half of one. Grey levels round."""
    effect = effect_of(measured(), STRENGTHS, {name: np.zeros(100) for name in ("glasses", "smiling", "female")})
    assert effect.slopes["smiling"].mean == pytest.approx(2.0, rel=0.02)
    assert effect.slopes["smiling"].right_share == 1.0
    low, high = effect.slopes["smiling"].interval
    assert low < 2.0 < high or high - low < 0.05
    for name in ("glasses", "female"):
        assert effect.slopes[name].mean == 0
        assert effect.leakage("smiling")[name] == 0
    # A quarter of the picture moves by 15 grey levels a strength of 1.
    assert effect.image_change == pytest.approx([15 / 4, 7.5 / 4, 0, 7.5 / 4, 15 / 4], abs=0.15)
    assert effect.random_rank("smiling") == 1.0


def test_parts_of_the_latents_are_the_whole(measured):
    whole, parts = measured(), measured(parts=7)
    for name, values in whole.values.items():
        assert np.array_equal(values, parts.values[name])
    assert np.array_equal(whole.changes, parts.changes)


def test_a_random_direction_moves_a_smile_by_its_part_of_it(measured):
    """Of a random direction of length 1 the part along latent 1 is its entry there."""
    slopes, entries = [], random_directions(10, count=20, seed=1)
    for vector in entries:
        moved = measured(Direction("random", "random", vector, 0.5, "a" * 64))
        slopes.append(effect_of(moved, STRENGTHS, {}).slopes["smiling"].mean)
    np.testing.assert_allclose(slopes, 2 * entries[:, 1], atol=0.05)


def test_how_far_images_leave_the_data_is_measured(toy, make_judges, smiling):
    """Of features that are the mean grey, the nearest real image black: a strength adds 15 levels to a quarter."""
    measurer, latents = make_judges().measurer, toy.sample_latents(50, 7) / 4
    attributes = attributes_of(labels_of(measurer), ["smiling"])
    moved = move_and_assess(toy, measurer, attributes, smiling, latents, STRENGTHS)

    def distances(images):
        return images.mean(axis=(1, 2, 3), dtype=np.float32)  # as a network's are, and JSON knows no such numbers

    far = distances_along(toy, distances, smiling, latents, STRENGTHS)
    effect = effect_of(moved, STRENGTHS, {"smiling": np.zeros(100)}, far=far)
    assert effect.data_strengths == [-4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4]
    sd = distances(toy.images(latents)).std(ddof=1)
    assert effect.data_distance == pytest.approx(
        [15 / 4 * strength / sd for strength in effect.data_strengths], abs=0.1
    )
    assert json.loads(json.dumps(effect.document()))["leaves_data_at"] == effect.leaves_data_at() > 0


def test_how_much_of_its_edit_a_walk_reaches_is_measured(toy, make_judges):
    """All four quarters 15 grey levels brighter a strength of 1: in tenths of the range from black to white 0.59."""
    vector = np.zeros(10, np.float32)
    vector[:4] = 0.5
    walk = Direction("brightness-steerable", "steerable", vector, 1.0, "a" * 64, target="brightness")
    measurer = make_judges().measurer
    moved = move_and_assess(toy, measurer, [], walk, toy.sample_latents(20, 7) / 4, STRENGTHS)
    reach = effect_of(moved, STRENGTHS, {}, spread=0.5).reach
    assert reach.reached == pytest.approx([strength * 15 / 25.5 for strength in STRENGTHS], abs=0.03)
    assert (reach.saturates_at, reach.data_spread) == (None, 0.5)


def test_mean_slopes_are_those_of_a_whole_measurement(toy, make_judges, smiling):
    measurer, latents = make_judges().measurer, toy.sample_latents(40, 7)
    attributes = attributes_of(labels_of(measurer), ["glasses", "smiling"])
    other = Direction("random", "random", random_directions(10, count=1, seed=1)[0], 0.5, "a" * 64)
    found = mean_slopes(toy, measurer, attributes, [smiling, other], latents, STRENGTHS)
    for direction, row in zip((smiling, other), found, strict=True):
        moved = move_and_assess(toy, measurer, attributes, direction, latents, STRENGTHS)
        whole = effect_of(moved, STRENGTHS, {}).slopes
        assert row == {name: whole[name].mean for name in ("glasses", "smiling")}


def test_strips_and_films_keep_their_geometry(toy, smiling):
    latents = toy.sample_latents(3, 0)
    picture = draw_strip(toy, smiling, latents, STRENGTHS, NAMES)
    assert picture.dtype == np.uint8
    assert picture.shape == draw_strip(toy, smiling, latents + 1, STRENGTHS, NAMES).shape
    film = draw_film(toy, smiling, latents, STRENGTHS)
    assert len(film) == 2 * 49 - 2
    assert np.array_equal(film[1], film[-1])
    assert not np.array_equal(film[0], film[48])
    at_its_middle = toy.images(smiling.moved(latents, 0.0))[2].repeat(4, axis=0).repeat(4, axis=1)
    assert np.array_equal(film[24][-176:-48, -152:-24], at_its_middle)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", ["smiling", "smiling-interfacegan", "smiling_without_glasses-interfacegan"])
def test_every_frame_is_as_large_as_the_others(toy, smiling, name, count):
    named = dataclasses.replace(smiling, name=name, method="interfacegan")
    film = draw_film(toy, named, toy.sample_latents(count, 0), [-3.0, 3.0])
    assert film.shape[2] == 24 * 2 + 128 * count + 12 * (count - 1)


def test_the_table_names_what_a_direction_is_for():
    answers = {
        "smiling": {"slope": 0.8, "random_rank": 1.0}, "hat": {"slope": -2.0, "random_rank": 0.5}
    }  # fmt: skip
    effects = {
        "a": {"method": "difference", "target": "smiling", "attributes": answers},
        "b": {"method": "sefa", "target": None, "attributes": answers},
    }
    assert [(row["file"], row["attribute"]) for row in table_of(effects)] == [("a", "smiling"), ("b", "hat")]
