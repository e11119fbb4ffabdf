"""Encoder and decoder of autoencoders and VAEs, for any image size.

Both are chains of convolutions between the image and the stem (`dcgan.stem_size`), with a dense layer of 256 between
stem and code. The decoder computes logits x: a Bernoulli pixel is white with probability sigmoid(x), and a Gaussian
pixel has the mean sigmoid(x). Since 2 sigmoid(x) - 1 = tanh(x / 2), the image in [-1, 1] is tanh(x / 2). After training
a decoder is used like any generator, from standard normal latents to images.
"""

import itertools

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor, nn

from framework.models.architectures.base import GeneratorNetwork
from framework.models.architectures.dcgan import stem_size
from framework.models.architectures.skip import LEAKY_GAIN, channels_at, orthogonal
from framework.models.arithmetic.leaky import leaky_convolution

_SLOPE = 0.2
_HIDDEN = 256
_JITTER = 1e-6  # share of the mean variance; without it, a constant code makes the covariance singular


def _shapes(resolution: int, width: int) -> tuple[int, list[int]]:
    """The stem's side, and the channels of each feature map from the stem up to half of the image's side."""
    stem, halvings = stem_size(resolution)
    sides = [stem * 2**k for k in range(halvings)]
    return stem, [channels_at(side, resolution=resolution // 2, width=width) for side in sides]


class Encoder(nn.Module):
    """4x4 convolutions of stride 2 down to the stem, then two dense layers.

    Args:
        resolution: Width and height of the images in pixels.
        channels: 1 for grey images, 3 for colour.
        width: Channels of the largest feature map.
    """

    def __init__(self, *, outputs: int, resolution: int, channels: int, width: int) -> None:
        super().__init__()
        stem, widths = _shapes(resolution, width)
        inputs = [channels, *widths[:0:-1]]
        self.downs = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in zip(inputs, widths[::-1], strict=True)
        )
        self.dense = nn.Linear(stem * stem * widths[0], _HIDDEN)
        self.head = nn.Linear(_HIDDEN, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Encodes images [n, c, h, w] in [-1, 1] to [n, outputs]."""
        x = images
        for down in self.downs:
            x = leaky_convolution(down, x, slope=_SLOPE)
        x = x.permute(0, 2, 3, 1).flatten(1)  # [n, stem * stem * channels]
        return self.head(F.leaky_relu(self.dense(x), _SLOPE))


class Body(nn.Module):
    """Two dense layers to the stem, then 4x4 transposed convolutions that double the side, up to logits.

    Args:
        inputs: Size of a code.
        resolution: Width and height of the images in pixels.
        channels: 1 for grey images, 3 for colour.
        width: Channels of the largest feature map.
    """

    def __init__(self, *, inputs: int, resolution: int, channels: int, width: int) -> None:
        super().__init__()
        self.stem, widths = _shapes(resolution, width)
        self.widest = widths[0]
        self.dense = nn.Linear(inputs, _HIDDEN)
        self.grow = nn.Linear(_HIDDEN, self.stem * self.stem * self.widest)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1) for before, after in itertools.pairwise(widths)
        )
        self.to_image = nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        """Decodes codes [n, inputs] to logits [n, channels, resolution, resolution]."""
        x = F.leaky_relu(self.grow(F.leaky_relu(self.dense(codes), _SLOPE)), _SLOPE)
        x = x.view(-1, self.stem, self.stem, self.widest).permute(0, 3, 1, 2)
        for up in self.ups:
            x = leaky_convolution(up, x, slope=_SLOPE)
        return self.to_image(x)


class Decoder(GeneratorNetwork):
    """A VAE's decoder, whose latents are its codes; the arguments are those of `Body`."""

    def __init__(self, *, latent_size: int, resolution: int, channels: int, width: int) -> None:
        super().__init__()
        self.latent_size, self.resolution, self.channels = latent_size, resolution, channels
        self.body = Body(inputs=latent_size, resolution=resolution, channels=channels, width=width)

    def forward(self, latents: Tensor) -> Tensor:
        """Generates images [n, channels, resolution, resolution] in [-1, 1] from latents [n, latent_size]."""
        return torch.tanh(self.body(self.codes_of(latents)) / 2)

    def codes_of(self, latents: Tensor) -> Tensor:
        """Codes [n, latent_size] of latents [n, latent_size]."""
        return latents

    def latents_of(self, codes: Tensor) -> Tensor:
        """Latents [n, latent_size] of codes [n, latent_size]; the inverse of `codes_of`."""
        return codes


class FittedDecoder(Decoder):
    """An autoencoder's decoder. Its codes have no prior, so `fit` fits a Gaussian that maps latents to codes.

    Before `fit` is called, a latent equals its code. The arguments are those of `Decoder`.
    """

    code_mean: Tensor
    code_root: Tensor

    def __init__(self, *, latent_size: int, **shape: int) -> None:
        super().__init__(latent_size=latent_size, **shape)
        self.register_buffer("code_mean", torch.zeros(latent_size))
        self.register_buffer("code_root", torch.eye(latent_size))

    def codes_of(self, latents: Tensor) -> Tensor:
        """Maps latents to codes: mean + root of the covariance x latent."""
        return latents @ self.code_root.T + self.code_mean

    def latents_of(self, codes: Tensor) -> Tensor:
        """Whitens codes by the fitted Gaussian; those it was fitted to get mean 0 and covariance 1."""
        return torch.linalg.solve_triangular(self.code_root, (codes - self.code_mean).T, upper=False).T

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """Fits mean and covariance to codes [n, latent_size], n at least 2.

        The root of the covariance is its Cholesky factor, which changes little when the codes change little, so a
        latent keeps its image between two fits.
        """
        wide = codes.double()
        covariance = torch.cov(wide.T).reshape(self.latent_size, self.latent_size)
        jitter = _JITTER * covariance.diagonal().mean().clamp_min(1e-12)
        root = torch.linalg.cholesky(covariance + jitter * torch.eye(self.latent_size, device=codes.device))
        self.code_mean.copy_(wide.mean(0))
        self.code_root.copy_(root)


@torch.no_grad()
def initialise(network: nn.Module, *, generator: torch.Generator) -> None:
    """Sets orthogonal weights (Saxe et al. 2014) with LeakyReLU's gain, 1 for the last layer, and zero biases."""
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            last = name.endswith(("head", "to_image"))
            orthogonal(layer, gain=1.0 if last else LEAKY_GAIN, generator=generator)
