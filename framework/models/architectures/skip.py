"""A lighter pair for short trainings: fewer channels the larger the map, and a picture added up over all sizes.

The generator's output skips are those of StyleGAN2 (Karras et al. 2020), its pixel-wise normalisation is Progressive
GAN's (2018); both look at one image at a time, so that neither batch nor workers change what an image becomes. Weights
are orthogonal (Saxe et al. 2014), scaled for LeakyReLU.
"""

import itertools
import math

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from framework.models.architectures.base import DiscriminatorNetwork, GeneratorNetwork
from framework.models.architectures.dcgan import stem_size
from framework.models.arithmetic.leaky import leaky_convolution

_SLOPE = 0.2
LEAKY_GAIN = math.sqrt(2 / (1 + _SLOPE**2))
"""Of layers before a LeakyReLU of slope 0.2."""
_WIDEST = 4
_FAINT = 0.2


def channels_at(side: int, *, resolution: int, width: int) -> int:
    """Channels of the maps of this side: `width` at the full size, twice as many at half of it, four times at most."""
    return width * min(resolution // side, _WIDEST)


class Generator(GeneratorNetwork):
    """Dense stem, then transposed convolutions that double the side, each size with a picture of its own.

    Args:
        latent_size: Numbers in a latent.
        resolution: Side of the images in pixels.
        channels: 1 or 3.
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
        """Latents [n, latent_size] -> images [n, channels, resolution, resolution] in [-1, 1]."""
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
        resolution: Side of the images in pixels.
        channels: 1 or 3.
        width: Channels of the largest maps.
        dropout: Probability with which a feature is dropped where a mask is given.
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

    def forward(self, images: Tensor, dropout_mask: Tensor | None = None) -> Tensor:
        """Images [n, c, h, w] in [-1, 1] -> logits [n], positive for real; `dropout_mask` as the reference has it."""
        x = leaky_convolution(self.from_image, images, slope=_SLOPE)
        for down in self.downs:
            x = leaky_convolution(down, x, slope=_SLOPE)
        x = leaky_convolution(self.last, x, slope=_SLOPE)
        x = x.permute(0, 2, 3, 1).flatten(1)
        if dropout_mask is not None:
            x = x * dropout_mask.to(x.dtype).div_(1.0 - self.dropout)
        # Adam moves every weight alike: without the scale a step would move a sum of thousands of them too far.
        return (x * self.features**-0.5) @ self.dense.weight[0] + self.dense.bias


def _normalised(x: Tensor) -> Tensor:
    """Each pixel's (or latent's) vector along dimension 1, at a root mean square of 1."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


@torch.no_grad()
def orthogonal(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, *, gain: float, generator: torch.Generator) -> None:
    """Orthogonal weights (Saxe et al. 2014), zero bias."""
    nn.init.orthogonal_(layer.weight, gain=gain, generator=generator)
    if layer.bias is not None:
        layer.bias.zero_()


@torch.no_grad()
def orthogonal_initialise(network: nn.Module, *, generator: torch.Generator) -> None:
    """Orthogonal weights with LeakyReLU's gain and zero biases; faint pictures and logits to begin with."""
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            continue
        if isinstance(layer, nn.Linear) and layer.out_features == 1:
            layer.weight.normal_(generator=generator)  # scaled down in `forward`
            layer.bias.zero_()
        else:
            scale = _FAINT if name.startswith("to_images") else 1.0
            orthogonal(layer, gain=LEAKY_GAIN * scale, generator=generator)
