"""Metrics of a latent space: separation of classes, holes, and distance of the codes from the prior."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from framework.metrics.moments import Moments

NEIGHBOURS = 10


def knn_purity(codes: np.ndarray, labels: np.ndarray, *, neighbours: int = NEIGHBOURS) -> float:
    """The mean share of a code's nearest neighbours that have its class; 1 if the classes are separated.

    Args:
        codes: [n, z].
        labels: [n], the class of each code.
        neighbours: Number of neighbours by Euclidean distance, at most n - 1.
    """
    count = min(neighbours, len(codes) - 1)
    nearest = NearestNeighbors(n_neighbors=count).fit(codes).kneighbors(return_distance=False)  # never itself
    return float(np.mean(labels[nearest] == labels[:, None]))


def chance_purity(labels: np.ndarray) -> float:
    """The expected value of `knn_purity` if the codes are independent of the classes.

    >>> chance_purity(np.array([0, 0, 1, 1]))
    0.3333333333333333
    """
    counts = np.unique(labels, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))


def hole_share(confidence: np.ndarray, *, sure_from: float) -> float:
    """The share of images for which the probability [n] of the most likely class is below `sure_from`.

    >>> hole_share(np.array([0.4, 0.9, 0.95, 1.0]), sure_from=0.9)
    0.25
    """
    return float(np.mean(confidence < np.float32(sure_from)))


def aggregate_kl(means: np.ndarray, variances: np.ndarray | None = None) -> float:
    """KL(N(m, S) || N(0, I)) in nats for the moments m and S of the aggregate posterior; inf if S is singular.

    The aggregate posterior is the mixture of the posteriors of all images: m is the mean of `means`, and S is their
    covariance (with n - 1) plus the mean of `variances` on the diagonal. The mixture's KL divergence from the prior is
    this value plus its divergence from N(m, S), so this is a lower bound.

    Args:
        means: [n, z], means of posteriors, or an autoencoder's codes.
        variances: [n, z], variances of posteriors; None for 0.
    """
    given = np.asarray(means, np.float64)
    moments, size = Moments.of(given), given.shape[1]
    mean, covariance = moments.mean, moments.covariance
    if variances is not None:
        covariance = covariance + np.diag(np.asarray(variances, np.float64).mean(axis=0))
    sign, logarithm = np.linalg.slogdet(covariance)
    if sign <= 0:
        return float("inf")
    return float(0.5 * (np.trace(covariance) + mean @ mean - size - logarithm))
