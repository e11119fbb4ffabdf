"""The Gaussian posterior that a VAE's encoder predicts for each image (Kingma and Welling 2013)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Posterior:
    """Independent Gaussians, one per image and latent dimension.

    Attributes:
        mean: [n, z].
        log_variance: [n, z].
    """

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> "Posterior":
        """From the encoder's output [n, 2 z]: means, then logarithms of variances."""
        return cls(*numbers.chunk(2, dim=1))

    def at(self, noise: Tensor) -> Tensor:
        """Reparameterised samples [n, z] for standard normal noise [n, z], differentiable in mean and variance."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def divergence(self) -> Tensor:
        """KL divergence [n] from the standard normal prior, in nats."""
        each = self.mean.square() + self.log_variance.exp() - 1.0 - self.log_variance
        return 0.5 * each.sum(dim=1)
