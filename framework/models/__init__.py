"""Networks, the prior of their latents, and moving averages of their weights."""

from framework.models.architectures.base import DiscriminatorNetwork, GeneratorNetwork
from framework.models.architectures.prior import derive_seed, sample_latents
from framework.models.build import (
    build_companion,
    build_discriminator,
    build_encoder,
    build_generator,
    count_parameters,
)
from framework.models.ema import Ema

__all__ = [
    "DiscriminatorNetwork",
    "Ema",
    "GeneratorNetwork",
    "build_companion",
    "build_discriminator",
    "build_encoder",
    "build_generator",
    "count_parameters",
    "derive_seed",
    "sample_latents",
]
