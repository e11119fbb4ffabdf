"""What every architecture's pair has, whatever is inside."""

from torch import nn


class GeneratorNetwork(nn.Module):
    """Latents [n, latent_size] -> images [n, channels, resolution, resolution] in [-1, 1]."""

    latent_size: int
    resolution: int
    channels: int


class DiscriminatorNetwork(nn.Module):
    """Images [n, c, h, w] in [-1, 1] and a dropout mask [n, features] or None -> logits [n], positive for real."""

    features: int
    dropout: float
