"""Ways of known lengths: chords, arcs, levels."""

import numpy as np
import pytest

from framework.latents.walks.interpolate import lerp, slerp
from framework.latents.walks.smoothness import PATH_STEPS, PathMeter, measured, smoothness


def as_images(latents):
    """A linear generator: each number of a latent a pixel of its own."""
    return latents[:, None, None, :]


def both(a, b, steps=PATH_STEPS):
    return {"lerp": lerp(a, b, steps), "slerp": slerp(a, b, steps)}


def test_ways_in_features_are_the_chord_and_the_arc():
    a, b = np.zeros((2, 16), np.float32)
    a[0], b[0], b[1] = 5.0, 5 * np.cos(2.0), 5 * np.sin(2.0)  # 2 radians apart on a circle of radius 5
    found = measured(PathMeter(as_images, lambda images: images.flatten(1)), both(a, b))
    assert found["straight"] == pytest.approx(10 * np.sin(1.0), rel=1e-6)
    assert found["lerp"] == pytest.approx(found["straight"], rel=1e-6)
    assert found["slerp"] == pytest.approx(10.0, rel=1e-4)
    assert (found["features"], found["steps"]) == ("measurer", 65)


def test_ways_in_pixels_are_in_levels():
    """From black to white all over is 255 levels; half of the pixels alone, the root of a half of it."""
    meter = PathMeter(as_images)
    black, half, white = np.full((3, 16), -1, np.float32)
    half[:8], white[:] = 1, 1
    found = measured(meter, {"lerp": lerp(black, white, 65)})
    assert found == {"lerp": pytest.approx(255), "straight": pytest.approx(255), "features": "pixels", "steps": 65}
    assert meter.length(np.stack([black, half])) == pytest.approx(255 * np.sqrt(0.5))
    assert meter.length(np.stack([black, white, black])) == pytest.approx(510)
    assert meter.length(np.stack([black, black])) == 0


def test_what_is_less_than_a_level_counts():
    step = np.full((2, 16), 0.1 / 127.5, np.float32)  # a tenth of a level
    step[0] = 0
    assert PathMeter(as_images).length(step) == pytest.approx(0.1)


def test_smoothness_is_1_straight_on_and_the_arc_s_share_on_a_circle():
    """Of two pairs, 1 and 2 radians apart: the arc over its chord, and even steps."""
    pairs = []
    for angle in (1.0, 2.0):
        a, b = np.zeros((2, 16), np.float32)
        a[0], b[0], b[1] = 5.0, 5 * np.cos(angle), 5 * np.sin(angle)
        pairs.append((a, b))
    walks = {"lerp": [lerp(a, b, 65) for a, b in pairs], "slerp": [slerp(a, b, 65) for a, b in pairs]}
    found = smoothness(PathMeter(as_images), walks)
    arcs = [angle / (2 * np.sin(angle / 2)) for angle in (1.0, 2.0)]
    assert found["lerp"] == {"ratio": pytest.approx(1, abs=1e-5), "largest_step": pytest.approx(1, abs=1e-3)}
    assert found["slerp"] == {
        "ratio": pytest.approx(np.mean(arcs), rel=1e-4),
        "largest_step": pytest.approx(1, abs=1e-3),
    }
    assert (found["pairs"], found["features"], found["steps"]) == (2, "pixels", 65)


def test_a_jump_is_one_step_as_long_as_all():
    """Images that know two states alone: of 64 steps one has the whole length."""
    walk = lerp(np.full(4, -1, np.float32), np.full(4, 1, np.float32), 65)
    found = smoothness(PathMeter(lambda z: as_images(z.sign())), {"lerp": [walk, walk[:1].repeat(65, axis=0)]})
    assert found["lerp"]["largest_step"] == pytest.approx(64 / 2)  # the middle is 0, a state of its own
    assert found["lerp"]["ratio"] == pytest.approx(1)
