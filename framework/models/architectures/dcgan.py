"""The notebooks' pair, at any size, initialised and padded as Keras does it.

Keras weights fit after these changes of layout (`K` a Keras kernel):

    Dense                 (in, out)       -> weight = K.T
    Conv2D                (h, w, in, out) -> weight = K.permute(3, 2, 0, 1); the discriminator's also .flip(2, 3)
    Conv2DTranspose       (h, w, out, in) -> weight = K.permute(3, 2, 0, 1)
    Dense -> Reshape      rows of the dense layer run over (row, column, channel), as in Keras: nothing to do
    Flatten -> Dense(1)   K.reshape(s, s, width).flip(0, 1).reshape(1, -1)

The discriminator looks at the image turned by half a turn. Keras pads a 3x3 convolution of stride 2 at the bottom and
right only, PyTorch pads both sides alike, which at stride 2 comes out as top and left only; on a turned image with
turned kernels the two are the same, and no layer has to copy its input to pad it.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from framework.models.architectures.base import DiscriminatorNetwork, GeneratorNetwork
from framework.models.arithmetic.leaky import leaky_convolution
from framework.models.arithmetic.wide import wide_convolution

_SMALLEST_STEM = 7
_SLOPE = 0.2


def stem_size(resolution: int) -> tuple[int, int]:
    """The side of the smallest feature map, resolution / 2^k, and k.

    >>> stem_size(128), stem_size(32), stem_size(28)
    ((8, 4), (8, 2), (7, 2))
    """
    side, halvings = resolution, 0
    while side % 2 == 0 and side // 2 >= _SMALLEST_STEM:
        side, halvings = side // 2, halvings + 1
    return side, halvings


class Generator(GeneratorNetwork):
    """Dense stem, then transposed convolutions that double the side, then an 8x8 convolution and tanh.

    Args:
        latent_size: Numbers in a latent.
        resolution: Side of the images in pixels.
        channels: 1 or 3.
        width: Channels of every hidden layer.
    """

    def __init__(self, *, latent_size: int, resolution: int, channels: int, width: int) -> None:
        super().__init__()
        self.latent_size, self.resolution, self.channels, self.width = latent_size, resolution, channels, width
        self.stem, halvings = stem_size(resolution)
        self.dense = nn.Linear(latent_size, self.stem * self.stem * width)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(width, width, 4, stride=2, padding=1) for _ in range(halvings))
        self.to_image = nn.Conv2d(width, channels, 8)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents [n, latent_size] -> images [n, channels, resolution, resolution] in [-1, 1]."""
        x = F.leaky_relu(self.dense(latents), _SLOPE)
        # [n, stem * stem * width] -> [n, width, stem, stem], already in channels_last memory
        x = x.view(-1, self.stem, self.stem, self.width).permute(0, 3, 1, 2)
        for up in self.ups:
            x = leaky_convolution(up, x, slope=_SLOPE)
        return torch.tanh(wide_convolution(x, self.to_image.weight, self.to_image.bias))


class Discriminator(DiscriminatorNetwork):
    """A 3x3 convolution, then 3x3 convolutions of stride 2 down to the stem, dropout, one logit.

    Args:
        resolution: Side of the images in pixels.
        channels: 1 or 3.
        width: Channels of every hidden layer.
        dropout: Probability with which a feature is dropped where a mask is given.
    """

    def __init__(self, *, resolution: int, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        stem, halvings = stem_size(resolution)
        self.features = stem * stem * width
        self.from_image = nn.Conv2d(channels, width, 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(width, width, 3, stride=2, padding=1) for _ in range(halvings))
        self.dense = nn.Linear(self.features, 1)

    def forward(self, images: Tensor, dropout_mask: Tensor | None = None) -> Tensor:
        """Images [n, c, h, w] in [-1, 1] -> logits [n], positive for real.

        Args:
            images: The images.
            dropout_mask: [n, features] bool, True for what stays (and is scaled up for what goes). None: no dropout.
        """
        x = leaky_convolution(self.from_image, images.flip(2, 3), slope=_SLOPE)
        for down in self.downs:
            x = leaky_convolution(down, x, slope=_SLOPE)
        x = x.permute(0, 2, 3, 1).flatten(1)  # [n, stem * stem * width], channels last as in Keras
        if dropout_mask is not None:
            x = x * dropout_mask.to(x.dtype).div_(1.0 - self.dropout)
        return x @ self.dense.weight[0] + self.dense.bias  # a gradient in the weight's own layout, as DDP wants it


@torch.no_grad()
def keras_initialise(network: nn.Module, *, generator: torch.Generator) -> None:
    """Glorot-uniform weights and zero biases, layer after layer.

    The fans are those of the kernel: taps x input channels and taps x output channels (for a transposed convolution
    the two change places, which leaves their sum, all that counts here).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            taps = math.prod(layer.weight.shape[2:])
            bound = math.sqrt(6.0 / (taps * (layer.weight.shape[0] + layer.weight.shape[1])))
            layer.weight.uniform_(-bound, bound, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
