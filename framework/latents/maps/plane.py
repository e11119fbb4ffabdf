"""The plane that a map of codes is drawn in."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from framework.errors import LatentsError

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


def plane_of(codes: np.ndarray, *, method: Literal["pca", "tsne"], seed: int) -> Plane:
    """Where codes lie in a plane: of two numbers they lie in one already.

    On one thread, for a t-SNE would hang on how many there are.

    Args:
        codes: [n, z], z at least 2.
        method: Of more numbers: the two principal components, or t-SNE begun with them.
        seed: Of t-SNE.

    Raises:
        LatentsError: Too few codes.
    """
    count, size = codes.shape
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
