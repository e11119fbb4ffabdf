"""What a VAE (Kingma and Welling 2013) makes of its encoder's numbers: a Gaussian posterior an image."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Posterior:
    """Independent Gaussians.

    Attributes:
        mean: [n, z].
        log_variance: [n, z].
    """

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> "Posterior":
        """From what the encoder gives, [n, 2 z]: means, then logarithms of variances."""
        return cls(*numbers.chunk(2, dim=1))

    def at(self, noise: Tensor) -> Tensor:
        """Codes [n, z] at standard normal noise [n, z]: gradients go through mean and deviation (reparameterised)."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def divergence(self) -> Tensor:
        """[n] KL from the standard normal prior, in nats."""
        each = self.mean.square() + self.log_variance.exp() - 1.0 - self.log_variance
        return 0.5 * each.sum(dim=1)
