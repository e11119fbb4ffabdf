"""What the networks minimise: losses of logits, and the penalty on the discriminator's slope."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor

from framework.config import ObjectiveConfig

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """Losses of single images: logits [n] -> [n].

    Attributes:
        real: The discriminator's on real images.
        fake: The discriminator's on generated ones.
        generator: The generator's.
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
    """|gradient of the logit by the image|², whose mean x gamma / 2 is R1 (Mescheder et al. 2018).

    Args:
        logits: [n], computed from `images`.
        images: [n, c, h, w], requiring gradients.

    Returns:
        [n], differentiable by the discriminator's weights.
    """
    (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    # Every weight gets a gradient, if only 0: DDP waits for each, and the last bias has no part in the slope.
    return slopes.square().sum(dim=(1, 2, 3)) + 0.0 * logits
