"""GANSpace (Härkönen et al. 2020, "Discovering interpretable GAN controls").

Principal components of an early layer's activations are computed batch by batch (incremental PCA, Ross et al. 2008).
As in the paper for networks without a style layer, the direction of a component is the least-squares regression of
latents on its coordinate. What a direction changes is measured afterwards.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from sklearn.decomposition import IncrementalPCA

from framework.errors import LatentsError
from framework.latents.directions.methods.sefa import Components, signed


def ganspace(batches: Iterable[tuple[np.ndarray, np.ndarray]], *, count: int) -> Components:
    """Finds the directions of the first `count` components.

    Args:
        batches: Pairs of latents [n,z] and activations [n,f] of at least `count` rows; iterated several times.

    Raises:
        LatentsError: A batch is smaller than the number of components.
    """
    pca = IncrementalPCA(n_components=count)
    for _, activations in _checked(batches, count):
        pca.partial_fit(activations)
    size = next(iter(batches))[0].shape[1]
    # Regression of centred latents on centred coordinates. The coordinates of components are uncorrelated, so each
    # regression is independent of the others, and sums over the batches are sufficient.
    products, squares, rows = np.zeros((count, size)), np.zeros(count), 0
    latent_sum, coordinate_sum = np.zeros(size), np.zeros(count)
    for latents, activations in _checked(batches, count):
        coordinates = pca.transform(activations)
        products += coordinates.T @ latents
        squares += (coordinates**2).sum(axis=0)
        latent_sum += latents.sum(axis=0)
        coordinate_sum += coordinates.sum(axis=0)
        rows += len(latents)
    products -= np.outer(coordinate_sum, latent_sum) / rows
    squares -= coordinate_sum**2 / rows
    vectors = products / squares[:, None]
    return Components(
        signed(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)), np.asarray(pca.explained_variance_ratio_)
    )


def _checked(batches: Iterable[tuple[np.ndarray, np.ndarray]], count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for latents, activations in batches:
        if len(latents) < count:
            raise LatentsError(
                f"latents.directions.components: {count} components need {count} samples, not {len(latents)}"
            )
        yield latents, activations.reshape(len(activations), -1)
