"""SeFa (Shen & Zhou 2021, "Closed-form factorization of latent semantics in GANs").

The first layer maps a latent to A z + b, so the directions that change its output most are the eigenvectors of AᵀA with
the largest eigenvalues. The method needs neither samples nor an assessor; what a direction changes is measured
afterwards. The paper normalises the rows of A for StyleGAN's modulation; here A is used unchanged.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from framework.errors import LatentsError
from framework.latents.directions.methods.layers import first_matrix
from framework.models import sample_latents


@dataclass(frozen=True, eq=False)
class Components:
    """Directions of a decomposition, in order of the variance that they explain.

    Attributes:
        vectors: [k,z] float32, each of length 1. The sign is arbitrary, so the largest entry is made positive.
        shares: [k] shares of the total variance.
    """

    vectors: np.ndarray
    shares: np.ndarray


def sefa(weight: np.ndarray, *, count: int) -> Components:
    """The first `count` right singular vectors of a first layer's weight [out,z].

    Raises:
        LatentsError: A latent has fewer than `count` dimensions.
    """
    if count > weight.shape[1]:
        raise LatentsError(
            f"latents.directions.components: {count} is more than the {weight.shape[1]} dimensions of a latent"
        )
    _, values, vectors = np.linalg.svd(np.asarray(weight, np.float64), full_matrices=False)
    return Components(signed(vectors[:count]), values[:count] ** 2 / np.sum(values**2))


def first_weight(network: nn.Module, latent_size: int) -> np.ndarray:
    """The weight [out,z] of the dense or convolutional layer whose input is the latents, possibly scaled.

    Raises:
        LatentsError: The network has no such layer.
    """
    latents = torch.from_numpy(sample_latents(4, latent_size, seed=0))
    matrix = first_matrix(network, latents)
    if matrix is None:
        raise LatentsError(
            "latents.directions.method: sefa needs a first layer, dense or a convolution, whose input is the "
            f"{latent_size} entries of a latent, but this generator has no such layer"
        )
    return matrix.double().cpu().numpy()


def signed(vectors: np.ndarray) -> np.ndarray:
    """Flips rows of vectors [k,z] so that the entry of largest size is positive; float32."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return (vectors * np.where(largest < 0, -1.0, 1.0)).astype(np.float32)
