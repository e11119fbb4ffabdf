import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.config.schema import LatentsConfig
from framework.errors import LatentsError
from framework.latents.protocols import typical_norm
from framework.latents.walks.interpolate import (
    LEG_FRAMES,
    between_corners,
    draw_corners,
    draw_loop,
    interpolate,
    lerp,
    loop,
    slerp,
)
from framework.latents.walks.smoothness import PathMeter

FINITE = st.floats(-10, 10, width=32)


def latents(seed=0, size=100):
    return np.random.default_rng(seed).standard_normal((2, size)).astype(np.float32)


@pytest.mark.parametrize("walk", [lerp, slerp])
@pytest.mark.parametrize("steps", [2, 3, 6, 11])
def test_a_walk_has_its_ends_exactly(walk, steps):
    a, b = latents()
    path = walk(a, b, steps)
    assert path.shape == (steps, 100)
    assert path.dtype == np.float32
    assert np.array_equal(path[0], a)
    assert np.array_equal(path[-1], b)


def test_lerp_goes_in_equal_steps():
    a, b = latents()
    path = lerp(a, b, 6)
    np.testing.assert_allclose(np.diff(path, axis=0), np.tile((b - a) / 5, (5, 1)), atol=1e-6)


def test_the_middle_of_a_quarter_turn_in_closed_form():
    a, b = np.array([1.0, 0.0], np.float32), np.array([0.0, 3.0], np.float32)
    np.testing.assert_allclose(lerp(a, b, 3)[1], [0.5, 1.5])
    half = 2 * np.sqrt(0.5)  # at 45 degrees, with the mean of the norms
    np.testing.assert_allclose(slerp(a, b, 3)[1], [half, half], rtol=1e-6)


def test_slerp_of_equal_norms_is_shoemakes_formula():
    a, b = latents(1).astype(np.float64)
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    angle = np.arccos(a @ b / (a @ a))
    t = np.linspace(0, 1, 7)[:, None]
    formula = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    np.testing.assert_allclose(slerp(a.astype(np.float32), b.astype(np.float32), 7), formula, atol=2e-6)


def test_slerp_keeps_the_norm_and_lerp_loses_it():
    a, b = latents()
    norms = [np.linalg.norm(v) for v in (a, b)]
    straight, round_ = (np.linalg.norm(walk(a, b, 5), axis=1) for walk in (lerp, slerp))
    np.testing.assert_allclose(round_, np.linspace(*norms, 5), rtol=1e-5)
    assert straight[2] == pytest.approx(np.sqrt(a @ a + b @ b + 2 * a @ b) / 2, rel=1e-5)
    assert straight[2] < 0.8 * min(norms)


@given(st.lists(FINITE, min_size=4, max_size=4), st.lists(FINITE, min_size=4, max_size=4), st.integers(2, 9))
def test_slerp_is_finite_in_equal_angles_and_between_the_norms(first, second, steps):
    a, b = np.array(first, np.float32), np.array(second, np.float32)
    path = slerp(a, b, steps)
    assert np.isfinite(path).all()
    norms = np.linalg.norm(path.astype(np.float64), axis=1)
    ends = sorted((norms[0], norms[-1]))
    assert (norms <= ends[1] * (1 + 1e-5) + 1e-6).all()
    if ends[0] > 1e-2:
        assert (norms >= ends[0] * (1 - 1e-4)).all()
        units = path / norms[:, None]
        angles = 2 * np.arcsin(np.clip(np.linalg.norm(np.diff(units, axis=0), axis=1) / 2, 0, 1))
        np.testing.assert_allclose(angles, angles.mean(), atol=2e-4)


def test_slerp_where_there_is_no_plane():
    a = latents()[0]
    np.testing.assert_allclose(slerp(a, 2 * a, 3)[1], 1.5 * a, rtol=1e-6)
    np.testing.assert_allclose(slerp(a, 0 * a, 3)[1], 0.5 * a, rtol=1e-6)
    opposite = slerp(a, -a, 5)
    np.testing.assert_allclose(np.linalg.norm(opposite, axis=1), np.linalg.norm(a), rtol=1e-5)
    assert abs(float(opposite[2] @ a)) < 1e-3 * float(a @ a)
    one = np.array([2.0], np.float32)
    np.testing.assert_allclose(slerp(one, -one, 3), [[2], [0], [-2]])


def test_the_typical_norm_is_that_of_samples():
    for size in (1, 10, 128):
        samples = np.random.default_rng(0).standard_normal((4000, size))
        assert typical_norm(size) == pytest.approx(np.linalg.norm(samples, axis=1).mean(), rel=0.03)


