"""Places codes in a plane."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from framework.errors import LatentsError

_PERPLEXITY = 30.0  # scikit-learn's default


@dataclass(frozen=True, eq=False)
class Plane:
    """Codes as points of a plane.

    Attributes:
        points: [n, 2] float64.
        axes: The label of each axis.
        method: "latents" for codes of size 2, else "pca" or "tsne".
    """

    points: np.ndarray
    axes: tuple[str, str]
    method: str


def plane_of(codes: np.ndarray, *, method: Literal["pca", "tsne"], seed: int) -> Plane:
    """Places codes in a plane; codes of size 2 keep their coordinates.

    It runs on one thread, because the result of t-SNE depends on the number of threads.

    Args:
        codes: [n, z], z at least 2.
        method: For larger codes: the first two principal components, or t-SNE initialised with them.
        seed: The seed of t-SNE.

    Raises:
        LatentsError: There are fewer than 4 codes.
    """
    count, size = codes.shape
    if count < 4:
        raise LatentsError(f"latents.maps.images: a map needs at least 4 labelled images, not {count}")
    exact = np.asarray(codes, np.float64)
    if size == 2:
        return Plane(exact, ("latent 1", "latent 2"), "latents")
    with threadpool_limits(limits=1):
        if method == "tsne":
            perplexity = min(_PERPLEXITY, (count - 1) / 3)
            tsne = TSNE(init="pca", learning_rate="auto", perplexity=perplexity, random_state=seed % 2**32, n_jobs=1)
            return Plane(tsne.fit_transform(exact), ("t-SNE 1", "t-SNE 2"), method)
        fitted = PCA(n_components=2, svd_solver="full").fit(exact)
        first, second = (f"component {k} ({share:.0%})" for k, share in enumerate(fitted.explained_variance_ratio_, 1))
        return Plane(fitted.transform(exact), (first, second), method)
