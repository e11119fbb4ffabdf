"""The kernel distance between two sets of features, KID (Bińkowski et al. 2018, "Demystifying MMD GANs")."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class KernelDistance:
    """The mean and the standard deviation (with n) of the distances of subsets."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: list[float]) -> "KernelDistance":
        """Computes both from the distances of the subsets."""
        return cls(float(np.mean(values)), float(np.std(values)))


def kernel_distance(
    real: Any, fake: Any, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> KernelDistance:
    """KID: the mean of the unbiased squared maximum mean discrepancy over random subsets.

    Only one subset is held in memory, so the features may be in a memory-mapped file.

    Args:
        real: [n,d], finite.
        fake: [m,d], finite.
        subset_size: Images of each side in a subset, drawn without replacement.
        seed: The seed of the draws, which equal torch-fidelity's for the same seed and order of images.

    Raises:
        ValueError: A side is smaller than a subset, or the numbers of features differ.
    """
    drawn = subset_indices(len(real), len(fake), subsets=subsets, subset_size=subset_size, seed=seed)
    return KernelDistance.of([subset_distance(real[ours], fake[theirs]) for ours, theirs in drawn])


def subset_indices(
    real: int, fake: int, *, subsets: int, subset_size: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields for each subset the indices of the real and of the generated images.

    Raises:
        ValueError: A side is smaller than a subset.
    """
    if min(real, fake) < subset_size:
        raise ValueError(f"subsets of {subset_size} images need that many on each side; there are {real} and {fake}")
    random = np.random.RandomState(seed)
    for _ in range(subsets):
        ours = random.choice(real, subset_size, replace=False)
        yield ours, random.choice(fake, subset_size, replace=False)


def subset_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """The unbiased MMD² of real [m,d] and fake [m,d] with the kernel (x·y/d + 1)³, in float64.

    Raises:
        ValueError: The shapes differ.
    """
    if real.shape != fake.shape:
        raise ValueError(f"features {list(real.shape)} and {list(fake.shape)} cannot be compared")
    x, y = (torch.tensor(np.ascontiguousarray(side), dtype=torch.float64) for side in (real, fake))
    count, size = x.shape

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a @ b.T).div_(size).add_(1).pow_(3)  # in place: one matrix of a subset's size at a time, not three

    within = [_off_diagonal_sum(kernel(side, side)) for side in (x, y)]
    return float(sum(within) / (count * (count - 1)) - 2 * kernel(x, y).sum() / count**2)


def _off_diagonal_sum(values: torch.Tensor) -> torch.Tensor:
    return (values.sum(dim=1) - values.diagonal()).sum()
