"""How two sets of features cover each other: precision and recall, density and coverage, and who is nearest.

Kynkäänniemi et al. 2019 ("Improved precision and recall") say how a set is surrounded by balls that reach to each
point's k-th neighbour; Naeem et al. 2020 ("Reliable fidelity and diversity metrics") count them. Distances are float64
and strictly smaller counts as within, as in the authors' package prdc, whose numbers these equal.

Everything goes by blocks of rows: memory is a block times a side, and who computes which block changes nothing.
"""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

BLOCK_ROWS = 256
"""A product's rounding may depend on its number of rows: always so many, the last ones filled up."""
_CHUNK_COLUMNS = 4096


def radii(points: Any, *, k: int, rows: tuple[int, int] | None = None) -> np.ndarray:
    """The distance of each point to its k-th neighbour, itself left out: [n] float64. See `radii_of`."""
    return radii_of(points, ks=(k,), rows=rows)[:, 0]


def radii_of(points: Any, *, ks: Sequence[int], rows: tuple[int, int] | None = None) -> np.ndarray:
    """The distances of each point to its k-th neighbours, itself left out, for several k in one pass.

    Args:
        points: [n,d].
        ks: Which neighbours.
        rows: Start, a multiple of BLOCK_ROWS, and stop, where not all are wanted.

    Returns:
        [n, len(ks)] float64, or those of the rows.

    Raises:
        ValueError: There are as many points as the largest k or fewer, or something is not finite.
    """
    most = max(ks)
    if len(points) <= most:
        raise ValueError(f"{most} neighbours of each want more than {most} points, not {len(points)}")
    start, stop = rows or (0, len(points))
    found = np.empty((stop - start, len(ks)))
    for at in range(start, stop, BLOCK_ROWS):
        distances = pairwise_distances(np.asarray(points[at : min(at + BLOCK_ROWS, stop)]), points)
        own = torch.arange(len(distances))
        distances[own, own + at] = torch.inf
        least = distances.topk(most, dim=1, largest=False).values  # five times as fast as kthvalue on 60,000 points
        found[at - start : at - start + len(own)] = least[:, [k - 1 for k in ks]].numpy()
    return found


