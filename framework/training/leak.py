"""Whether augmentations leak into samples.

A small classifier learns to tell augmented from plain training images, and is asked of samples. What it calls augmented
among samples, less what it calls so among plain images that it never saw, is the leak.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor, nn

from framework.data import PackedStore
from framework.images import from_pixels, to_pixels
from framework.models import derive_seed
from framework.training.steps.augment import ORDER, Augmentation
from framework.training.steps.draws import augmentation_numbers

TRAINING_IMAGES = 12_800
"""Images that the classifier is trained on, repeats counted; half of them are augmented."""
SAMPLES = 1_000
SEED = 0
WARNING_SHARE = 0.05
_BATCH = 128
_MOST_HELD_OUT = 2_000
_LEAST_HELD_OUT = 16
_WIDTH = 16
_HIGHEST_RATE = 3e-3
_PROBABILITY = 0.5


def traceable(operations: Sequence[str]) -> list[str]:
    """The operations that images can show, in order; a mirrored image is as good as another.

    >>> traceable(["noise", "flip", "color"])
    ['color', 'noise']
    """
    return [name for name in ORDER if name in operations and name != "flip"]


@dataclasses.dataclass(frozen=True)
class Leak:
    """The result of a check.

    Attributes:
        value: The share of samples that are called augmented, less that of plain images.
        sd: The standard error of the value, by the numbers of samples and of plain images.
        detail: The shares of samples, of plain and of augmented images (`samples`, `plain`, `augmented`).
    """

    value: float
    sd: float
    detail: dict[str, Any]


def plain_images(images: PackedStore) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the plain images that the classifier learns from, and of others that it is judged by.

    The latter are held-out images; if there are too few of them, every fifth training image.
    """
    training, held_out = images.training_indices, images.held_out_indices
    if len(held_out) >= _LEAST_HELD_OUT:
        return training, held_out[:_MOST_HELD_OUT]
    judged = np.arange(len(training)) % 5 == 0
    return training[~judged], training[judged][:_MOST_HELD_OUT]


def leak_classifier(images: PackedStore, operations: Sequence[str]) -> nn.Module:
    """Trains the classifier, on the CPU; a positive logit says augmented.

    Args:
        operations: Of `traceable`. An augmented image has one of them for sure, and each other with probability 1/2.
    """
    chosen, _ = plain_images(images)
    rng, steps = np.random.default_rng((SEED, 1)), TRAINING_IMAGES // _BATCH
    targets = torch.cat([torch.zeros(_BATCH // 2), torch.ones(_BATCH // 2)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(SEED, "leak"))
        network = _network(channels=images.channels, resolution=images.resolution)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _HIGHEST_RATE, total_steps=steps, pct_start=0.2)
    for step in range(steps):
        plain, others = np.split(images.images[rng.choice(chosen, _BATCH)], 2)
        pixels = np.concatenate([plain, augmented(others, operations, step=step)])
        mirrored = rng.random(_BATCH) < 0.5
        pixels[mirrored] = pixels[mirrored, :, ::-1]
        loss = F.binary_cross_entropy_with_logits(_logits(network, pixels), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def augmented(pixels: np.ndarray, operations: Sequence[str], *, step: int) -> np.ndarray:
    """Images [n, h, w, c] uint8 with one of the operations each for sure, and each other with probability 1/2."""
    augment = Augmentation(frozenset(operations), gated=True)
    numbers = augmentation_numbers(augment, pixels.shape, seed=SEED, purpose="leak", step=step)
    sure = [operations[(step + index) % len(operations)] for index in range(len(pixels))]
    return to_pixels(augment(from_pixels(pixels), augment.with_sure(numbers, sure), _PROBABILITY))


def measured_leak(network: nn.Module, images: PackedStore, operations: Sequence[str], samples: np.ndarray) -> Leak:
    """The leak of these operations into samples [n, h, w, c] uint8."""
    plain = images.images[np.sort(plain_images(images)[1])]
    shares = {
        "samples": _share(network, samples),
        "plain": _share(network, plain),
        "augmented": _share(network, augmented(plain, operations, step=TRAINING_IMAGES)),
    }
    variance = sum(shares[name] * (1 - shares[name]) / len(of) for name, of in (("samples", samples), ("plain", plain)))
    return Leak(shares["samples"] - shares["plain"], math.sqrt(variance), shares)


@torch.no_grad()
def _share(network: nn.Module, pixels: np.ndarray) -> float:
    parts = range(0, len(pixels), _BATCH)
    return sum(int((_logits(network, pixels[at : at + _BATCH]) > 0).sum()) for at in parts) / len(pixels)


def _logits(network: nn.Module, pixels: np.ndarray) -> Tensor:
    return network(from_pixels(pixels))[:, 0]


def _network(*, channels: int, resolution: int) -> nn.Module:
    """Four convolutions. The first one brings images to about 16 pixels, so that those of all sizes cost the same."""
    stride = max(1, resolution // 16)
    layers: list[nn.Module] = [nn.Conv2d(channels, _WIDTH, 2 * stride + 1, stride, stride), nn.ReLU()]
    for width in (_WIDTH, 2 * _WIDTH, 4 * _WIDTH):
        layers += [nn.Conv2d(width, 2 * width, 3, 2, 1), nn.GroupNorm(4, 2 * width), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * 8 * _WIDTH, 1))
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
