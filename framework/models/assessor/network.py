"""The assessor's network, its input normalisation, and its features."""

import math
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor, nn

# Larger images are resized to this side, which limits the cost; attributes of faces are visible at 32 pixels already.
LARGEST_SIDE = 64
# Number of last layers whose channel means are the features. With the second layer too, the distance ranks a little
# closer to FID-768 in the first comparison of benchmarks/assessor_agreement.py, and farther in the second.
FEATURE_LAYERS = 2


class LocalContrast(nn.Module):
    """Subtracts the local mean of each channel and divides by its local standard deviation, to remove lighting.

    Brightness is separated from the two colour differences first, since image files and networks damage colour and
    brightness differently. Faint noise and blocks on a smooth cheek then have as much influence as they have on the eye
    and on Inception, and a tint or the lighting has little (after Jarrett et al. 2009, "local contrast normalization").
    """

    mix: Tensor
    mean: Tensor
    SIDE = 7  # side in pixels of the local window
    FAINTEST = 0.01  # added to the deviation, in units of [-1,1], so that smaller deviations are not amplified

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        mix = torch.tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])  # YCbCr of JPEG
        self.register_buffer("mix", mix if channels == 3 else torch.eye(channels), persistent=False)
        # The local mean along one axis, with reflected ends, as a matrix: two small products are faster than pooling.
        lines = F.pad(torch.eye(side)[None], (self.SIDE // 2,) * 2, mode="reflect")
        self.register_buffer("mean", F.avg_pool1d(lines, self.SIDE, stride=1)[0].T.contiguous(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalises images [n,c,h,w] in [-1,1]; each channel gets a mean near 0 and a deviation of at most 1."""
        mixed = torch.einsum("kc,nchw->nkhw", self.mix, images).contiguous()
        centred = mixed - self._local_mean(mixed)
        deviation = (self._local_mean(centred.square()) + 1e-12).sqrt()
        return (centred / (deviation + self.FAINTEST)).contiguous(memory_format=torch.channels_last)

    def _local_mean(self, x: Tensor) -> Tensor:
        return self.mean @ (x @ self.mean.T)


class AssessorNetwork(nn.Module):
    """Four convolutions of growing width on local contrast; logits from the last, features from the last two.

    A feature is the mean of a channel over the image, standardised with the training images.

    Args:
        outputs: Number of logits of all labels.
        resolution: Width and height of the input images; those larger than 64 pixels are downsampled, antialiased.
        channels: Channels of the input images.
        width: Channels of the first layer; the others have 2, 3 and 4 times as many.
        normalised: Whether there is batch norm, as in training; `fold` removes it.
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
        """Logits [n, outputs] and features [n, feature_size] of images [n,c,h,w] in [-1,1]."""
        if images.shape[-1] != self.side:
            images = F.interpolate(images, size=self.side, mode="bilinear", antialias=True)
        x = self.contrast(images)
        means = []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)), inplace=True)
            means.append(x.mean(dim=(2, 3)))
        # Local contrast removes overall colour, which hair and skin need, so the head also gets mean colours of cells.
        colour = F.adaptive_avg_pool2d(images, self.cells)
        logits = self.head(self.dropout(torch.cat([x.flatten(1), colour.flatten(1)], dim=1)))
        return logits, (torch.cat(means[-FEATURE_LAYERS:], dim=1) - self.feature_mean) / self.feature_scale

    def standardise(self, features: np.ndarray) -> None:
        """Rescales features so that the given ones [n, feature_size] get mean 0 and deviation 1."""
        scale = features.std(axis=0)
        # A lower bound, so that a channel which is rarely active does not dominate the others when it is.
        scale = np.maximum(scale, 0.1 * np.median(scale))
        device = self.feature_mean.device
        self.feature_mean += self.feature_scale * torch.from_numpy(features.mean(axis=0)).to(device)
        self.feature_scale *= torch.from_numpy(scale).to(device)

    def fold(self) -> None:
        """Folds each batch norm into the convolution before it, which is faster and computes the same."""
        for k, norm in enumerate(self.norms):
            if isinstance(norm, nn.BatchNorm2d):
                convolution = cast("nn.Conv2d", self.convolutions[k])
                self.convolutions[k] = nn.utils.fuse_conv_bn_eval(convolution.eval(), norm.eval())
                self.norms[k] = nn.Identity()
