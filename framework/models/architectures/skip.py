"""A lighter generator and discriminator for short trainings: fewer channels in larger maps, and output skips.

The generator's output skips are those of StyleGAN2 (Karras et al. 2020); its pixel-wise normalisation is that of
Progressive GAN (Karras et al. 2018). Both work on single images, so that an image does not depend on the batch or on
the number of workers. Weights are orthogonal (Saxe et al. 2014), scaled for LeakyReLU.
"""

import itertools
import math

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor, nn

from framework.models.architectures.base import DiscriminatorNetwork, GeneratorNetwork
from framework.models.architectures.dcgan import stem_size
from framework.models.arithmetic.leaky import leaky_convolution

_SLOPE = 0.2
LEAKY_GAIN = math.sqrt(2 / (1 + _SLOPE**2))
"""Gain of layers before a LeakyReLU of slope 0.2."""
_WIDEST = 4  # the smallest maps have at most this many times `width` channels
_FAINT = 0.2  # initial scale of the layers that produce images


def channels_at(side: int, *, resolution: int, width: int) -> int:
    """Channels of maps with this side: `width` at full size, doubled with each halving, at most four times `width`."""
    return width * min(resolution // side, _WIDEST)


class Generator(GeneratorNetwork):
    """Dense stem, then transposed convolutions that double the side; each size adds its image to the output.

    Args:
        latent_size: Number of entries of a latent.
        resolution: Width and height of the images in pixels.
        channels: 1 for grey images, 3 for colour.
        width: Channels of the largest maps.
    """

    def __init__(self, *, latent_size: int, resolution: int, channels: int, width: int) -> None:
        super().__init__()
        self.latent_size, self.resolution, self.channels = latent_size, resolution, channels
        self.stem, halvings = stem_size(resolution)
        sides = [self.stem * 2**k for k in range(halvings + 1)]
        widths = [channels_at(side, resolution=resolution, width=width) for side in sides]
        self.widest = widths[0]
        self.dense = nn.Linear(latent_size, self.stem * self.stem * widths[0])
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1) for before, after in itertools.pairwise(widths)
        )
        self.to_images = nn.ModuleList(nn.Conv2d(w, channels, 3, padding=1) for w in widths)

    def forward(self, latents: Tensor) -> Tensor:
        """Generates images [n, channels, resolution, resolution] in [-1, 1] from latents [n, latent_size]."""
        x = F.leaky_relu(self.dense(_normalised(latents)), _SLOPE)
        x = x.view(-1, self.stem, self.stem, self.widest).permute(0, 3, 1, 2)
        x = _normalised(x)
        images = self.to_images[0](x)
        for up, to_image in zip(self.ups, self.to_images[1:], strict=True):
            x = _normalised(leaky_convolution(up, x, slope=_SLOPE))
            images = F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False) + to_image(x)
        return torch.tanh(images)


class Discriminator(DiscriminatorNetwork):
    """A 3x3 convolution, then 4x4 convolutions of stride 2 down to the stem, dropout, one logit.

    Args:
        resolution: Width and height of the images in pixels.
        channels: 1 for grey images, 3 for colour.
        width: Channels of the largest maps.
        dropout: Probability of dropping a feature, by which a mask scales the kept features.
    """

    def __init__(self, *, resolution: int, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        stem, halvings = stem_size(resolution)
        sides = [resolution // 2**k for k in range(halvings + 1)]
        widths = [channels_at(side, resolution=resolution, width=width) for side in sides]
        self.from_image = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.downs = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in itertools.pairwise(widths)
        )
        self.last = nn.Conv2d(widths[-1], widths[-1], 4, stride=2, padding=1)
        self.features = (stem // 2) ** 2 * widths[-1]
        self.dense = nn.Linear(self.features, 1)

    def judged(self, images: Tensor, dropout_mask: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Logits [n] and features [n, features] of images [n, c, h, w], as `DiscriminatorNetwork` defines them."""
        x = leaky_convolution(self.from_image, images, slope=_SLOPE)
        for down in self.downs:
            x = leaky_convolution(down, x, slope=_SLOPE)
        x = leaky_convolution(self.last, x, slope=_SLOPE)
        x = x.permute(0, 2, 3, 1).flatten(1)
        if dropout_mask is not None:
            x = x * dropout_mask.to(x.dtype).div_(1.0 - self.dropout)
        # Adam changes every weight by a similar amount, so without the scale a step would change the sum of thousands
        # of features too much.
        x = x * self.features**-0.5
        return x @ self.dense.weight[0] + self.dense.bias, [x]

    def layers_from_image(self) -> list[list[nn.Module]]:
        """The convolutions."""
        return [[layer] for layer in (self.from_image, *self.downs, self.last)]


def _normalised(x: Tensor) -> Tensor:
    """Scales the vector of each pixel or latent, along dimension 1, to a root mean square of 1."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


@torch.no_grad()
def orthogonal(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, *, gain: float, generator: torch.Generator) -> None:
    """Sets orthogonal weights (Saxe et al. 2014) and a zero bias."""
    nn.init.orthogonal_(layer.weight, gain=gain, generator=generator)
    if layer.bias is not None:
        layer.bias.zero_()


@torch.no_grad()
def orthogonal_initialise(network: nn.Module, *, generator: torch.Generator) -> None:
    """Sets orthogonal weights with LeakyReLU's gain and zero biases; initial images and logits are small."""
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            continue
        if isinstance(layer, nn.Linear) and layer.out_features == 1:
            layer.weight.normal_(generator=generator)  # `forward` scales it down
            layer.bias.zero_()
        else:
            scale = _FAINT if name.startswith("to_images") else 1.0
            orthogonal(layer, gain=LEAKY_GAIN * scale, generator=generator)
