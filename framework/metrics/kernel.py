"""The kernel distance between two sets of features, KID (Bińkowski et al. 2018, "Demystifying MMD GANs")."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class KernelDistance:
    """The mean over subsets, and their standard deviation (by n)."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: list[float]) -> "KernelDistance":
        """From the distance of each subset."""
        return cls(float(np.mean(values)), float(np.std(values)))


def kernel_distance(
    real: Any, fake: Any, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> KernelDistance:
    """KID: the mean of the unbiased squared maximum mean discrepancy over random subsets.

    Memory is that of one subset: features may lie in a file that is mapped into memory.

    Args:
        real: [n,d], finite.
        fake: [m,d], finite.
        subsets: How many.
        subset_size: Images of each side in each, drawn without replacement.
        seed: Of the draws, which are torch-fidelity's for the same seed and order of images.

    Raises:
        ValueError: A side is smaller than a subset, or the sides differ in their features.
    """
    drawn = subset_indices(len(real), len(fake), subsets=subsets, subset_size=subset_size, seed=seed)
    return KernelDistance.of([subset_distance(real[ours], fake[theirs]) for ours, theirs in drawn])


def subset_indices(
    real: int, fake: int, *, subsets: int, subset_size: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each subset the images of either side.

    Raises:
        ValueError: A side is smaller than a subset.
    """
    if min(real, fake) < subset_size:
        raise ValueError(f"subsets of {subset_size} images want as many on each side, not {real} and {fake}")
    random = np.random.RandomState(seed)
    for _ in range(subsets):
        ours = random.choice(real, subset_size, replace=False)
        yield ours, random.choice(fake, subset_size, replace=False)


def subset_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """The unbiased MMD² with the kernel (x·y/d + 1)³ of real [m,d] and fake [m,d], in float64.

    Raises:
        ValueError: The sides differ in their features.
    """
    if real.shape != fake.shape:
        raise ValueError(f"features {list(real.shape)} and {list(fake.shape)} cannot be compared")
    x, y = (torch.tensor(np.ascontiguousarray(side), dtype=torch.float64) for side in (real, fake))
    count, size = x.shape

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a @ b.T / size + 1) ** 3

    within = [_off_diagonal_sum(kernel(side, side)) for side in (x, y)]
    return float(sum(within) / (count * (count - 1)) - 2 * kernel(x, y).sum() / count**2)


def _off_diagonal_sum(values: torch.Tensor) -> torch.Tensor:
    return (values.sum(dim=1) - values.diagonal()).sum()
