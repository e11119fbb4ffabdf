"""What a latent space is like: classes apart, holes, and how its codes lie against the prior."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from framework.metrics.moments import Moments

NEIGHBOURS = 10


def knn_purity(codes: np.ndarray, labels: np.ndarray, *, neighbours: int = NEIGHBOURS) -> float:
    """The share of a code's nearest others that are of its class, mean over codes; 1 where no classes meet.

    Args:
        codes: [n, z].
        labels: [n], a class each.
        neighbours: How many others, by Euclidean distance; fewer where there are not so many.
    """
    count = min(neighbours, len(codes) - 1)
    nearest = NearestNeighbors(n_neighbors=count).fit(codes).kneighbors(return_distance=False)  # never itself
    return float(np.mean(labels[nearest] == labels[:, None]))


def chance_purity(labels: np.ndarray) -> float:
    """What `knn_purity` is, expected, where codes say nothing of classes.

    >>> chance_purity(np.array([0, 0, 1, 1]))
    0.3333333333333333
    """
    counts = np.unique(labels, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))


def hole_share(confidence: np.ndarray, *, sure_from: float) -> float:
    """The share of pictures of which a classifier is not sure: its surest class [n] has less than `sure_from`.

    >>> hole_share(np.array([0.4, 0.9, 0.95, 1.0]), sure_from=0.9)
    0.25
    """
    return float(np.mean(confidence < np.float32(sure_from)))


def aggregate_kl(means: np.ndarray, variances: np.ndarray | None = None) -> float:
    """KL(N(m, S) || N(0, I)) in nats, m and S the moments of the aggregate posterior; inf where S has no inverse.

    The aggregate posterior is the mixture of all images' posteriors: m is the mean of `means`, S their covariance
    (over n - 1) and on its diagonal the mean of `variances` added. Its true KL from the prior is this and the
    mixture's own KL from N(m, S), so this is a lower bound of it.

    Args:
        means: [n, z], of posteriors; an autoencoder's codes.
        variances: [n, z], theirs; none: 0.
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
