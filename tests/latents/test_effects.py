"""Measured effects, against closed forms."""

import numpy as np
import pytest
import scipy.stats

from framework.errors import LatentsError
from framework.latents.directions.attributes import logits
from framework.latents.steering.effects import Effect, Slopes, latent_slopes, random_directions
from framework.latents.walks.smoothness import path_length

STRENGTHS = [-2.0, -1.0, 0.0, 1.0, 3.0]


def test_slopes_are_those_of_scipy():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 20)) + np.outer(STRENGTHS, rng.normal(size=20))
    expected = [scipy.stats.linregress(STRENGTHS, column).slope for column in values.T]
    np.testing.assert_allclose(latent_slopes(values, STRENGTHS), expected, rtol=1e-12)
    with pytest.raises(LatentsError, match="at least two different strengths"):
        latent_slopes(values[:2], [1.0, 1.0])


def test_the_interval_is_students_and_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    each = rng.normal(0.3, 1, size=30)
    found = Slopes.of(each)
    expected = scipy.stats.t.interval(0.95, 29, loc=each.mean(), scale=scipy.stats.sem(each))
    assert found.interval == pytest.approx(expected)
    assert found.right_share == (each > 0).mean()
    holds = [
        low <= 0.3 <= high for low, high in (Slopes.of(rng.normal(0.3, 1, size=30)).interval for _ in range(2_000))
    ]
    assert np.mean(holds) == pytest.approx(0.95, abs=0.015)
    with pytest.raises(LatentsError, match="at least 2 latents, not 1"):
        Slopes.of(each[:1])


def effect(**more):
    slopes = {name: Slopes.of(np.full(4, mean)) for name, mean in (("smiling", 0.8), ("glasses", -0.2), ("hat", 0.0))}
    random = {name: np.linspace(-1, 1, 101) for name in slopes}
    return Effect(STRENGTHS, 4, slopes, random, **more)


def test_a_rank_among_random_directions_looks_at_sizes():
    """Of 101 slopes from -1 to 1 in steps of 0.02, 79 lie strictly within 0.8, 19 within 0.2."""
    found = effect()
    assert found.random_rank("smiling") == pytest.approx(79 / 101, abs=0.02)
    assert found.random_rank("glasses") == pytest.approx(19 / 101, abs=0.02)
    assert found.random_rank("hat") == 0


def test_leakage_is_a_share_of_the_own_slope():
    assert effect().leakage("smiling") == pytest.approx({"glasses": -0.25, "hat": 0.0})
    with pytest.raises(LatentsError, match="hat: does not respond"):
        effect().leakage("hat")


def test_where_samples_leave_the_data():
    found = effect(data_strengths=[-2, -1, 0, 1, 2], data_distance=np.array([1.5, 0.7, 0.0, 0.6, 1.4]))
    # Backwards from 1.2 at 1 to 2.0 at 2, forwards from 1.1 at 1 to 1.9 at 3.
    assert found.leaves_data_at() == pytest.approx(min(1 + 0.3 / 0.8, 1 + 0.4 / 0.8))
    assert effect(data_strengths=[-2, -1, 0, 1, 2], data_distance=np.zeros(5)).leaves_data_at() is None
    assert effect().leaves_data_at() is None


def test_a_document_tells_all():
    document = effect(image_change=np.arange(5.0)).document()
    assert document["attributes"]["smiling"]["slope"] == pytest.approx(0.8)
    assert document["attributes"]["smiling"]["random_99th"] == pytest.approx(1.0, abs=0.02)
    assert document["image_change"] == [0, 1, 2, 3, 4]
    assert document["latents"] == 4


def test_random_directions_are_even_on_the_sphere():
    found = random_directions(8, count=20_000, seed=0)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(found.T @ found / len(found), np.eye(8) / 8, atol=0.01)
    assert np.array_equal(found[:5], random_directions(8, count=5, seed=0))


def test_paths_and_logits_by_hand():
    assert path_length(np.array([[0.0, 0], [3, 4], [3, 5]])) == 6
    assert logits(np.array([0.25])) == pytest.approx(-np.log(3))
    assert np.isfinite(logits(np.array([0.0, 1.0]))).all()
