"""The importance-weighted bound where log p(x) is known: a linear-Gaussian model."""

import numpy as np
import pytest

from framework.metrics.likelihood import importance_log_likelihood, standard_log_density

NOISE = 0.5


@pytest.fixture(scope="module")
def model():
    """x = W z + b + noise, z standard normal of 3 numbers, W's columns orthogonal: so the posterior is diagonal."""
    rng = np.random.default_rng(0)
    directions, _ = np.linalg.qr(rng.standard_normal((6, 3)))
    weights, bias = directions * [2.0, 1.0, 0.3], rng.standard_normal(6)
    data = rng.standard_normal((5, 3)) @ weights.T + bias + NOISE * rng.standard_normal((5, 6))
    covariance = weights @ weights.T + NOISE**2 * np.eye(6)
    apart = data - bias
    exact = -0.5 * (np.einsum("ni,ij,nj->n", apart, np.linalg.inv(covariance), apart))
    exact -= 0.5 * (np.linalg.slogdet(covariance)[1] + 6 * np.log(2 * np.pi))
    precision = 1 + (weights**2).sum(0) / NOISE**2
    mean, log_variance = apart @ weights / NOISE**2 / precision, np.tile(-np.log(precision), (5, 1))

    def log_likelihood(codes):
        return standard_log_density((apart - codes @ weights.T) / NOISE) - 6 * np.log(NOISE)

    return log_likelihood, mean, log_variance, exact


def noise(draws, seed=1):
    return np.random.default_rng(seed).standard_normal((draws, 5, 3))


def test_with_the_posterior_itself_one_draw_is_exact(model):
    log_likelihood, mean, log_variance, exact = model
    for draws in (1, 7):
        weighted, elbo = importance_log_likelihood(log_likelihood, mean, log_variance, noise(draws))
        np.testing.assert_allclose(weighted, exact, rtol=1e-12)
        np.testing.assert_allclose(elbo, exact, rtol=1e-12)


def test_with_another_proposal_it_grows_to_it_from_below(model):
    log_likelihood, mean, log_variance, exact = model
    wide = log_variance + 1.0

    def average(draws):
        each = [importance_log_likelihood(log_likelihood, mean, wide, noise(draws, seed))[0] for seed in range(200)]
        return np.mean(each, axis=0)

    means = [average(draws) for draws in (1, 5, 50)]
    assert (means[0] < means[1]).all()
    assert (means[1] < means[2]).all()
    assert (means[2] < exact + 0.01).all()
    # E log w is the ELBO: log p - KL(q | posterior), closed for Gaussians: each of 3 numbers (e - 1 - 1) / 2
    np.testing.assert_allclose(means[0], exact - 3 * (np.e - 2) / 2, atol=0.3)
    many = importance_log_likelihood(log_likelihood, mean, wide, noise(20_000))
    np.testing.assert_allclose(many[0], exact, atol=0.05)
    np.testing.assert_allclose(many[1], exact - 3 * (np.e - 2) / 2, atol=0.05)


def test_weights_that_overflow_and_vanish_are_added_up(model):
    mean = model[1]
    nats = iter([-2_000.0, 900.0, 899.0])
    weighted, _ = importance_log_likelihood(
        lambda codes: np.full(5, next(nats)) - standard_log_density(codes), mean, np.zeros((5, 3)), np.zeros((3, 5, 3))
    )
    expected = 900.0 + np.log((1 + np.exp(-1.0)) / 3) - standard_log_density(np.zeros((1, 3)))
    np.testing.assert_allclose(weighted, np.broadcast_to(expected, 5))


def test_no_draw_is_refused(model):
    with pytest.raises(ValueError, match="at least one draw"):
        importance_log_likelihood(*model[:3], [])
