"""The parts of a pass's values, each a function of features in files or at hand, and what shares them out."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.evaluation import FeatureSpec, SourceSpec
from framework.evaluation.values.moments import rows_moments
from framework.evaluation.values.pool import Crew, DeviceOfTask, Needs
from framework.metrics import (
    KnnRadii,
    Moments,
    NeighbourCounts,
    cover,
    inception_score,
    nearest,
    radii_of,
    subset_distance,
    subset_indices,
)

Features = str | np.ndarray
"""[n,d] float32: the path of an .npy, mapped where it is read, or the array itself."""


@dataclass(frozen=True)
class Sharer:
    """Hands parts of all families, whatever their function, to a crew.

    Args:
        crew: Who computes.
        name: Of the whole, shown by Ray's dashboard.
        needs: The files of features, for nodes that lack them.
        gpus: Who has computed the features on GPUs and makes their moments there too, so that these are the same bits
            whether features were kept in between or not; None for CPUs.
        device: The kind of these GPUs.
    """

    crew: Crew
    name: str
    needs: Needs | None = None
    gpus: Crew | None = None
    device: str | None = None

    def map(self, function: Callable[..., Any], arguments: Sequence[tuple], what: str) -> Iterator[Any]:
        """The results in order."""
        return self._map(self.crew, function, arguments, what)

    def map_moments(self, arguments: Sequence[tuple]) -> Iterator[Moments]:
        """`moments_part` of each, in order."""
        crew = self.gpus or self.crew
        return self._map(crew, moments_part, [(*each, crew.device_of_task) for each in arguments], "moments")

    def _map(self, crew: Crew, function: Callable[..., Any], arguments: Sequence[tuple], what: str) -> Iterator[Any]:
        work = [(self.needs, function, *each) for each in arguments]
        return crew.map(do_part, work, name=f"{self.name}: {what}")


def opened(features: Features) -> np.ndarray:
    """[n,d], mapped where it lies in a file."""
    return np.load(features, mmap_mode="r") if isinstance(features, str) else features


def do_part(needs: Needs | None, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a crew is handed: any of the others, once the files are here."""
    if needs is not None:
        needs.bring()
    return function(*arguments)


def moments_part(features: Features, start: int, stop: int, device_of_task: DeviceOfTask) -> Moments:
    """Of the images start to stop."""
    return rows_moments(opened(features)[start:stop], device_of_task())


def subsets_part(
    real: Features, fake: Features, count: int, settings: dict[str, Any], first: int, last: int
) -> list[float]:
    """Squared distances of the subsets first to last."""
    x, y = opened(real), opened(fake)[:count]
    size, seed = settings["subset_size"], settings["subset_seed"]
    drawn = subset_indices(len(x), len(y), subsets=last, subset_size=size, seed=seed)
    return [subset_distance(x[ours], y[theirs]) for ours, theirs in itertools.islice(drawn, first, last)]


def splits_part(logits: Features, count: int, splits: int) -> tuple[float, float]:
    """Inception Score and its deviation over the splits, of the first `count` samples."""
    return inception_score(opened(logits)[:count], splits=splits)


def radii_part(features: Features, count: int, ks: tuple[int, ...], start: int, stop: int) -> np.ndarray:
    """Of the rows start to stop of the first `count` points."""
    return radii_of(opened(features)[:count], ks=ks, rows=(start, stop))


def cover_part(real: Features, fake: Features, count: int, balls: KnnRadii, start: int, stop: int) -> NeighbourCounts:
    """Of the real rows start to stop."""
    return cover(opened(real), opened(fake)[:count], balls, rows=(start, stop))


def nearest_part(held_out: Features, real: Features, start: int, stop: int) -> np.ndarray:
    """Distances [stop - start] of held-out images to the nearest real one."""
    return nearest(opened(held_out)[start:stop], opened(real))[0]


def second_opinion_part(
    families: list[str], features: FeatureSpec, real: SourceSpec, fake: SourceSpec
) -> dict[str, tuple[float, float | None]]:
    """Values and deviations by torchmetrics, from the images themselves."""
    from framework.evaluation.values.torchmetrics_check import second_opinion

    return second_opinion(families, features, real=real, fake=fake)
