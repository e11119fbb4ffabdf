"""Memorisation, Inception Score, FID at infinity, diversity: closed forms, torch-fidelity, ranks by SciPy."""

import numpy as np
import pytest
import scipy.stats
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from framework.metrics import Moments, extrapolate, inception_score, memorisation, relative_diversity


def test_copies_are_nearer_than_any_photograph_and_strangers_further():
    held_out = np.linspace(1, 2, 101)
    copies = memorisation(np.full(50, 0.1), held_out)
    assert (copies.nearer_share, copies.copy_share, copies.copy_distance) == (1.0, 1.0, pytest.approx(1.01))
    assert memorisation(np.full(50, 3.0), held_out).nearer_share == 0.0
    assert memorisation(held_out, held_out).nearer_share == 0.5
    assert memorisation(held_out, held_out).copy_share == pytest.approx(1 / 101)


def test_the_share_of_pairs_is_mann_whitneys_u():
    rng = np.random.default_rng(0)
    samples, held_out = rng.normal(0.3, 1, 300).round(1), rng.normal(0, 1, 200).round(1)  # with ties
    u = scipy.stats.mannwhitneyu(held_out, samples).statistic
    found = memorisation(samples, held_out, closest=3)
    assert found.nearer_share == pytest.approx(u / (300 * 200), rel=1e-12)
    assert samples[found.closest].tolist() == sorted(samples)[:3]


def test_no_distances_no_answer():
    with pytest.raises(ValueError, match="not 0 and 1"):
        memorisation(np.empty(0), np.ones(1))
    with pytest.raises(ValueError, match="not finite"):
        memorisation(np.array([np.nan]), np.ones(1))


def test_inception_score_is_torch_fidelitys():
    logits = np.random.default_rng(0).normal(0, 3, (203, 50)).astype(np.float32)
    theirs = isc_features_to_metric(torch.from_numpy(logits), splits=10, rng_seed=2020)
    mean, sd = inception_score(logits)
    assert mean == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
    assert sd == pytest.approx(theirs["inception_score_std"], rel=1e-9)


def test_inception_score_counts_the_classes_that_are_surely_told():
    """n classes, each image surely one of them, all as often: n. Nothing told: 1."""
    sure = 1000.0 * np.eye(8)[np.tile(np.arange(8), 25)]
    assert inception_score(sure, splits=1) == (pytest.approx(8.0), 0.0)
    assert inception_score(np.zeros((50, 8)))[0] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="not finite"):
        inception_score(np.full((50, 8), np.nan))
    with pytest.raises(ValueError, match=r"10 splits .* 10 images.* 4$"):
        inception_score(np.zeros((4, 8)))


def test_a_line_is_found_again_and_noise_lowers_its_fit():
    counts = [500, 1000, 2000, 5000]
    found = extrapolate(counts, [7 + 300 / count for count in counts])
    assert (found.value, found.slope) == (pytest.approx(7), pytest.approx(300))
    assert found.r_squared == pytest.approx(1)
    assert (found.counts, len(found.distances)) == (tuple(counts), 4)
    rough = extrapolate(counts, [7.9, 7.1, 7.4, 7.0])
    slope, intercept, r, *_ = scipy.stats.linregress([1 / count for count in counts], [7.9, 7.1, 7.4, 7.0])
    assert (rough.value, rough.slope, rough.r_squared) == pytest.approx((intercept, slope, r**2))
    with pytest.raises(ValueError, match="3 or more counts"):
        extrapolate([10, 10, 20], [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="finite"):
        extrapolate([10, 20, 30], [1.0, np.nan, 1.0])


def test_diversity_is_the_ratio_of_mean_squared_distances_of_pairs():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(40, 5)), 0.5 * rng.normal(size=(30, 5))

    def mean_square(points):
        apart = ((points[:, None] - points[None]) ** 2).sum(axis=2)
        return apart.sum() / (len(points) * (len(points) - 1))

    found = relative_diversity(Moments.of(real), Moments.of(fake))
    assert found == pytest.approx(mean_square(fake) / mean_square(real), rel=1e-12)
    assert relative_diversity(Moments.of(real), Moments.of(np.ones((9, 5)))) == 0
    with pytest.raises(ValueError, match="all the same"):
        relative_diversity(Moments.of(np.ones((9, 5))), Moments.of(fake))
