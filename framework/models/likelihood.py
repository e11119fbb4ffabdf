"""log p(image | code) in nats from a decoder's logits, summed over the pixels of an image.

Pixels are scaled to 0 to 1. Bernoulli treats a grey value as the probability of white, as many small VAE examples do;
strictly it is a likelihood only for pixels that are 0 or 1. Gaussian is a density, which depends on the unit: two
values are comparable only if both use pixels from 0 to 1.
"""

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor

from framework.images import to_intensities

if TYPE_CHECKING:
    from framework.config import ObjectiveConfig

Likelihood = Callable[[Tensor, Tensor], Tensor]
"""(images [n,c,h,w] in [-1,1], logits [n,c,h,w]) -> log-likelihood [n] in nats."""


def build_likelihood(config: "ObjectiveConfig") -> Likelihood:
    """The likelihood that `objective.likelihood` names."""
    if config.likelihood == "bernoulli":
        return bernoulli
    return functools.partial(gaussian, deviation=config.deviation)


def bernoulli(images: Tensor, logits: Tensor) -> Tensor:
    """Log-likelihood of pixels that are white with probability sigmoid(logit)."""
    loss = F.binary_cross_entropy_with_logits(logits, to_intensities(images), reduction="none")
    return -loss.flatten(1).sum(dim=1)


def gaussian(images: Tensor, logits: Tensor, *, deviation: float) -> Tensor:
    """Log-likelihood of normally distributed pixels with mean sigmoid(logit)."""
    residual = (to_intensities(images) - logits.sigmoid()) / deviation
    constant = math.log(deviation) + 0.5 * math.log(2 * math.pi)
    return -(0.5 * residual.square() + constant).flatten(1).sum(dim=1)
