"""The losses of GAN training, and the R1 penalty."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor

from framework.config import ObjectiveConfig

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """Losses per image as functions of logits [n] -> [n].

    Attributes:
        real: The discriminator's loss on real images.
        fake: The discriminator's loss on generated images.
        generator: The generator's loss on generated images.
    """

    real: Loss
    fake: Loss
    generator: Loss


def _cross_entropy_real(logits: Tensor) -> Tensor:
    return F.softplus(-logits)


def _hinge_real(logits: Tensor) -> Tensor:
    return F.relu(1.0 - logits)


def _hinge_fake(logits: Tensor) -> Tensor:
    return F.relu(1.0 + logits)


OBJECTIVES = {
    # -log D(real), -log(1 - D(fake)); non-saturating for the generator: -log D(fake) (Goodfellow et al. 2014)
    "binary_cross_entropy": Objective(real=_cross_entropy_real, fake=F.softplus, generator=_cross_entropy_real),
    # Lim and Ye 2017, Miyato et al. 2018
    "hinge": Objective(real=_hinge_real, fake=_hinge_fake, generator=torch.neg),
}


def build_objective(config: ObjectiveConfig) -> Objective:
    """The losses that `objective.loss` names."""
    return OBJECTIVES[config.loss]


def squared_slopes(logits: Tensor, images: Tensor) -> Tensor:
    """The squared norm of the logit's gradient by the image; gamma / 2 times its mean is R1 (Mescheder et al. 2018).

    Args:
        logits: [n], computed from `images`.
        images: [n, c, h, w], requiring gradients.

    Returns:
        [n], differentiable with respect to the discriminator's weights.
    """
    (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    # The last bias does not affect the slopes. The term gives it a zero gradient, because DDP waits for every weight.
    return slopes.square().sum(dim=(1, 2, 3)) + 0.0 * logits
