"""SeFa (Shen & Zhou 2021, "Closed-form factorization of latent semantics in GANs").

The first layer takes a latent to A z + b, so the directions that change its output most are the eigenvectors of AᵀA
with the largest eigenvalues. Nothing is sampled and nothing is assessed: what a direction means is measured afterwards.
The paper normalises the rows of A for StyleGAN's modulation; a plain first layer is taken as it is.
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
    """Directions of a decomposition, the most telling first.

    Attributes:
        vectors: [k,z] float32, each of length 1; its largest entry is positive, since a sign means nothing.
        shares: [k] how much of the whole each explains.
    """

    vectors: np.ndarray
    shares: np.ndarray


def sefa(weight: np.ndarray, *, count: int) -> Components:
    """The first `count` right singular vectors of a first layer's weight [out,z].

    Raises:
        LatentsError: There are fewer dimensions than wanted.
    """
    if count > weight.shape[1]:
        raise LatentsError(f"latents.components: {count} are more than the {weight.shape[1]} dimensions of a latent")
    _, values, vectors = np.linalg.svd(np.asarray(weight, np.float64), full_matrices=False)
    return Components(signed(vectors[:count]), values[:count] ** 2 / np.sum(values**2))


def first_weight(network: nn.Module, latent_size: int) -> np.ndarray:
    """The weight [out,z] of the layer that latents go into, as they are or scaled: dense, or a convolution.

    Raises:
        LatentsError: The network begins with no such layer.
    """
    latents = torch.from_numpy(sample_latents(4, latent_size, seed=0))
    found = first_matrix(network, latents)
    if found is None:
        raise LatentsError(
            f"latents.method: sefa wants a first layer, dense or a convolution, that takes a latent's {latent_size} "
            "numbers, and this generator has none"
        )
    return found.double().cpu().numpy()


def signed(vectors: np.ndarray) -> np.ndarray:
    """[k,z] float32 with each row's largest entry positive."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return (vectors * np.where(largest < 0, -1.0, 1.0)).astype(np.float32)
