"""The Vendi score and authenticity: closed forms, and the papers' formulas written out on small cases."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from scipy.spatial.distance import cdist

from framework.metrics import authenticity, nearest, normalised_products, radii, vendi_of_products


def vendi(features):
    return vendi_of_products(normalised_products(features), len(features))


def test_images_all_alike_count_as_one_and_images_with_nothing_in_common_as_all():
    assert vendi(np.tile([[3.0, 4.0]], (7, 1))) == pytest.approx(1, abs=1e-12)
    assert vendi(np.eye(5) * 9) == pytest.approx(5, rel=1e-12)
    assert vendi(np.repeat(np.eye(4), 25, axis=0)) == pytest.approx(4, rel=1e-12)  # four kinds, 25 of each


def test_the_vendi_score_is_the_exponential_entropy_of_the_kernel_s_eigenvalues():
    features = np.random.default_rng(0).normal(1, 1, (40, 12))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    eigenvalues = scipy.linalg.eigvalsh(unit @ unit.T / 40)  # Friedman & Dieng 2023, definition 3.1
    expected = np.exp(scipy.stats.entropy(eigenvalues[eigenvalues > 1e-14]))
    assert vendi(features) == pytest.approx(expected, rel=1e-9)


def test_products_of_parts_add_up():
    features = np.random.default_rng(1).normal(size=(600, 8)).astype(np.float32)
    parts = normalised_products(features[:256]) + normalised_products(features[256:])
    np.testing.assert_allclose(parts, normalised_products(features), rtol=1e-12)


def test_features_without_a_direction_have_no_vendi_score():
    with pytest.raises(ValueError, match="have no direction"):
        normalised_products(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="have no direction"):
        normalised_products(np.array([[np.nan, 1.0]]))


def test_copies_are_not_authentic_and_strangers_are():
    real = np.array([[0.0], [1.0], [3.0]])
    samples = np.array([[0.1], [3.9], [3.0], [9.0]])  # nearest: 0, 3, 3, 3, whose own nearest lie 1, 2, 2, 2 away
    assert authenticity(*nearest(samples, real), radii(real, k=1)) == 0.25


def test_authenticity_is_the_paper_s_formula():
    rng = np.random.default_rng(0)
    real, samples = rng.normal(size=(90, 4)), rng.normal(size=(70, 4))
    between, within = cdist(real, samples), cdist(real, real)
    np.fill_diagonal(within, np.inf)
    # Alaa et al. 2022, section 4.3: d(sample, its nearest real i*) > d(i*, the other real nearest to i*).
    expected = np.mean(between.min(axis=0) > within.min(axis=0)[between.argmin(axis=0)])
    assert 0.2 < expected < 0.8
    assert authenticity(*nearest(samples, real), radii(real, k=1)) == expected


def test_distances_that_are_not_finite_say_nothing():
    with pytest.raises(ValueError, match="not finite"):
        authenticity(np.array([np.nan]), np.array([0]), np.array([1.0]))
