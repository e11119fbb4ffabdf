"""Steerable GANs (Jahanian et al. 2020, "On the 'steerability' of generative adversarial networks").

A walk is trained so that the image of a moved latent equals the edited image of the latent: w minimises
E |m (G(z + αw) − edit(G(z), α))|², where the mask m excludes pixels that the edit does not determine. A linear walk is
one vector. A nonlinear walk has one small network for positive and one for negative amounts, applied n times for n
steps, as in the paper. The paper uses LPIPS or squared error; here it is squared error of pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from framework.errors import LatentsError
from framework.latents.directions.direction import Walk, unit
from framework.latents.directions.edits import Edit
from framework.latents.directions.methods.ganalyze import Descent, batches
from framework.latents.networks import Generate

_HIDDEN_OF_SIZE = 2  # hidden units of a nonlinear walk, as a multiple of the latent size


@dataclass(frozen=True, eq=False)
class Steered:
    """A trained walk.

    Attributes:
        vector: [z] float32 of length 1; for a nonlinear walk, the mean of its first steps.
        natural_step: Distance in latent space for an edit of amount 1.
        forward, backward: The networks of a nonlinear walk.
        losses: Mean squared error within the mask at each step.
    """

    vector: np.ndarray
    natural_step: float
    losses: list[float]
    forward: Walk | None = None
    backward: Walk | None = None


def steer_linear(
    generate: Generate,
    edit: Edit,
    latents: np.ndarray,
    *,
    batch_size: int = 32,
    learning_rate: float = 0.02,
    seed: int = 0,
) -> Steered:
    """Trains a vector on latents [n,z], each used once, in order."""
    random = np.random.default_rng(seed)
    walk = torch.zeros(latents.shape[1], requires_grad=True)
    parts = _batches(latents, batch_size)
    descent = Descent(walk, learning_rate=learning_rate, steps=len(parts))
    losses = []
    for z in parts:
        amounts = _amounts(random, edit, len(z))
        losses.append(_finite(descent.step(_loss(generate, edit, z, amounts, z + amounts[:, None] * walk))))
    trained = walk.detach().numpy()
    return Steered(unit(trained), float(np.linalg.norm(trained)), losses)


def steer_nonlinear(
    generate: Generate,
    edit: Edit,
    latents: np.ndarray,
    *,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> Steered:
    """Trains one network per sign of the amount, on latents [n,z], each used once; amount k takes k steps."""
    random = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        networks = {sense: _network(latents.shape[1]) for sense in (1, -1)}
    parameters = [parameter for network in networks.values() for parameter in network.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    losses = []
    for number, z in enumerate(_batches(latents, batch_size)):
        sense = 1 if number % 2 == 0 else -1
        steps = int(random.integers(1, int(edit.most) + 1))
        moved = z
        for _ in range(steps):
            moved = moved + networks[sense](moved)
        amounts = torch.full((len(z),), float(sense * steps))
        losses.append(_step(optimizer, _loss(generate, edit, z, amounts, moved)))
    forward, backward = (_walk(networks[sense]) for sense in (1, -1))
    first = forward.step(np.asarray(latents[:1000], np.float32)).mean(axis=0)
    return Steered(unit(first), float(np.linalg.norm(first)), losses, forward, backward)


def _batches(latents: np.ndarray, size: int) -> list[Tensor]:
    parts = batches(latents, size)
    if len(parts) < 2:
        raise LatentsError(f"steerable: {len(latents)} latents are fewer than two batches of {size}")
    return parts


def _amounts(random: np.random.Generator, edit: Edit, count: int) -> Tensor:
    return torch.from_numpy(random.uniform(-edit.most, edit.most, size=count).astype(np.float32))


def _loss(generate: Generate, edit: Edit, latents: Tensor, amounts: Tensor, moved: Tensor) -> Tensor:
    with torch.no_grad():
        target, mask = edit.apply(generate(latents), amounts)
    squares = (generate(moved) - target) ** 2
    return (squares * mask).sum() / (mask.sum() * squares.shape[1]).clamp_min(1)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return _finite(float(loss.detach()))


def _finite(value: float) -> float:
    if not np.isfinite(value):
        raise LatentsError(f"steerable: the loss is {value}; lower latents.directions.learning_rate")
    return value


def _network(size: int) -> nn.Sequential:
    hidden = _HIDDEN_OF_SIZE * size
    last = nn.Linear(hidden, size)
    nn.init.zeros_(last.weight)  # at first a step moves nothing
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), last)


def _walk(network: nn.Sequential) -> Walk:
    first, last = network[0], network[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    arrays = [tensor.detach().numpy().copy() for tensor in (first.weight, first.bias, last.weight, last.bias)]
    return Walk(*arrays)
