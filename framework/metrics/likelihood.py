"""Bounds of the log-likelihood of a model with latent codes, in nats, by draws from an approximate posterior.

The bound of k draws, log 1/k sum p(x, z) / q(z | x) (Burda et al. 2016, "Importance weighted autoencoders"), grows with
k from the ELBO at k = 1 towards log p(x). If q is the exact posterior, it equals log p(x) for every k.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np

_LOG_2_PI = math.log(2 * math.pi)


def importance_log_likelihood(
    log_likelihood: Callable[[np.ndarray], np.ndarray],
    mean: np.ndarray,
    log_variance: np.ndarray,
    noise: Iterable[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """The bound with one draw per element of `noise`, and the ELBO as the mean of the one-draw bounds.

    Args:
        log_likelihood: Codes [n, z], one per datum -> log p(datum | code) [n].
        mean: [n, z], the mean of each datum's proposal.
        log_variance: [n, z], the log-variance of each datum's proposal.
        noise: Standard normal numbers, [n, z] per draw.

    Returns:
        Both [n] float64.

    Raises:
        ValueError: `noise` is empty.
    """
    mean, log_variance = mean.astype(np.float64), log_variance.astype(np.float64)
    deviation, draws = np.exp(0.5 * log_variance), 0
    total, plain = np.full(len(mean), -np.inf), np.zeros(len(mean))
    for numbers in noise:
        codes = mean + deviation * numbers
        proposed = standard_log_density(numbers) - 0.5 * log_variance.sum(axis=1)
        weights = log_likelihood(codes) + standard_log_density(codes) - proposed
        total = np.logaddexp(total, weights)
        plain += weights
        draws += 1
    if not draws:
        raise ValueError("noise: at least one draw is needed")
    return total - math.log(draws), plain / draws


def standard_log_density(values: np.ndarray) -> np.ndarray:
    """Log-density [n] of the standard normal distribution at values [n, z], in nats.

    >>> standard_log_density(np.zeros((1, 2))).round(4).tolist()
    [-1.8379]
    """
    wide = values.astype(np.float64)
    return -0.5 * (np.square(wide).sum(axis=1) + wide.shape[1] * _LOG_2_PI)
