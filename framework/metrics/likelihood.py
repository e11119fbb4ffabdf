"""How likely data is under a model with codes, in nats: by draws from an approximate posterior.

The bound of k draws, log 1/k sum p(x, z) / q(z | x) (Burda et al. 2016, "Importance weighted autoencoders"), grows with
k from the ELBO at k = 1 towards log p(x), which it reaches at once where q is the posterior itself.
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
    """The bound of as many draws as `noise` gives, and that of one draw (the ELBO) as its mean over the same draws.

    Args:
        log_likelihood: Codes [n, z], one a datum -> log p(datum | code) [n].
        mean: Of each datum's proposal, [n, z].
        log_variance: Of each datum's proposal, [n, z].
        noise: Standard normal numbers, [n, z] a draw.

    Returns:
        Both [n] float64.

    Raises:
        ValueError: No draw.
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
        raise ValueError("noise: wants a draw at least")
    return total - math.log(draws), plain / draws


def standard_log_density(values: np.ndarray) -> np.ndarray:
    """Of the standard normal distribution at [n, z] -> [n], in nats.

    >>> standard_log_density(np.zeros((1, 2))).round(4).tolist()
    [-1.8379]
    """
    wide = values.astype(np.float64)
    return -0.5 * (np.square(wide).sum(axis=1) + wide.shape[1] * _LOG_2_PI)
