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
    """The weight [out,z] of the layer that latents go into: a dense one, or a (transposed) convolution of 1x1 maps.

    Raises:
        LatentsError: The network begins with no such layer.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear) and module.in_features == latent_size:
            return _array(module.weight)
        if isinstance(module, nn.ConvTranspose2d) and module.in_channels == latent_size:
            return _array(module.weight.flatten(1).T)
        if isinstance(module, nn.Conv2d) and module.in_channels == latent_size:
            return _array(module.weight.transpose(0, 1).flatten(1).T)
    raise LatentsError(f"SeFa wants a first layer that takes {latent_size} numbers, and the generator has none")


def signed(vectors: np.ndarray) -> np.ndarray:
    """[k,z] float32 with each row's largest entry positive."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return (vectors * np.where(largest < 0, -1.0, 1.0)).astype(np.float32)


def _array(weight: torch.Tensor) -> np.ndarray:
    return weight.detach().double().cpu().numpy()
