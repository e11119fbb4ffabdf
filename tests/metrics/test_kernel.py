import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from framework.metrics import KernelDistance, kernel_distance, subset_distance, subset_indices


def sides(real=400, fake=300, size=24, shift=0.3):
    rng = np.random.default_rng(0)
    return rng.random((real, size), np.float32), rng.random((fake, size), np.float32) + np.float32(shift)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_it_is_torch_fidelitys_for_the_same_subsets(shift):
    real, fake = sides(shift=shift)
    theirs = kid_features_to_metric(
        torch.from_numpy(real).double(),
        torch.from_numpy(fake).double(),
        kid_subsets=20,
        kid_subset_size=100,
        rng_seed=7,
        kid_kernel="poly",
        verbose=False,
    )
    ours = kernel_distance(real, fake, subsets=20, subset_size=100, seed=7)
    assert ours.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9, abs=1e-12)
    assert ours.sd == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-9)


def test_two_points_by_hand():
    """Kernel (x·y/2 + 1)³ of x = (1,1), (0,0) and y = (2,0), (0,2): within x 1, within y 1, across 8, 8, 1, 1."""
    x, y = np.array([[1.0, 1], [0, 0]]), np.array([[2.0, 0], [0, 2]])
    assert subset_distance(x, y) == pytest.approx(2 / 2 + 2 / 2 - 2 * 18 / 4)


def test_the_estimate_is_unbiased_so_equal_distributions_scatter_around_zero():
    real, fake = sides(4000, 4000, shift=0.0)
    found = kernel_distance(real, fake, subsets=40, subset_size=100)
    assert abs(found.mean) < 3 * found.sd / np.sqrt(40)
    assert found.sd > 0


def test_who_computes_which_subset_changes_nothing_and_files_will_do(tmp_path):
    real, fake = sides()
    np.save(tmp_path / "real.npy", real)
    mapped = np.load(tmp_path / "real.npy", mmap_mode="r")
    settings = {"subsets": 6, "subset_size": 50, "seed": 1}
    drawn = list(subset_indices(len(real), len(fake), **settings))
    values = {k: subset_distance(mapped[drawn[k][0]], fake[drawn[k][1]]) for k in (5, 0, 3, 1, 2, 4)}
    assert KernelDistance.of([values[k] for k in range(6)]) == kernel_distance(real, fake, **settings)


def test_too_few_images_are_said():
    real, fake = sides()
    with pytest.raises(ValueError, match=r"subsets of 1000 images .* 400 and 300"):
        kernel_distance(real, fake)
    with pytest.raises(ValueError, match="cannot be compared"):
        subset_distance(real[:10], fake[:10, :5])
