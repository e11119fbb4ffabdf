import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.metrics import Moments, frechet_distance


def with_covariance(mean, covariance, count=101):
    return Moments(count, np.asarray(mean, float), np.asarray(covariance, float) * (count - 1))


def rotation(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def sample(count, size, seed, decay=0.7):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) * decay ** np.arange(size) + seed


def by_scipy(a, b):
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance)
    shift = a.mean - b.mean
    return float(shift @ shift + np.trace(a.covariance + b.covariance) - 2 * np.trace(root).real)


def test_one_dimension_is_the_textbook():
    """(m₁ − m₂)² + (s₁ − s₂)²: 3² + (5 − 2)²."""
    assert frechet_distance(with_covariance([1], [[25]]), with_covariance([4], [[4]])) == pytest.approx(18, rel=1e-14)


@pytest.mark.parametrize("size", [2, 16, 64])
def test_commuting_covariances_have_a_closed_form(size):
    rng = np.random.default_rng(size)
    turn, means = rotation(size), rng.normal(size=(2, size))
    spreads = rng.uniform(0, 3, size=(2, size))
    sides = [with_covariance(m, turn @ np.diag(s**2) @ turn.T) for m, s in zip(means, spreads, strict=True)]
    expected = ((means[0] - means[1]) ** 2).sum() + ((spreads[0] - spreads[1]) ** 2).sum()
    assert frechet_distance(*sides) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("first", "second"), [(500, 400), (4000, 50_000)])
def test_full_rank_agrees_with_scipys_sqrtm(first, second):
    a, b = Moments.of(sample(first, 48, 1)), Moments.of(sample(second, 48, 2))
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-9)


@pytest.mark.parametrize(("first", "second", "size", "decay"), [(20, 30, 64, 0.95), (100, 100, 768, 0.995)])
def test_fewer_vectors_than_features(first, second, size, decay):
    """Rank n − 1. The nuclear norm of the product of centred data knows the answer without any d x d matrix."""
    x, y = sample(first, size, 1, decay=decay), sample(second, size, 2, decay=decay)
    a, b = Moments.of(x), Moments.of(y)
    cx, cy = (x - x.mean(0)) / np.sqrt(first - 1), (y - y.mean(0)) / np.sqrt(second - 1)
    shift = x.mean(0) - y.mean(0)
    overlap = np.linalg.svd(cx @ cy.T, compute_uv=False).sum()
    expected = shift @ shift + (cx**2).sum() + (cy**2).sum() - 2 * overlap
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-12)


def test_singular_covariances():
    """Two planes in five dimensions that share one axis, and a point mass."""
    a, b = with_covariance([0] * 5, np.diag([4, 9, 0, 0, 0])), with_covariance([0] * 5, np.diag([0, 1, 16, 0, 0]))
    assert frechet_distance(a, b) == pytest.approx(4 + (3 - 1) ** 2 + 16, rel=1e-14)
    assert frechet_distance(a, with_covariance([1] * 5, np.zeros((5, 5)))) == pytest.approx(5 + 13, rel=1e-12)


@pytest.mark.parametrize("count", [30, 1000])
def test_nothing_lies_between_a_set_and_itself(count):
    moments = Moments.of(sample(count, 64, 3))
    assert frechet_distance(moments, moments) <= 1e-12 * np.trace(moments.covariance)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), counts=st.tuples(st.integers(2, 40), st.integers(2, 40)))
def test_symmetric_never_negative_and_unmoved_by_rotation(seed, counts):
    x, y = sample(counts[0], 12, seed, decay=0.9), sample(counts[1], 12, seed + 1, decay=0.9)
    turn = rotation(12, seed)
    distance = frechet_distance(Moments.of(x), Moments.of(y))
    assert distance >= 0
    assert frechet_distance(Moments.of(y), Moments.of(x)) == pytest.approx(distance, rel=1e-6)
    assert frechet_distance(Moments.of(x @ turn), Moments.of(y @ turn)) == pytest.approx(distance, rel=1e-6)


def test_what_cannot_be_is_refused():
    good = with_covariance([0, 0], np.eye(2))
    with pytest.raises(ValueError, match="of 2 and of 3 features"):
        frechet_distance(good, with_covariance([0] * 3, np.eye(3)))
    with pytest.raises(ValueError, match="at least 2 vectors, not 1"):
        frechet_distance(good, Moments.of(np.ones((1, 2))))
    with pytest.raises(ValueError, match="not finite"):
        frechet_distance(good, with_covariance([np.nan, 0], np.eye(2)))
