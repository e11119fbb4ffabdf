"""Projection: the latent whose image is nearest to a photograph.

By gradient from several starts, as Abdal et al. 2019 ("Image2StyleGAN") do for StyleGAN: squared error of pixels at the
generator's resolution, and of features where there are some, with the latent's length kept near the √z of its prior's
shell. Starts are the best of many samples, so that few of them end far away. How well a generator can show a photograph
at all is told by two errors beside it: that of random samples, and that of images that it made itself, which have to be
found back.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framework.errors import LatentsError
from framework.images.ranges import in_levels
from framework.latents.networks import Features, Generate

_SPREAD_SAMPLES = 64  # of which the features' usual distance is taken


@dataclass(frozen=True, eq=False)
class Projected:
    """The best of several descents.

    Attributes:
        latent: [z] float32.
        pixel_error: Root mean square of the difference, of the range from 0 to 255.
        feature_error: Mean squared difference of features over that of random samples; None without features.
        start_errors: [k] pixel error that each start ended with, the best first.
    """

    latent: np.ndarray
    pixel_error: float
    feature_error: float | None
    start_errors: list[float]


def project(
    generate: Generate,
    target: Tensor,
    candidates: np.ndarray,
    *,
    features: Features | None = None,
    starts: int = 4,
    steps: int = 300,
    learning_rate: float = 0.05,
    feature_weight: float = 0.1,
    shell_weight: float = 0.01,
) -> Projected:
    """The latent of one image, looked for on the device that it is on.

    Args:
        generate: Makes images.
        target: [c,h,w] in [-1,1].
        candidates: [n,z] samples, of whose images the nearest are started from.
        features: Of images, where they count too.
        starts: How many descents, side by side.
        steps: Of each.
        learning_rate: Adam's; falls along half a cosine.
        feature_weight: Of the features' squared error, over that of random samples.
        shell_weight: Of the squared distance of the latent's length to √z, over z.

    Raises:
        LatentsError: Fewer candidates than starts, or an image of another shape.
    """
    if len(candidates) < starts:
        raise LatentsError(f"latents.starts: {starts} want as many candidates, not {len(candidates)}")
    latents = torch.from_numpy(np.ascontiguousarray(candidates, np.float32)).to(target.device)
    images = _in_parts(generate, latents)
    if images.shape[1:] != target.shape:
        raise LatentsError(
            f"a photograph of shape {list(target.shape)} is not the generator's {list(images.shape[1:])}"
        )
    apart = ((images - target) ** 2).mean(dim=(1, 2, 3))
    chosen = apart.argsort(stable=True)[:starts]
    wanted, spread = None, 1.0
    if features is not None:
        with torch.no_grad():
            wanted, every = features(target[None]), features(images[:_SPREAD_SAMPLES])
        spread = float(((every - wanted) ** 2).mean().clamp_min(1e-12))
    z = latents[chosen].clone().requires_grad_()
    optimizer = torch.optim.Adam([z], lr=learning_rate)
    radius = math.sqrt(candidates.shape[1])
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        shown = generate(z)
        loss = ((shown - target) ** 2).mean(dim=(1, 2, 3)) + shell_weight * (z.norm(dim=1) - radius) ** 2 / radius**2
        if features is not None and wanted is not None:
            loss = loss + feature_weight * ((features(shown) - wanted) ** 2).mean(dim=1) / spread
        optimizer.zero_grad()
        loss.sum().backward()  # each start has its own gradient
        optimizer.step()
    with torch.no_grad():
        shown = generate(z)
        errors = ((shown - target) ** 2).mean(dim=(1, 2, 3))
        feature_errors = None
        if features is not None and wanted is not None:
            feature_errors = ((features(shown) - wanted) ** 2).mean(dim=1) / spread
    best = int(errors.argmin())
    return Projected(
        latent=z.detach()[best].cpu().numpy().copy(),
        pixel_error=in_levels(float(errors[best])),
        feature_error=None if feature_errors is None else float(feature_errors[best]),
        start_errors=sorted(map(in_levels, errors.tolist())),
    )


def _in_parts(generate: Generate, latents: Tensor, size: int = 64) -> Tensor:
    with torch.no_grad():
        return torch.cat([generate(part) for part in latents.split(size)])
