"""GANalyze (Goetschalckx et al. 2019, "GANalyze: toward visual definitions of cognitive image properties").

A direction θ is trained so that moving a latent by αθ changes an assessor's score of its image by α. As in the paper,
the moved latent is scaled back to its original length, because the generator was trained on latents of that length.

The paper's assessors give scores between 0 and 1. Here they give logits, in which equal steps mean the same near 0 and
near 1, and α is in standard deviations of the score over samples. Smaller changes lead to a direction to which only
this assessor reacts: on drawn faces, one logit of the finder was half a logit of the measurer. For the same reason the
loss prefers a short θ, and the assessor sees noisy images, whose mean gradient is less specific to one network (Smilkov
et al. 2017, "SmoothGrad"). With both, the slope for beards of drawn faces was 0.93 of a ridge regression's, without
them 0.82.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framework.errors import LatentsError
from framework.latents.directions.direction import unit
from framework.latents.networks import Generate, Score


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained direction.

    Attributes:
        vector: [z] float32 of length 1.
        natural_step: Distance in latent space that should change the score by one standard deviation over samples.
        losses: Mean squared error of the score at each step.
    """

    vector: np.ndarray
    natural_step: float
    losses: list[float]


_SPREAD_LATENTS = 512
# Weight of θ's squared length relative to the mean of α². It removes components that do not change the score.
_LENGTH_WEIGHT = 0.1
_NOISE = 0.3  # standard deviation of the noise on images in [-1,1]


class Descent:
    """Adam with one second moment for the whole vector.

    The axes of latent space have no meaning. Scaling each entry separately, as Adam does, would amplify entries whose
    gradient is almost 0, so that dimensions which the generator ignores would become part of the direction.

    Args:
        vector: [z], updated in place.
        learning_rate: Length of the first steps, divided by the square root of z.
        steps: Total number of steps; the rate falls along half a cosine.
    """

    def __init__(self, vector: Tensor, *, learning_rate: float, steps: int) -> None:
        self._vector, self._rate, self._steps = vector, learning_rate, max(1, steps)
        self._mean, self._square, self._taken = torch.zeros_like(vector), 0.0, 0

    @property
    def has_moved(self) -> bool:
        """Whether any gradient was not 0."""
        return self._square > 0

    def step(self, loss: Tensor) -> float:
        """Takes one step down the gradient of the loss, and returns the loss."""
        (gradient,) = torch.autograd.grad(loss, [self._vector])
        self._taken += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.99 * self._square + 0.01 * float(gradient.square().mean())
        mean = self._mean / (1 - 0.9**self._taken)
        scale = (self._square / (1 - 0.99**self._taken)) ** 0.5 + 1e-12
        rate = self._rate * 0.5 * (1 + math.cos(math.pi * (self._taken - 1) / self._steps))
        with torch.no_grad():
            self._vector -= rate * mean / scale
        return float(loss.detach())


def ganalyze(
    generate: Generate,
    score: Score,
    latents: np.ndarray,
    *,
    batch_size: int = 32,
    learning_rate: float = 0.02,
    most: float = 2.0,
    seed: int = 0,
) -> Trained:
    """Trains θ on latents [n,z], each used once, in order.

    Args:
        score: Logits of images; noise is added to the images, so their values may lie outside [-1,1].
        learning_rate: Rate of `Descent`.
        most: α is drawn between −most and most, in standard deviations of the score.
        seed: Seed of the initial θ, of α and of the noise.

    Raises:
        LatentsError: The score does not depend on the latent, or the loss becomes infinite or NaN.
    """
    random = np.random.default_rng(seed)
    size = latents.shape[1]
    theta = torch.from_numpy((random.normal(size=size) * size**-0.5 * 0.1).astype(np.float32)).requires_grad_()
    parts = batches(latents, batch_size)
    if not parts:
        raise LatentsError(f"ganalyze: {len(latents)} latents are fewer than a batch of {batch_size}")
    descent = Descent(theta, learning_rate=learning_rate, steps=len(parts))
    losses: list[float] = []
    noise = torch.Generator().manual_seed(seed)
    spread = _spread(generate, score, parts[: max(1, _SPREAD_LATENTS // batch_size)], noise)
    for z in parts:
        alpha = torch.from_numpy(random.uniform(-most, most, size=len(z)).astype(np.float32))
        with torch.no_grad():
            start = generate(z)
            added_noise = _noise_for(start, noise)
            before = score(start + added_noise)
        after = score(generate(moved(z, alpha, theta)) + added_noise)
        error = (((after - before) / spread - alpha) ** 2).mean()
        descent.step(error + _LENGTH_WEIGHT * most**2 / 3 * theta.square().sum())
        losses.append(float(error.detach()))
        if not np.isfinite(losses[-1]):
            raise LatentsError(
                f"ganalyze: the loss is {losses[-1]} at step {len(losses)}; lower latents.directions.learning_rate"
            )
    if not descent.has_moved:
        raise LatentsError("ganalyze: the score does not change with the latent")
    trained = theta.detach().numpy()
    return Trained(unit(trained), float(np.linalg.norm(trained)), losses)


def batches(latents: np.ndarray, size: int) -> list[Tensor]:
    """Splits latents [n,z] into batches in order; an incomplete last batch is left out."""
    whole = torch.from_numpy(np.ascontiguousarray(latents, np.float32))
    return list(whole[: len(latents) // size * size].split(size))


def _noise_for(images: Tensor, noise: torch.Generator) -> Tensor:
    return _NOISE * torch.randn(images.shape, generator=noise)


def _spread(generate: Generate, score: Score, parts: Sequence[Tensor], noise: torch.Generator) -> float:
    """Standard deviation of the score over samples, with the same noise as in training."""
    scores = []
    with torch.no_grad():
        for part in parts:
            images = generate(part)
            scores.append(score(images + _noise_for(images, noise)))
    deviation = float(torch.cat(scores).double().std())
    if not deviation > 0:  # also true for NaN
        raise LatentsError("ganalyze: the score does not change with the latent")
    return deviation


def moved(latents: Tensor, alpha: Tensor, theta: Tensor) -> Tensor:
    """Moves latents [n,z] by alpha [n] along theta [z], and scales each back to its original length."""
    away = latents + alpha[:, None] * theta
    return away * (latents.norm(dim=1, keepdim=True) / away.norm(dim=1, keepdim=True).clamp_min(1e-12))
