"""Moments of features that come in parts and lie where they were computed."""

import numpy as np
import pytest
import torch

from framework.metrics import Moments


def parts(*sizes, seed=0, features=6):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(size, features)) * 3 + 7).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("sizes", [(5,), (256, 256, 88), (1, 1, 1), (0, 9), (9, 0, 4)])
def test_summed_has_the_bits_of_one_after_the_other(sizes):
    arrays = parts(*sizes)
    merged = Moments.of(arrays[0])
    for array in arrays[1:]:
        merged = merged + Moments.of(array)
    for given in (arrays, map(torch.from_numpy, arrays)):
        found = Moments.summed(given)
        assert found.count == merged.count == sum(sizes)
        assert np.array_equal(found.mean, merged.mean)
        assert np.array_equal(found.scatter, merged.scatter)


def test_the_parts_stay_as_they_were():
    arrays = parts(4, 6)
    tensors = [torch.from_numpy(array.copy()).double() for array in arrays]
    Moments.summed(tensors)
    assert all(np.array_equal(tensor.numpy(), array) for tensor, array in zip(tensors, arrays, strict=True))


def test_the_moments_are_numpys():
    arrays = parts(300, 200)
    whole, found = np.concatenate(arrays).astype(np.float64), Moments.summed(arrays)
    np.testing.assert_allclose(found.mean, whole.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(whole.T), rtol=1e-10)


def test_a_tensor_wants_two_axes_too():
    with pytest.raises(ValueError, match=r"must be \[n,d\]"):
        Moments.of(torch.zeros(3))
