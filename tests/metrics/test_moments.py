import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.metrics import Moments


def features(count, size=5, seed=0, offset=0.0):
    return np.random.default_rng(seed).normal(size=(count, size)) * np.arange(1, size + 1) + offset


def assert_same(found, expected):
    scale = np.abs(expected.scatter).max() + 1e-300
    assert found.count == expected.count
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12, atol=1e-12 * (1 + np.abs(expected.mean).max()))
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-9, atol=1e-12 * scale)


def test_of_is_numpys_mean_and_covariance():
    values = features(40)
    moments = Moments.of(values)
    np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(moments.covariance, np.cov(values, rowvar=False), rtol=1e-12, atol=1e-13)
    assert (moments.count, moments.size, moments.scatter.dtype) == (40, 5, np.float64)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(sum),
    seed=st.integers(0, 1000),
    order=st.randoms(use_true_random=False),
)
def test_any_grouping_and_any_order_give_the_whole(sizes, seed, order):
    values = features(sum(sizes), seed=seed, offset=3.0)
    parts = [Moments.of(part) for part in np.split(values, np.cumsum(sizes)[:-1])]
    order.shuffle(parts)
    while len(parts) > 1:  # merge two random neighbours until one is left: any tree over any order
        at = order.randrange(len(parts) - 1)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    assert_same(parts[0], Moments.of(values))


def test_merging_is_exact_where_the_mean_dwarfs_the_spread():
    values = features(1000, offset=1e8)
    merged = Moments.of(values[:300]) + Moments.of(values[300:])
    np.testing.assert_allclose(np.diag(merged.covariance), values.var(axis=0, ddof=1), rtol=1e-7)


def test_zero_is_neutral():
    moments, zero = Moments.of(features(7)), Moments.zero(5)
    assert zero + moments is moments
    assert moments + zero is moments
    assert (zero + zero).count == 0
    assert_same(Moments.of(np.empty((0, 5))), zero)


def test_float32_features_are_summed_in_float64():
    values = np.full((1 << 16, 1), 16_777_217 / 3, dtype=np.float32)
    assert Moments.of(values).mean[0] == np.float64(values[0, 0])


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least 2 vectors, not 1"):
        _ = Moments.of(features(1)).covariance
    with pytest.raises(ValueError, match="of 5 and of 4"):
        Moments.of(features(3)) + Moments.of(features(3, size=4))
    with pytest.raises(ValueError, match=r"must be \[n,d\], not \[3\]"):
        Moments.of(np.zeros(3))
