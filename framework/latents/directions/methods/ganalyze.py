"""GANalyze (Goetschalckx et al. 2019, "GANalyze: toward visual definitions of cognitive image properties").

A direction θ is trained so that moving a latent by αθ moves an assessor's score of its image by α; the moved latent
is brought back to its own length, as the paper does, since a generator knows latents of that length. The paper's
assessors give scores between 0 and 1, of whose range it asks for a good part. Ours are asked for logits, in which
equal steps mean the same near 0 and near 1, and α is in standard deviations of the samples' own: asked for less, a
direction is found that this network reacts to and no other does (of drawn faces, one logit of the finder was half a
logit of the measurer). For the same reason the shortest way is looked for, and the assessor sees images with noise,
whose mean gradient has less of what is its own (Smilkov et al. 2017, "SmoothGrad"): with both, beards of drawn faces
answered with 0.93 of a ridge regression's slope, without with 0.82.
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
        natural_step: Length of a latent's move that is to change the score by a standard deviation of the samples'.
        losses: Of each step, squared error of the score.
    """

    vector: np.ndarray
    natural_step: float
    losses: list[float]


_SPREAD_LATENTS = 512
# Of θ's squared length, beside the mean of α²: what changes nothing of the score goes, and the shortest way stays.
_LENGTH_WEIGHT = 0.1
_NOISE = 0.3  # standard deviation, of images in [-1,1]


class Descent:
    """Adam with one second moment for the whole vector.

    Latents have no axes of their own, and Adam's steps by entry would add to a direction what the gradient has nothing
    of: where a generator does not hear some dimensions, a part that means nothing and never goes.

    Args:
        vector: [z], moved in place.
        learning_rate: Length of a step at the beginning, over the square root of z.
        steps: How many there will be; the last ones are shorter, along half a cosine.
    """

    def __init__(self, vector: Tensor, *, learning_rate: float, steps: int) -> None:
        self._vector, self._rate, self._steps = vector, learning_rate, max(1, steps)
        self._mean, self._square, self._taken = torch.zeros_like(vector), 0.0, 0

    @property
    def has_moved(self) -> bool:
        """Whether any gradient was other than 0."""
        return self._square > 0

    def step(self, loss: Tensor) -> float:
        """One step down a loss of the vector; the loss."""
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
    """Trains θ on latents, each once, in their order.

    Args:
        generate: Makes images.
        score: Assesses them, in logits; it sees them with noise, so it may get values beyond -1 and 1.
        latents: [n,z], used in batches.
        batch_size: Latents a step.
        learning_rate: See Descent.
        most: α is drawn between −most and most, in standard deviations of the score.
        seed: Of θ's beginning and of the α.

    Raises:
        LatentsError: The score does not depend on the latent, or training does not keep finite.
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
            veil = _veil(start, noise)
            before = score(start + veil)
        after = score(generate(moved(z, alpha, theta)) + veil)
        error = (((after - before) / spread - alpha) ** 2).mean()
        descent.step(error + _LENGTH_WEIGHT * most**2 / 3 * theta.square().sum())
        losses.append(float(error.detach()))
        if not np.isfinite(losses[-1]):
            raise LatentsError(f"ganalyze: the loss is {losses[-1]} at step {len(losses)}; lower latents.learning_rate")
    if not descent.has_moved:
        raise LatentsError("ganalyze: the score does not change with the latent")
    found = theta.detach().numpy()
    return Trained(unit(found), float(np.linalg.norm(found)), losses)


def batches(latents: np.ndarray, size: int) -> list[Tensor]:
    """Latents [n,z] in their order, as many whole batches as they make."""
    whole = torch.from_numpy(np.ascontiguousarray(latents, np.float32))
    return list(whole[: len(latents) // size * size].split(size))


def _veil(images: Tensor, noise: torch.Generator) -> Tensor:
    return _NOISE * torch.randn(images.shape, generator=noise)


def _spread(generate: Generate, score: Score, parts: Sequence[Tensor], noise: torch.Generator) -> float:
    """Standard deviation of the score over samples."""
    scores = []
    with torch.no_grad():
        for part in parts:
            images = generate(part)
            scores.append(score(images + _veil(images, noise)))
    found = float(torch.cat(scores).double().std())
    if not found > 0:  # NaN too
        raise LatentsError("ganalyze: the score does not change with the latent")
    return found


def moved(latents: Tensor, alpha: Tensor, theta: Tensor) -> Tensor:
    """[n,z] moved by alpha [n] along theta [z], each brought back to its own length."""
    away = latents + alpha[:, None] * theta
    return away * (latents.norm(dim=1, keepdim=True) / away.norm(dim=1, keepdim=True).clamp_min(1e-12))
