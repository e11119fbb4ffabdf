"""Builds networks from the configuration, by the name of their architecture."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from framework.models.architectures import autoencoder, conditional, dcgan, described, projected, residual, skip
from framework.models.architectures.autoencoder import Encoder
from framework.models.architectures.base import DiscriminatorNetwork, GeneratorNetwork
from framework.models.architectures.conditional import ConditionalDiscriminator
from framework.models.architectures.prior import derive_seed
from framework.models.condition import Condition
from framework.models.pretrained.projection import projection_of

if TYPE_CHECKING:
    from framework.config import ModelConfig

Network = TypeVar("Network", bound=nn.Module)

# `model.architecture` for a GAN, else `model.family` -> network class and initialisation.
GENERATORS = {
    "dcgan": (dcgan.Generator, dcgan.keras_initialise),
    "skip": (skip.Generator, skip.orthogonal_initialise),
    "residual": (residual.Generator, residual.initialise),
    "autoencoder": (autoencoder.FittedDecoder, autoencoder.initialise),
    "vae": (autoencoder.Decoder, autoencoder.initialise),
}
DISCRIMINATORS = {
    "dcgan": (dcgan.Discriminator, dcgan.keras_initialise),
    "skip": (skip.Discriminator, skip.orthogonal_initialise),
    "residual": (residual.Discriminator, residual.initialise),
    "keras": (dcgan.Discriminator, dcgan.keras_initialise),  # if no discriminator was imported
}


def build_generator(
    config: "ModelConfig", *, resolution: int, channels: int, seed: int, condition: Condition | None = None
) -> GeneratorNetwork:
    """Builds and initialises a generator or decoder: latents [n, z] -> images [n, c, h, w] in [-1, 1].

    The same arguments give the same weights. With a condition, latents are [n, z + condition.size]; without one, the
    network has none, whatever `config.condition` says.
    """
    code_size = 0 if condition is None else condition.size
    size = config.latent_size + code_size
    shape: dict[str, int] = {"latent_size": size, "resolution": resolution, "channels": channels}
    if config.layers is not None:
        network, initialise = described.Generator(config.layers, **shape), dcgan.keras_initialise
    else:
        make, initialise = GENERATORS[config.kind]
        network = make(**shape, **_size(config))
    network.code_size = code_size
    return _placed(network, initialise, seed=derive_seed(seed, "generator"))


def build_discriminator(
    config: "ModelConfig", *, resolution: int, channels: int, seed: int, condition: Condition | None = None
) -> DiscriminatorNetwork:
    """Builds and initialises a discriminator: images [n, c, h, w] and a dropout mask -> logits [n] or [n, heads].

    With a condition, it also takes codes [n, condition.size].

    Raises:
        ConfigError: `model.discriminator` needs weights that are not installed.
    """
    network = _discriminator(config, resolution=resolution, channels=channels, seed=seed)
    if condition is None:
        return network
    network = ConditionalDiscriminator(network, code_size=condition.size)
    return _placed(network, conditional.initialise, seed=derive_seed(seed, "discriminator condition"))


def _discriminator(config: "ModelConfig", *, resolution: int, channels: int, seed: int) -> DiscriminatorNetwork:
    if config.discriminator == "own":
        return _own_discriminator(config, resolution=resolution, channels=channels, seed=seed)
    projection = projection_of(config.feature_network, config.projection_channels)
    heads = projected.Projected(resolution=resolution, projection=projection, dropout=config.dropout)
    heads = _placed(heads, projected.initialise, seed=derive_seed(seed, "heads"))
    if config.discriminator == "projected":
        return heads
    return projected.Both(_own_discriminator(config, resolution=resolution, channels=channels, seed=seed), heads)


def _own_discriminator(config: "ModelConfig", *, resolution: int, channels: int, seed: int) -> DiscriminatorNetwork:
    shape: dict[str, Any] = {"resolution": resolution, "channels": channels, "dropout": config.dropout}
    if config.discriminator_layers is not None:
        network, initialise = described.Discriminator(config.discriminator_layers, **shape), dcgan.keras_initialise
    else:
        make, initialise = DISCRIMINATORS[config.architecture]
        network = make(**shape, **_size(config))
    return _placed(network, initialise, seed=derive_seed(seed, "discriminator"))


def build_encoder(config: "ModelConfig", *, resolution: int, channels: int, seed: int) -> Encoder:
    """Builds and initialises an encoder: images [n, c, h, w] -> [n, z], for a VAE [n, 2 z] (see `vae.Posterior`)."""
    outputs = (2 if config.family == "vae" else 1) * config.latent_size
    network = Encoder(outputs=outputs, resolution=resolution, channels=channels, width=config.width)
    return _placed(network, autoencoder.initialise, seed=derive_seed(seed, "encoder"))


def build_companion(
    config: "ModelConfig", *, resolution: int, channels: int, seed: int, condition: Condition | None = None
) -> nn.Module:
    """Builds the network that is trained with the generator: a GAN's discriminator, else the encoder."""
    if config.family == "gan":
        return build_discriminator(config, resolution=resolution, channels=channels, seed=seed, condition=condition)
    return build_encoder(config, resolution=resolution, channels=channels, seed=seed)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def _size(config: "ModelConfig") -> dict[str, int]:
    """The keys that set the size of the networks that `config` names."""
    return {"width": config.width} | ({"blocks": config.blocks} if config.kind == "residual" else {})


def _placed(network: Network, initialise: Callable[..., None], *, seed: int) -> Network:
    initialise(network, generator=torch.Generator().manual_seed(seed))
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
