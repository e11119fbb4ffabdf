import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.config.schema import LatentsConfig
from framework.latents.subjects import typical_norm
from framework.latents.walks import interpolate, lerp, slerp

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
    config = LatentsConfig(interpolation_steps=6, seed=3)
    made = interpolate(toy, config)
    ends = toy.sample_latents(2, 3)
    assert np.array_equal(made.latents["lerp"][[0, -1]], ends)
    assert np.array_equal(made.latents["slerp"][[0, -1]], ends)
    assert made.document["t"] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert made.document["seed"] == 3
    norms = np.linalg.norm(ends, axis=1)
    np.testing.assert_allclose(made.document["latent_norms"]["slerp"], np.linspace(*norms, 6), atol=1e-3)
    first = toy.images(ends)[0].repeat(4, axis=0).repeat(4, axis=1)  # at 128 pixels
    assert any((made.picture[top : top + 128, 24:152] == first).all() for top in range(60, 120))
    again = interpolate(toy, config)
    assert np.array_equal(again.picture, made.picture)
    assert interpolate(toy, LatentsConfig(interpolation_steps=2)).picture.shape[1] == 2 * 24 + 2 * 128 + 12
