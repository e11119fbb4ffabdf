"""The losses of GAN training."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor

from framework.config import ObjectiveConfig
from framework.models import DiscriminatorNetwork

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """Losses per image as functions of logits [n] -> [n].

    Attributes:
        real: The discriminator's loss on real images.
        fake: The discriminator's loss on generated images; None if it is one of pairs.
        generator: The generator's loss on generated images.
        boundary: The logit above which an image counts as real.
        constant_loss: The discriminator's loss, summed over a real and a generated image, if it gives the same logit,
            the best one, to every image. What it does is worth something only below.
    """

    real: Loss
    fake: Loss | None
    generator: Loss
    constant_loss: float
    boundary: float = 0.0

    @property
    def is_paired(self) -> bool:
        """Whether the losses are functions of the difference between the logits of a real and a generated image."""
        return self.fake is None

    def of_heads(self, discriminator: DiscriminatorNetwork) -> "Objective":
        """The same losses [n] of logits [n, heads]: each head has its own, and the discriminator combines them."""
        return dataclasses.replace(
            self,
            real=_then(self.real, discriminator.combined),
            fake=None if self.fake is None else _then(self.fake, discriminator.combined),
            generator=_then(self.generator, discriminator.combined),
            constant_loss=self.constant_loss * discriminator.judges,
        )

    def margins(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator goes by: above 0 it holds an image for real, below 0 for generated.

        Args:
            real: Logits [n] of real images.
            fake: Logits [n] of generated images, each the partner of the real image with its index.

        Returns:
            Logits less the boundary; of pairs, logits less those of the partners.
        """
        if self.is_paired:
            return real - fake, fake - real
        return (real - self.boundary, fake - self.boundary) if self.boundary else (real, fake)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss [n], summed over a real and a generated image."""
        return self.real(real - fake) if self.fake is None else self.real(real) + self.fake(fake)

    def reported(self, real: Tensor, fake: Tensor, *, images: int) -> Tensor:
        """The sum of the loss that is reported, divided by `images`: of pairs, else the mean over the two images."""
        if self.fake is None:
            return self.real(real - fake).sum() / images
        return (self.real(real).sum() + self.fake(fake).sum()) / (2 * images)

    def total(self, reported: float) -> float:
        """The discriminator's loss, summed over a real and a generated image, from the mean of what is reported."""
        return reported if self.is_paired else 2 * reported


def _then(loss: Loss, combine: Loss) -> Loss:
    return lambda logits: combine(loss(logits))


def _cross_entropy_real(logits: Tensor) -> Tensor:
    return F.softplus(-logits)


def _hinge_real(logits: Tensor) -> Tensor:
    return F.relu(1.0 - logits)


def _hinge_fake(logits: Tensor) -> Tensor:
    return F.relu(1.0 + logits)


def _squares_real(logits: Tensor) -> Tensor:
    return 0.5 * (logits - 1.0).square()


def _squares_fake(logits: Tensor) -> Tensor:
    return 0.5 * logits.square()


OBJECTIVES = {
    # -log D(real), -log(1 - D(fake)); non-saturating for the generator: -log D(fake) (Goodfellow et al. 2014)
    "binary_cross_entropy": Objective(
        real=_cross_entropy_real, fake=F.softplus, generator=_cross_entropy_real, constant_loss=2 * math.log(2)
    ),
    # Lim and Ye 2017, Miyato et al. 2018
    "hinge": Objective(real=_hinge_real, fake=_hinge_fake, generator=torch.neg, constant_loss=2.0),
    # The distance from 1 for real and from 0 for generated images (Mao et al. 2017, equation 9)
    "least_squares": Objective(
        real=_squares_real, fake=_squares_fake, generator=_squares_real, constant_loss=0.25, boundary=0.5
    ),
    # Cross entropy of D(real) - D(fake), and of its opposite for the generator (Jolicoeur-Martineau 2018; the RpGAN of
    # Huang et al. 2024)
    "relativistic": Objective(
        real=_cross_entropy_real, fake=None, generator=_cross_entropy_real, constant_loss=math.log(2)
    ),
}


def build_objective(config: ObjectiveConfig) -> Objective:
    """The losses that `objective.loss` names."""
    return OBJECTIVES[config.loss]