def test_interpolation_of_a_generator(toy):
    config = LatentsConfig(seed=3, walks={"steps": 6})
    made = interpolate(toy, config)
    ends = toy.sample_latents(2, 3)
    assert np.array_equal(made.latents["lerp"][[0, -1]], ends)
    assert np.array_equal(made.latents["slerp"][[0, -1]], ends)
    assert made.document["t"] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert made.document["seed"] == 3
    assert (made.document["from"], made.document["to"]) == ("sample 1", "sample 2")
    norms = np.linalg.norm(ends, axis=1)
    np.testing.assert_allclose(made.document["latent_norms"]["slerp"], np.linspace(*norms, 6), atol=1e-3)
    first = toy.images(ends)[0].repeat(4, axis=0).repeat(4, axis=1)  # at 128 pixels
    assert any((made.picture[top : top + 128, 24:152] == first).all() for top in range(60, 140))
    again = interpolate(toy, config)
    assert np.array_equal(again.picture, made.picture)
    assert interpolate(toy, LatentsConfig(walks={"steps": 2})).picture.shape[1] == 2 * 24 + 2 * 128 + 12


def test_a_loop_closes_one_step_before_it_begins():
    samples = np.random.default_rng(0).standard_normal((5, 20)).astype(np.float32)
    samples *= 3 / np.linalg.norm(samples, axis=1, keepdims=True)
    walk = loop(samples, 8)
    assert walk.shape == (40, 20)
    assert np.array_equal(walk[::8], samples)
    assert np.array_equal(walk[-1], slerp(samples[-1], samples[0], 9)[-2])
    around = np.concatenate([walk, walk[:1]]).astype(np.float64)
    steps = np.linalg.norm(np.diff(around, axis=0), axis=1).reshape(5, 8)
    np.testing.assert_allclose(steps, np.tile(steps.mean(axis=1, keepdims=True), (1, 8)), rtol=1e-4)
    assert len(np.unique(walk, axis=0)) == 40


def test_between_corners_corners_and_edges_are_exact():
    corners = np.random.default_rng(1).standard_normal((4, 20)).astype(np.float32)
    sheet = between_corners(corners, 5)
    assert sheet.shape == (5, 5, 20)
    assert np.array_equal(sheet[[0, 0, -1, -1], [0, -1, 0, -1]], corners)
    assert np.array_equal(sheet[0], slerp(corners[0], corners[1], 5))
    assert np.array_equal(sheet[-1], slerp(corners[2], corners[3], 5))
    assert np.array_equal(sheet[:, 0], slerp(corners[0], corners[2], 5))
    assert np.array_equal(sheet[:, -1], slerp(corners[1], corners[3], 5))
    assert np.array_equal(sheet[:, 2], slerp(sheet[0, 2], sheet[-1, 2], 5))
    assert np.array_equal(between_corners(corners, 2).reshape(4, 20), corners)


def test_a_film_of_a_loop_and_a_sheet_of_corners(toy):
    config = LatentsConfig(seed=4, walks={"loop_samples": 3, "corner_steps": 3})
    samples = toy.sample_latents(4, 4)
    film = draw_loop(toy, config)
    assert len(film) == 3 * LEG_FRAMES
    shown = toy.images(samples).repeat(8, axis=1).repeat(8, axis=2)
    assert np.array_equal(film[::LEG_FRAMES, 24:280, 24:280], shown[:3])
    assert np.array_equal(film, draw_loop(toy, config))
    sheet = draw_corners(toy, config)
    tiles = sheet[-24 - 24 - 3 * 128 : -24 - 24, 24 : 24 + 3 * 128]
    for corner, place in zip(shown[:, ::2, ::2], [(0, 0), (0, 256), (256, 0), (256, 256)], strict=True):
        assert np.array_equal(tiles[place[0] : place[0] + 128, place[1] : place[1] + 128], corner)


def test_a_walk_is_measured_the_same_however_many_pictures_are_drawn(toy):
    meter = PathMeter(lambda z: z[:, :4, None, None] / 4)
    few, many = (interpolate(toy, LatentsConfig(walks={"steps": steps}), meter=meter) for steps in (2, 7))
    lengths = few.document["path_length"]
    assert lengths == many.document["path_length"]
    assert lengths["lerp"] == pytest.approx(lengths["straight"])
    assert lengths["slerp"] > lengths["straight"]
    assert few.picture.shape[0] > interpolate(toy, LatentsConfig(walks={"steps": 2})).picture.shape[0]
    same = [("a", np.ones(10, np.float32)), ("b", np.ones(10, np.float32))]
    assert interpolate(toy, LatentsConfig(), starts=same, meter=meter).document["path_length"]["straight"] == 0


def test_a_walk_starts_at_what_is_named(toy):
    photographs = [("anna", np.full(10, 0.5, np.float32)), ("ben", np.full(10, -0.5, np.float32))]
    samples = toy.sample_latents(2, 0)
    one = interpolate(toy, LatentsConfig(), starts=photographs[:1])
    assert (one.document["from"], one.document["to"]) == ("anna", "sample 1")
    assert np.array_equal(one.latents["slerp"][[0, -1]], [photographs[0][1], samples[0]])
    two = interpolate(toy, LatentsConfig(), starts=photographs)
    assert (two.document["from"], two.document["to"]) == ("anna", "ben")
    assert np.array_equal(two.latents["lerp"][[0, -1]], [photographs[0][1], photographs[1][1]])
    with pytest.raises(LatentsError, match=r"latents.start: a walk has two ends, but 3 are named"):
        interpolate(toy, LatentsConfig(), starts=[*photographs, photographs[0]])
