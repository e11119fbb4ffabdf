"""The parts of metrics, which are functions of features in files or in memory, and the pool that runs them."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.evaluation import FeatureSpec, SourceSpec
from framework.evaluation.values.moments import rows_moments
from framework.evaluation.values.pool import DeviceOfTask, Files, Pool
from framework.metrics import (
    KnnRadii,
    Moments,
    NeighbourCounts,
    cover,
    inception_score,
    nearest,
    normalised_products,
    radii_of,
    subset_distance,
    subset_indices,
)

Features = str | np.ndarray
"""Features [n,d] float32: the path of an .npy, which is memory-mapped, or the array itself."""


@dataclass(frozen=True)
class PartsPool:
    """A pool that computes the parts of metrics.

    Args:
        pool: Computes all parts except moments.
        name: Shown in Ray's dashboard.
        node_files: The files of features, for nodes that lack them.
        gpus: The pool that computed the features on GPUs; None for CPUs. It also sums their moments, so these are
            bit-identical whether the features were stored in a file in between or not.
        device: The type of these GPUs.
    """

    pool: Pool
    name: str
    node_files: Files | None = None
    gpus: Pool | None = None
    device: str | None = None

    def map(self, function: Callable[..., Any], arguments: Sequence[tuple], what: str) -> Iterator[Any]:
        """The results in order."""
        return self.pool.map(function, arguments, name=f"{self.name}: {what}", node_files=self.node_files)

    def map_moments(self, arguments: Sequence[tuple]) -> Iterator[Moments]:
        """The results of `moments_part` in order."""
        pool = self.gpus or self.pool
        work = [(*each, pool.device_of_task) for each in arguments]
        return pool.map(moments_part, work, name=f"{self.name}: moments", node_files=self.node_files)


def opened(features: Features) -> np.ndarray:
    """The features [n,d] as an array; memory-mapped if they are in a file."""
    return np.load(features, mmap_mode="r") if isinstance(features, str) else features


def moments_part(features: Features, start: int, stop: int, device_of_task: DeviceOfTask) -> Moments:
    """Moments of the features of images start to stop."""
    return rows_moments(opened(features)[start:stop], device_of_task())


def subsets_part(
    real: Features, fake: Features, count: int, settings: dict[str, Any], first: int, last: int
) -> list[float]:
    """Squared kernel distances of the subsets first to last, without last."""
    x, y = opened(real), opened(fake)[:count]
    size, seed = settings["subset_size"], settings["subset_seed"]
    drawn = subset_indices(len(x), len(y), subsets=last, subset_size=size, seed=seed)
    return [subset_distance(x[ours], y[theirs]) for ours, theirs in itertools.islice(drawn, first, last)]


def splits_part(logits: Features, count: int, splits: int) -> tuple[float, float]:
    """Inception Score of the first `count` samples and its standard deviation over the splits."""
    return inception_score(opened(logits)[:count], splits=splits)


def products_part(features: Features, start: int, stop: int) -> np.ndarray:
    """`normalised_products` of the images start to stop."""
    return normalised_products(opened(features)[start:stop])


def radii_part(features: Features, count: int, ks: tuple[int, ...], start: int, stop: int) -> np.ndarray:
    """Distances to the k-th neighbours of rows start to stop among the first `count` rows."""
    return radii_of(opened(features)[:count], ks=ks, rows=(start, stop))


def cover_part(real: Features, fake: Features, count: int, balls: KnnRadii, start: int, stop: int) -> NeighbourCounts:
    """`cover` of the real rows start to stop."""
    return cover(opened(real), opened(fake)[:count], balls, rows=(start, stop))


def nearest_part(held_out: Features, real: Features, start: int, stop: int) -> np.ndarray:
    """Distances [stop - start] of held-out images to the nearest real one."""
    return nearest(opened(held_out)[start:stop], opened(real))[0]


def torchmetrics_part(
    metrics: list[str], features: FeatureSpec, real: SourceSpec, fake: SourceSpec
) -> dict[str, tuple[float, float | None]]:
    """Values and standard deviations by torchmetrics, from the images themselves."""
    from framework.evaluation.values.torchmetrics_check import torchmetrics_values

    return torchmetrics_values(metrics, features, real=real, fake=fake)
