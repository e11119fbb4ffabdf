"""Spectral norms of matrices (Miyato et al. 2018), computed from the weights alone.

The usual power iteration keeps a vector from one forward pass to the next, so that its result depends on the number of
passes. Here nothing is kept: the norm is the same for any number of passes and workers, and after a restart.
"""

from contextlib import nullcontext

import torch
from torch import Tensor

_SQUARINGS = 10  # as good as 1,024 steps of power iteration


def spectral_norms(matrices: Tensor) -> Tensor:
    """The largest singular values [k] of matrices [k, rows, columns], rows not above columns; differentiable.

    The gradient treats the singular vectors as constants, which is exact for a simple largest singular value.
    """
    kind = matrices.device.type
    exact = torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
    with exact:  # autocast does not know torch's meta device, on which the memory of a training is planned
        vectors = _leading_vectors(matrices.detach())
        return torch.linalg.vector_norm(vectors.unsqueeze(1) @ matrices, dim=(1, 2))


def _leading_vectors(matrices: Tensor) -> Tensor:
    """The left singular vectors [k, rows] of the largest singular values.

    The powers of a Gram matrix approach a multiple of u u^T. Unlike a decomposition, squaring does not make a GPU wait.
    """
    power = matrices @ matrices.mT
    for _ in range(_SQUARINGS):
        power = power / power.diagonal(dim1=1, dim2=2).sum(dim=1).view(-1, 1, 1)
        power = power @ power
    largest = power.diagonal(dim1=1, dim2=2).argmax(dim=1)
    columns = power.gather(2, largest.view(-1, 1, 1).expand(-1, power.shape[1], 1)).squeeze(2)
    return columns / torch.linalg.vector_norm(columns, dim=1, keepdim=True)
