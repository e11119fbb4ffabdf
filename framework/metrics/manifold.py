"""Precision, recall, density and coverage of two sets of features, and nearest neighbours between them.

Precision and recall follow Kynkäänniemi et al. 2019 ("Improved precision and recall"): each point has a ball that
reaches to its k-th neighbour. Density and coverage follow Naeem et al. 2020 ("Reliable fidelity and diversity
metrics"). Distances are float64, and a point is inside a ball if its distance is strictly smaller than the radius, so
that the values equal those of the authors' package prdc.

Everything is computed in blocks of rows: the memory is that of a block times one side, and the result does not depend
on how the blocks are distributed over processes.
"""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

BLOCK_ROWS = 256
"""Rows per matrix product. Its rounding may depend on the number of rows, so the last block is padded."""
_CHUNK_COLUMNS = 4096


def radii(points: Any, *, k: int, rows: tuple[int, int] | None = None) -> np.ndarray:
    """The distance [n] float64 of each point to its k-th neighbour; see `radii_of`."""
    return radii_of(points, ks=(k,), rows=rows)[:, 0]


def radii_of(points: Any, *, ks: Sequence[int], rows: tuple[int, int] | None = None) -> np.ndarray:
    """The distances of each point to its k-th neighbours, excluding the point, for several k in one pass.

    Args:
        points: [n,d].
        ks: The values of k.
        rows: Start and stop of a part of the points; start is a multiple of `BLOCK_ROWS`. None for all points.

    Returns:
        [n, len(ks)] float64, or those of the rows.

    Raises:
        ValueError: There are not more points than the largest k, or a feature is not finite.
    """
    most = max(ks)
    if len(points) <= most:
        raise ValueError(f"{most} neighbours of each point need more than {most} points; there are {len(points)}")
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
    """The point among [n,d] that is nearest to each query [m,d].

    Returns:
        Distances [m] float64 and indices [m] int64; among equally near points, the first.
    """
    distances, numbers = np.empty(len(queries)), np.empty(len(queries), np.int64)
    for at in range(0, len(queries), BLOCK_ROWS):
        block = pairwise_distances(np.asarray(queries[at : at + BLOCK_ROWS]), points).numpy()
        distances[at : at + len(block)], numbers[at : at + len(block)] = block.min(axis=1), block.argmin(axis=1)
    return distances, numbers


@dataclass(frozen=True, eq=False)
class NeighbourCounts:
    """Counts of neighbours between some real images and all generated ones; parts merge with `+` in any order.

    Attributes:
        real: Number of real images.
        recalled: Number of real images that lie in a ball of a generated image.
        covered: Number of real images with a generated image in their ball (density's k).
        precise: [m] int64, number of real balls (precision's k) that contain each generated image.
        dense: [m] int64, number of real balls (density's k) that contain each generated image.
        nearest: [m] float64, distance of each generated image to the nearest real image.
        nearest_index: [m] int64, index of that real image; among equally near ones, the first.
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
        """Precision, recall, density and coverage."""
        return {
            "precision": float((self.precise > 0).mean()),
            "recall": self.recalled / self.real,
            "density": float(self.dense.mean() / density_k),
            "coverage": self.covered / self.real,
        }


@dataclass(frozen=True, eq=False)
class KnnRadii:
    """Radii of the balls around images: distances to their k-th neighbours.

    Attributes:
        real_precision: [n] float64, radii of real images for precision's k.
        real_density: [n] float64, radii of real images for density's k.
        fake: [m] float64, radii of generated images for precision's k.
    """

    real_precision: np.ndarray
    real_density: np.ndarray
    fake: np.ndarray


def cover(real: Any, fake: Any, balls: KnnRadii, *, rows: tuple[int, int] | None = None) -> NeighbourCounts:
    """Counts neighbours between real images [n,d], or some rows of them, and generated images [m,d].

    Args:
        balls: Radii of all images.
        rows: Start and stop of a part of the real images; start is a multiple of `BLOCK_ROWS`. None for all.
    """
    start, stop = rows or (0, len(real))
    parts = [_cover_block(real, fake, balls, at, min(at + BLOCK_ROWS, stop)) for at in range(start, stop, BLOCK_ROWS)]
    return functools.reduce(operator.add, parts)


def manifold_scores(real: Any, fake: Any, *, precision_k: int = 3, density_k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage of fake [m,d] for real [n,d], computed in this process.

    Raises:
        ValueError: A side has too few points for its neighbours, or a feature is not finite.
    """
    of_real = radii_of(real, ks=(precision_k, density_k))
    balls = KnnRadii(of_real[:, 0], of_real[:, 1], radii(fake, k=precision_k))
    return cover(real, fake, balls).scores(density_k=density_k)


def pairwise_distances(block: np.ndarray, points: Any) -> torch.Tensor:
    """Euclidean distances [b,n] float64 of a block's rows to all points, which may be in a memory-mapped file.

    Raises:
        ValueError: A feature is not finite, or the numbers of features differ.
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
    """Maximum memory of `cover` in one process: three blocks of distances, and chunks of features.

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
    """(start, stop) of parts of a side, each of complete blocks except the last.

    >>> blocks(2500)
    [(0, 1024), (1024, 2048), (2048, 2500)]
    """
    return [(start, min(start + rows, count)) for start in range(0, count, rows)]