def nearest(queries: Any, points: Any) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of points [n,d] to each of queries [m,d].

    Returns:
        Distances [m] float64 and numbers [m] int64; of equally near points the first.
    """
    distances, numbers = np.empty(len(queries)), np.empty(len(queries), np.int64)
    for at in range(0, len(queries), BLOCK_ROWS):
        block = pairwise_distances(np.asarray(queries[at : at + BLOCK_ROWS]), points).numpy()
        distances[at : at + len(block)], numbers[at : at + len(block)] = block.min(axis=1), block.argmin(axis=1)
    return distances, numbers


@dataclass(frozen=True, eq=False)
class NeighbourCounts:
    """What real images of some rows and all generated ones say of each other; parts merge with `+` in any order.

    Attributes:
        real: How many real images.
        recalled: Of them, how many lie in a ball of a generated one.
        covered: Of them, how many have a generated one in their own ball (of density's k).
        precise: [m] int64, in how many real balls (of precision's k) each generated one lies.
        dense: [m] int64, in how many of density's k.
        nearest: [m] float64, each generated one's distance to the nearest real one.
        nearest_index: [m] int64, which that is; of equally near ones the first.
    """

    real: int
    recalled: int
    covered: int
    precise: np.ndarray
    dense: np.ndarray
    nearest: np.ndarray
    nearest_index: np.ndarray

    def __add__(self, other: "NeighbourCounts") -> "NeighbourCounts":
        nearer = (other.nearest < self.nearest) | (
            (other.nearest == self.nearest) & (other.nearest_index < self.nearest_index)
        )
        return NeighbourCounts(
            self.real + other.real,
            self.recalled + other.recalled,
            self.covered + other.covered,
            self.precise + other.precise,
            self.dense + other.dense,
            np.where(nearer, other.nearest, self.nearest),
            np.where(nearer, other.nearest_index, self.nearest_index),
        )

    def scores(self, *, density_k: int) -> dict[str, float]:
        """The four numbers: precision, recall, density, coverage."""
        return {
            "precision": float((self.precise > 0).mean()),
            "recall": self.recalled / self.real,
            "density": float(self.dense.mean() / density_k),
            "coverage": self.covered / self.real,
        }


@dataclass(frozen=True, eq=False)
class KnnRadii:
    """The balls that a cover is made of.

    Attributes:
        real_precision: [n] float64, real images' distances to their k-th neighbours, of precision's k.
        real_density: [n], of density's k.
        fake: [m], generated ones', of precision's k.
    """

    real_precision: np.ndarray
    real_density: np.ndarray
    fake: np.ndarray


def cover(real: Any, fake: Any, balls: KnnRadii, *, rows: tuple[int, int] | None = None) -> NeighbourCounts:
    """The cover of all rows, or of the real images start to stop.

    Args:
        real: [n,d].
        fake: [m,d].
        balls: Of all of them.
        rows: Start, a multiple of BLOCK_ROWS, and stop.
    """
    start, stop = rows or (0, len(real))
    parts = [_cover_block(real, fake, balls, at, min(at + BLOCK_ROWS, stop)) for at in range(start, stop, BLOCK_ROWS)]
    return functools.reduce(operator.add, parts)


def manifold_scores(real: Any, fake: Any, *, precision_k: int = 3, density_k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage of fake [m,d] for real [n,d], in this process.

    Raises:
        ValueError: A side has too few points for its neighbours, or something is not finite.
    """
    of_real = radii_of(real, ks=(precision_k, density_k))
    balls = KnnRadii(of_real[:, 0], of_real[:, 1], radii(fake, k=precision_k))
    return cover(real, fake, balls).scores(density_k=density_k)


def pairwise_distances(block: np.ndarray, points: Any) -> torch.Tensor:
    """Euclidean distances [b,n] float64 of a block's rows to all points, whose features may lie in a mapped file.

    Raises:
        ValueError: Something is not finite, or the features differ.
    """
    if block.shape[1] != np.shape(points)[1]:
        raise ValueError(f"features of {block.shape[1]} and of {np.shape(points)[1]} cannot be compared")
    filled = np.zeros((max(BLOCK_ROWS, len(block)), block.shape[1]))
    filled[: len(block)] = block
    x = torch.from_numpy(filled)
    squares = torch.empty(len(x), len(points), dtype=torch.float64)
    for start in range(0, len(points), _CHUNK_COLUMNS):
        y = torch.tensor(np.asarray(points[start : start + _CHUNK_COLUMNS]), dtype=torch.float64)
        product = x @ y.T
        squares[:, start : start + len(y)] = product.mul_(-2).add_((y * y).sum(dim=1))  # in place: no third chunk
    squares += (x * x).sum(dim=1, keepdim=True)
    distances = squares[: len(block)].clamp_min_(0).sqrt_()
    if not bool(distances.isfinite().all()):
        raise ValueError("features that are not finite have no distances")
    return distances


def cover_bytes(real: int, fake: int, size: int) -> int:
    """What one process holds at most for a cover of so many images: a block of distances thrice, a chunk of features.

    >>> cover_bytes(50_000, 50_000, 2048) // 2**20
    424
    """
    return 8 * (3 * BLOCK_ROWS * max(real, fake) + 2 * _CHUNK_COLUMNS * size + BLOCK_ROWS * size)


def _cover_block(real: Any, fake: Any, balls: KnnRadii, start: int, stop: int) -> NeighbourCounts:
    distances = pairwise_distances(np.asarray(real[start:stop]), fake).numpy()
    wide = distances < balls.real_density[start:stop, None]
    nearest = distances.min(axis=0)
    return NeighbourCounts(
        stop - start,
        int((distances < balls.fake[None, :]).any(axis=1).sum()),
        int((distances.min(axis=1) < balls.real_density[start:stop]).sum()),
        (distances < balls.real_precision[start:stop, None]).sum(axis=0),
        wide.sum(axis=0),
        nearest,
        start + distances.argmin(axis=0),
    )


def blocks(count: int, *, rows: int = 4 * BLOCK_ROWS) -> Sequence[tuple[int, int]]:
    """(start, stop) of shares of a side, whole blocks each.

    >>> blocks(2500)
    [(0, 1024), (1024, 2048), (2048, 2500)]
    """
    return [(start, min(start + rows, count)) for start in range(0, count, rows)]
