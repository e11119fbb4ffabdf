"""log p(image | code) in nats: what a decoder's logits say of an image, summed over its pixels.

Pixels count from 0 to 1. Bernoulli takes a grey value for the probability that it is white, as the common small example
does; it is a likelihood in the strict sense only where pixels are 0 or 1. Gaussian is a density, which depends on the
unit: two compare only where both have pixels from 0 to 1.
"""

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor

from framework.images import to_intensities

if TYPE_CHECKING:
    from framework.config import ObjectiveConfig

Likelihood = Callable[[Tensor, Tensor], Tensor]
"""Images [n,c,h,w] in [-1,1], logits [n,c,h,w] -> nats [n]."""


def build_likelihood(config: "ObjectiveConfig") -> Likelihood:
    """What `objective.likelihood` names."""
    if config.likelihood == "bernoulli":
        return bernoulli
    return functools.partial(gaussian, deviation=config.deviation)


def bernoulli(images: Tensor, logits: Tensor) -> Tensor:
    """Each pixel white with probability sigmoid(logit)."""
    lost = F.binary_cross_entropy_with_logits(logits, to_intensities(images), reduction="none")
    return -lost.flatten(1).sum(dim=1)


def gaussian(images: Tensor, logits: Tensor, *, deviation: float) -> Tensor:
    """Each pixel normal about sigmoid(logit)."""
    apart = (to_intensities(images) - logits.sigmoid()) / deviation
    constant = math.log(deviation) + 0.5 * math.log(2 * math.pi)
    return -(0.5 * apart.square() + constant).flatten(1).sum(dim=1)
