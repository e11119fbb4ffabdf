"""Projection: finds the latent whose image is nearest to a photograph.

Gradient descent from several starts, as Abdal et al. 2019 ("Image2StyleGAN") do for StyleGAN. The loss is the squared
error of pixels at the generator's resolution, and of features if there are any, with a penalty that keeps the latent's
length near √z, where the prior has its mass. The starts are the best of many samples, so that few end in a bad minimum.
Two errors give the scale for judging the result: that of random samples, and that of projecting generated images.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framework.errors import LatentsError
from framework.images.ranges import in_levels
from framework.latents.networks import Features, Generate

_SPREAD_SAMPLES = 64  # random samples from which the typical distance of features is computed


@dataclass(frozen=True, eq=False)
class Projected:
    """The best result of several descents.

    Attributes:
        latent: [z] float32.
        pixel_error: Root mean squared difference of pixels, on the scale from 0 to 255.
        feature_error: Mean squared difference of features divided by that of random samples; None without features.
        start_errors: [k] final pixel error of each start, the best first.
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
    """Projects one image, on the device that holds it.

    Args:
        target: The image, [c,h,w] in [-1,1].
        candidates: [n,z] samples; descents start from those with the nearest images.
        features: Compares features as well as pixels if not None.
        starts: Number of descents, computed as one batch.
        steps: Optimisation steps per descent.
        learning_rate: Adam's initial rate, which falls along half a cosine.
        feature_weight: Weight of the squared feature error, which is divided by that of random samples.
        shell_weight: Weight of the squared difference between the latent's length and √z, divided by z.

    Raises:
        LatentsError: There are fewer candidates than starts, or the image's shape is not the generator's.
    """
    if len(candidates) < starts:
        raise LatentsError(f"latents.starts: {starts} starts need at least {starts} candidates, not {len(candidates)}")
    latents = torch.from_numpy(np.ascontiguousarray(candidates, np.float32)).to(target.device)
    images = _in_parts(generate, latents)
    if images.shape[1:] != target.shape:
        raise LatentsError(
            f"a photograph has shape {list(target.shape)}, but the generator's images have {list(images.shape[1:])}"
        )
    apart = ((images - target) ** 2).mean(dim=(1, 2, 3))
    chosen = apart.argsort(stable=True)[:starts]
    target_features, spread = None, 1.0
    if features is not None:
        with torch.no_grad():
            target_features, sample_features = features(target[None]), features(images[:_SPREAD_SAMPLES])
        spread = float(((sample_features - target_features) ** 2).mean().clamp_min(1e-12))
    z = latents[chosen].clone().requires_grad_()
    optimizer = torch.optim.Adam([z], lr=learning_rate)
    radius = math.sqrt(candidates.shape[1])
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        shown = generate(z)
        loss = ((shown - target) ** 2).mean(dim=(1, 2, 3)) + shell_weight * (z.norm(dim=1) - radius) ** 2 / radius**2
        if features is not None and target_features is not None:
            loss = loss + feature_weight * ((features(shown) - target_features) ** 2).mean(dim=1) / spread
        optimizer.zero_grad()
        loss.sum().backward()  # the sum leaves the gradients of the starts independent
        optimizer.step()
    with torch.no_grad():
        shown = generate(z)
        errors = ((shown - target) ** 2).mean(dim=(1, 2, 3))
        feature_errors = None
        if features is not None and target_features is not None:
            feature_errors = ((features(shown) - target_features) ** 2).mean(dim=1) / spread
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
