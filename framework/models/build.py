"""From the configuration to networks: every architecture by its name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from framework.models import dcgan, described, skip
from framework.models.base import DiscriminatorNetwork, GeneratorNetwork
from framework.models.prior import derive_seed

if TYPE_CHECKING:
    from framework.config import ModelConfig

Network = TypeVar("Network", bound=nn.Module)

# Name in `model.architecture` -> the network and how it is initialised.
GENERATORS = {
    "dcgan": (dcgan.Generator, dcgan.keras_initialise),
    "skip": (skip.Generator, skip.orthogonal_initialise),
}
DISCRIMINATORS = {
    "dcgan": (dcgan.Discriminator, dcgan.keras_initialise),
    "skip": (skip.Discriminator, skip.orthogonal_initialise),
    "keras": (dcgan.Discriminator, dcgan.keras_initialise),  # where the import brought none of its own
}


def build_generator(config: "ModelConfig", *, resolution: int, channels: int, seed: int) -> GeneratorNetwork:
    """A freshly initialised generator: `forward(latents [n, z]) -> images [n, c, h, w]` in [-1, 1].

    Same arguments, same weights; it has `latent_size`, `resolution` and `channels`.
    """
    shape: dict[str, int] = {"latent_size": config.latent_size, "resolution": resolution, "channels": channels}
    if config.layers is not None:
        network, initialise = described.Generator(config.layers, **shape), dcgan.keras_initialise
    else:
        make, initialise = GENERATORS[config.architecture]
        network = make(**shape, width=config.width)
    return _placed(network, initialise, seed=derive_seed(seed, "generator"))


def build_discriminator(config: "ModelConfig", *, resolution: int, channels: int, seed: int) -> DiscriminatorNetwork:
    """A freshly initialised discriminator: `forward(images [n, c, h, w], dropout_mask) -> logits [n]`.

    `dropout_mask` is [n, features] bool or None; it has `features` and `dropout`.
    """
    shape: dict[str, Any] = {"resolution": resolution, "channels": channels, "dropout": config.dropout}
    if config.discriminator_layers is not None:
        network, initialise = described.Discriminator(config.discriminator_layers, **shape), dcgan.keras_initialise
    else:
        make, initialise = DISCRIMINATORS[config.architecture]
        network = make(**shape, width=config.width)
    return _placed(network, initialise, seed=derive_seed(seed, "discriminator"))


def count_parameters(module: nn.Module) -> int:
    """How many numbers the network learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def _placed(network: Network, initialise: Callable[..., None], *, seed: int) -> Network:
    initialise(network, generator=torch.Generator().manual_seed(seed))
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
