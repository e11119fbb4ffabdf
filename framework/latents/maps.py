"""What a latent space is like, in figures: classes apart, holes, midpoints, prior; and the plane a map is drawn in."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from framework.errors import LatentsError

NEIGHBOURS = 10
_PERPLEXITY = 30.0  # t-SNE's own default


@dataclass(frozen=True, eq=False)
class Plane:
    """Codes as points of a plane.

    Attributes:
        points: [n, 2] float64.
        axes: What each axis is.
        method: "latents" where they are of two numbers, else "pca" or "tsne".
    """

    points: np.ndarray
    axes: tuple[str, str]
    method: str


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
    mean, size = given.mean(axis=0), given.shape[1]
    covariance = np.cov(given, rowvar=False).reshape(size, size)
    if variances is not None:
        covariance = covariance + np.diag(np.asarray(variances, np.float64).mean(axis=0))
    sign, logarithm = np.linalg.slogdet(covariance)
    if sign <= 0:
        return float("inf")
    return float(0.5 * (np.trace(covariance) + mean @ mean - size - logarithm))


def plane_of(codes: np.ndarray, *, method: Literal["pca", "tsne"], seed: int) -> Plane:
    """Where codes lie in a plane: of two numbers they lie in one already.

    On one thread, for a t-SNE would hang on how many there are.

    Args:
        codes: [n, z].
        method: Of more numbers: the two principal components, or t-SNE begun with them.
        seed: Of t-SNE.

    Raises:
        LatentsError: Codes of one number, or too few of them.
    """
    count, size = codes.shape
    if size < 2:
        raise LatentsError("model.latent_size: 1: a map wants codes of two numbers at least")
    if count < 4:
        raise LatentsError(f"latents.map_images: a map wants 4 labelled images at least, there are {count}")
    given = np.asarray(codes, np.float64)
    if size == 2:
        return Plane(given, ("latent 1", "latent 2"), "latents")
    with threadpool_limits(limits=1):
        if method == "tsne":
            perplexity = min(_PERPLEXITY, (count - 1) / 3)
            made = TSNE(init="pca", learning_rate="auto", perplexity=perplexity, random_state=seed % 2**32, n_jobs=1)
            return Plane(made.fit_transform(given), ("t-SNE 1", "t-SNE 2"), method)
        fitted = PCA(n_components=2, svd_solver="full").fit(given)
        first, second = (f"component {k} ({share:.0%})" for k, share in enumerate(fitted.explained_variance_ratio_, 1))
        return Plane(fitted.transform(given), (first, second), method)
