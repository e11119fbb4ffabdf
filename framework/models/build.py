"""From the configuration to networks: every architecture by its name."""

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from framework.models import dcgan
from framework.models.base import DiscriminatorNetwork, GeneratorNetwork
from framework.models.prior import derive_seed

if TYPE_CHECKING:
    from framework.config import ModelConfig

Network = TypeVar("Network", bound=nn.Module)


def build_generator(config: "ModelConfig", *, resolution: int, channels: int, seed: int) -> GeneratorNetwork:
    """A freshly initialised generator: `forward(latents [n, z]) -> images [n, c, h, w]` in [-1, 1].

    Same arguments, same weights; it has `latent_size`, `resolution` and `channels`.
    """
    network = dcgan.Generator(
        latent_size=config.latent_size, resolution=resolution, channels=channels, width=config.width
    )
    return _initialised(network, seed=derive_seed(seed, "generator"))


def build_discriminator(config: "ModelConfig", *, resolution: int, channels: int, seed: int) -> DiscriminatorNetwork:
    """A freshly initialised discriminator: `forward(images [n, c, h, w], dropout_mask) -> logits [n]`.

    `dropout_mask` is [n, features] bool or None; it has `features` and `dropout`.
    """
    network = dcgan.Discriminator(resolution=resolution, channels=channels, width=config.width, dropout=config.dropout)
    return _initialised(network, seed=derive_seed(seed, "discriminator"))


def count_parameters(module: nn.Module) -> int:
    """How many numbers the network learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def _initialised(network: Network, *, seed: int) -> Network:
    dcgan.keras_initialise(network, generator=torch.Generator().manual_seed(seed))
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
