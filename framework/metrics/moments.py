"""Mean and covariance of features in float64, computed in parts that are merged with `+`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moments:
    """The first two moments of `count` feature vectors.

    Parts merge with `+` by the method of Chan, Golub & LeVeque (1979), which avoids the cancellation of subtracting the
    square of the sum from the sum of squares.

    Attributes:
        mean: [d] float64.
        scatter: [d,d] float64, the sum of (x − mean)(x − mean)ᵀ.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def zero(cls, size: int) -> Self:
        """The moments of no vectors, the neutral element of `+`."""
        return cls(0, np.zeros(size), np.zeros((size, size)))

    @classmethod
    def of(cls, features: np.ndarray | Tensor) -> Self:
        """The moments of features [n,d] of any real type, computed in float64 on their device."""
        return cls.summed([features])

    @classmethod
    def summed(cls, parts: Iterable[np.ndarray | Tensor]) -> Self:
        """The moments of features in at least one part [n,d]: those of each part, merged in order.

        They are computed on the device of the features, and copied to the CPU once.
        """
        found = iter(parts)
        whole = _Sums.of(next(found))
        for part in found:
            whole = whole.with_more(_Sums.of(part))
        return cls(whole.count, *whole.on_host())

    @property
    def size(self) -> int:
        """The number of features, d."""
        return len(self.mean)

    @property
    def covariance(self) -> np.ndarray:
        """[d,d] float64, the scatter divided by n − 1.

        Raises:
            ValueError: There are fewer than 2 vectors.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 vectors, not {self.count}")
        return self.scatter / (self.count - 1)

    def __add__(self, other: "Moments") -> "Moments":
        if self.size != other.size:
            raise ValueError(f"moments of {self.size} and of {other.size} features cannot be merged")
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        shift = other.mean - self.mean
        mean = self.mean + shift * (other.count / count)
        between = np.outer(shift, shift) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Moments on the device of the features: mean [d] and scatter [d,d], float64."""

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: np.ndarray | Tensor) -> Self:
        if features.ndim != 2:
            raise ValueError(f"features: must be [n,d], not {list(features.shape)}")
        # Computed by torch, so that torch.set_num_threads applies as it does to the features, and in memory aligned by
        # torch, because the order of a sum may depend on the alignment.
        is_tensor = isinstance(features, Tensor)
        values = features.to(torch.float64, copy=True) if is_tensor else torch.tensor(features, dtype=torch.float64)
        size = values.shape[1]
        if not len(values):
            return cls(0, values.new_zeros(size), values.new_zeros(size, size))
        mean = values.mean(dim=0)
        values -= mean
        return cls(len(values), mean, values.T @ values)

    def with_more(self, other: Self) -> Self:
        """Merges like `Moments.__add__`, with operations in the same order; changes `self`."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        shift = other.mean - self.mean
        mean = self.mean + shift * (other.count / count)
        between = torch.outer(shift, shift).mul_(self.count * other.count / count)
        return type(self)(count, mean, self.scatter.add_(other.scatter).add_(between))

    def on_host(self) -> tuple[np.ndarray, np.ndarray]:
        if self.mean.device.type == "cpu":
            return self.mean.numpy(), self.scatter.numpy()
        whole = torch.cat([self.mean[None], self.scatter]).cpu().numpy()
        return whole[0], whole[1:]
