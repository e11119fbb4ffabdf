"""Base classes of all generators and discriminators."""

from torch import nn


class GeneratorNetwork(nn.Module):
    """Generates images [n, channels, resolution, resolution] from latents [n, latent_size].

    In evaluation mode, which everything but a training step uses, they are in [-1, 1].
    """

    latent_size: int
    resolution: int
    channels: int


class DiscriminatorNetwork(nn.Module):
    """Computes logits [n], positive for real, from images [n, c, h, w] in [-1, 1] and a dropout mask.

    The mask is [n, features] bool, True where a feature is kept, or None for no dropout.
    """

    features: int
    dropout: float
