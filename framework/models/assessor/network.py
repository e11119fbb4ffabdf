"""The assessor's network: what it looks at, and which of its numbers are features."""

import math
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

# Larger images are made this small first: it keeps the cost, and faces are told apart at 32 pixels already.
LARGEST_SIDE = 64
# The last layers, whose channels' means are the features. With the second layer too, the distance ranks a little closer
# to FID-768 on what benchmarks/assessor_agreement.py tells first, and farther on what it tells second.
FEATURE_LAYERS = 2


class LocalContrast(nn.Module):
    """Each channel less its local mean, over its local deviation: what is there, whatever the light.

    Brightness is taken apart from the two colour differences first, since files and networks damage colour apart from
    brightness. Faint noise and blocks on a smooth cheek then count as much as they do to the eye and to Inception, and
    a tint or a lamp counts for little (after Jarrett et al. 2009, "local contrast normalization").
    """

    mix: Tensor
    mean: Tensor
    SIDE = 7  # pixels over which "local" is taken
    FAINTEST = 0.01  # a deviation well under this, in units of [-1,1], is taken for none

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        mix = torch.tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])  # JPEG's own
        self.register_buffer("mix", mix if channels == 3 else torch.eye(channels), persistent=False)
        # A local mean along a line, its ends reflected, as a matrix: two small products are quicker than any pooling.
        lines = F.pad(torch.eye(side)[None], (self.SIDE // 2,) * 2, mode="reflect")
        self.register_buffer("mean", F.avg_pool1d(lines, self.SIDE, stride=1)[0].T.contiguous(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images [n,c,h,w] in [-1,1] -> [n,c,h,w], each channel of mean about 0 and deviation up to 1."""
        mixed = torch.einsum("kc,nchw->nkhw", self.mix, images).contiguous()
        centred = mixed - self._local_mean(mixed)
        deviation = (self._local_mean(centred.square()) + 1e-12).sqrt()
        return (centred / (deviation + self.FAINTEST)).contiguous(memory_format=torch.channels_last)

    def _local_mean(self, x: Tensor) -> Tensor:
        return self.mean @ (x @ self.mean.T)


class AssessorNetwork(nn.Module):
    """Four convolutions of growing width on local contrast; logits from the last, features from the last two.

    A feature is a channel's mean over the picture, standardised by the training images.

    Args:
        outputs: Logits of all labels together.
        resolution: Side of the images it takes; those over 64 pixels are made smaller first, antialiased.
        channels: Channels of the images.
        width: Channels of the first layer; the others have 2, 3 and 4 times as many.
        normalised: With batch norm, as it is trained; `fold` gives the same network without.
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, *, outputs: int, resolution: int, channels: int, width: int, normalised: bool = False) -> None:
        super().__init__()
        self.side = min(resolution, LARGEST_SIDE)
        strides = (1 if self.side <= 32 else 2, 2, 2, 2)
        widths = (channels, width, 2 * width, 3 * width, 4 * width)
        self.contrast = LocalContrast(channels, self.side)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(widths[k], widths[k + 1], 3, stride, 1) for k, stride in enumerate(strides)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) if normalised else nn.Identity() for w in widths[1:])
        self.cells = -(-self.side // math.prod(strides))
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear((widths[-1] + channels) * self.cells**2, outputs)
        self.feature_size = sum(widths[-FEATURE_LAYERS:])
        self.register_buffer("feature_mean", torch.zeros(self.feature_size))
        self.register_buffer("feature_scale", torch.ones(self.feature_size))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images [n,c,h,w] in [-1,1] -> logits [n, outputs], features [n, feature_size]."""
        if images.shape[-1] != self.side:
            images = F.interpolate(images, size=self.side, mode="bilinear", antialias=True)
        x = self.contrast(images)
        means = []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)), inplace=True)
            means.append(x.mean(dim=(2, 3)))
        # Contrast knows no colour, and hair and skin are told by it: the head sees it in a few large cells.
        colour = F.adaptive_avg_pool2d(images, self.cells)
        logits = self.head(self.dropout(torch.cat([x.flatten(1), colour.flatten(1)], dim=1)))
        return logits, (torch.cat(means[-FEATURE_LAYERS:], dim=1) - self.feature_mean) / self.feature_scale

    def standardise(self, features: np.ndarray) -> None:
        """Take features [n, feature_size] as it now gives them for mean 0 and deviation 1."""
        scale = features.std(axis=0)
        # A channel that hardly ever answers must not drown all others where it does.
        scale = np.maximum(scale, 0.1 * np.median(scale))
        device = self.feature_mean.device
        self.feature_mean += self.feature_scale * torch.from_numpy(features.mean(axis=0)).to(device)
        self.feature_scale *= torch.from_numpy(scale).to(device)

    def fold(self) -> None:
        """Take each batch norm into the convolution before it: the same function, quicker."""
        for k, norm in enumerate(self.norms):
            if isinstance(norm, nn.BatchNorm2d):
                convolution = cast("nn.Conv2d", self.convolutions[k])
                self.convolutions[k] = nn.utils.fuse_conv_bn_eval(convolution.eval(), norm.eval())
                self.norms[k] = nn.Identity()
