"""Computes the values of metrics from the features of both sides, with a pool.

How the work is cut depends only on the number of images, each part runs on one thread, and parts are merged in their
order. So the result is bit-identical for any number of workers.

A new metric is one record in `framework/config/metrics.py` and one function in `_COMPUTED_BY` here; see
docs/architecture.md.
"""

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from framework.config.metrics import METRICS, Settings
from framework.errors import EvaluationError
from framework.evaluation import FeatureSpec, Protocol, Request, SourceSpec, make_score
from framework.evaluation.sources.shards import spans
from framework.evaluation.values.parts import (
    Features,
    PartsPool,
    cover_part,
    nearest_part,
    opened,
    products_part,
    radii_part,
    splits_part,
    subsets_part,
    torchmetrics_part,
)
from framework.metrics import (
    KernelDistance,
    KnnRadii,
    Memorisation,
    Moments,
    NeighbourCounts,
    authenticity,
    blocks,
    extrapolate,
    frechet_distance,
    memorisation,
    relative_diversity,
    vendi_of_products,
)
from framework.models.arithmetic.blocks import shards

_SUBSETS_A_PART = 10
_WITH_BALLS = ("precision", "recall", "density", "coverage")
NEIGHBOURS = (*_WITH_BALLS, "memorisation", "authenticity")
CLOSEST = 16
_T = TypeVar("_T")


@dataclass(frozen=True)
class Value:
    """The value of a metric.

    Attributes:
        sd: Standard deviation over the metric's own subsets or splits, if it has any.
        detail: Further numbers behind the value.
    """

    value: float
    sd: float | None = None
    detail: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features and moments of the images of a pass; each is None if no metric of the pass needs it.

    Attributes:
        real: Moments of the real images.
        fake: Moments of all samples; None also if they are computed from the samples' features.
        real_features: Features of the real images.
        fake_features: Features of the samples.
        held_out_features: Features of real images that training never sees.
        logits: Logits of the samples.
    """

    real: Moments | None
    fake: Moments | None = None
    real_features: Features | None = None
    fake_features: Features | None = None
    held_out_features: Features | None = None
    logits: Features | None = None

    def files(self, *, of_fake: bool = False) -> list[Path]:
        """The files of features; with `of_fake` only those of the samples."""
        of_real = () if of_fake else (self.real_features, self.held_out_features)
        return [Path(place) for place in (*of_real, self.fake_features, self.logits) if isinstance(place, str)]


def measure(requests: Sequence[Request], sides: FeatureSet, pool: PartsPool) -> dict[Request, Value]:
    """The value of each request.

    Args:
        requests: The requests of one pass.
        sides: The features and moments of that pass.

    Raises:
        EvaluationError: A metric cannot be computed from these features.
    """
    try:
        return {
            request: value
            for count in sorted({request.samples for request in requests})
            for request, value in _of_count(count, requests, sides, pool)
        }
    except ValueError as fault:
        names = ", ".join(dict.fromkeys(request.name for request in requests))
        raise EvaluationError(f"{names}: {fault}") from None


def by_torchmetrics(
    requests: Sequence[Request], features: FeatureSpec, real: SourceSpec, fake: SourceSpec, pool: PartsPool
) -> dict[Request, Value]:
    """The values of requests whose engine is torchmetrics, each metric in a process of the pool."""
    fakes = [dataclasses.replace(fake, side=fake.side.model_copy(update={"count": each.samples})) for each in requests]
    work = [([request.metric], features, real, source) for request, source in zip(requests, fakes, strict=True)]
    values = pool.map(torchmetrics_part, work, "torchmetrics")
    return {request: Value(*value[request.metric]) for request, value in zip(requests, values, strict=True)}


def combined(protocol: Protocol, values: Sequence[Value]) -> dict[str, Any]:
    """One score from the values of all latent seeds: their mean and standard deviation (divisor n − 1)."""
    first = values[0]
    if len(values) == 1:
        return make_score(protocol.name, first.value, protocol, sd=first.sd, detail=first.detail)
    numbers = [value.value for value in values]
    mean = math.fsum(numbers) / len(numbers)
    sd = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
    detail = {**(first.detail or {}), "values": numbers}
    return make_score(protocol.name, mean, protocol, sd=sd, detail=detail)


@dataclass(frozen=True, eq=False)
class _Asked:
    """The metrics of a pass that use the same number of samples.

    Attributes:
        sides: Features and moments of the pass.
    """

    metrics: frozenset[str]
    count: int
    sides: FeatureSet
    pool: PartsPool

    def settings(self, metric: str) -> Settings:
        """The parameters of a metric."""
        real = self.sides.real
        return METRICS[metric].settings_for(real=None if real is None else real.count, fake=self.count)


def _of_count(
    count: int, requests: Sequence[Request], sides: FeatureSet, pool: PartsPool
) -> Iterator[tuple[Request, Value]]:
    by_metric = {request.metric: request for request in requests if request.samples == count}
    asked = _Asked(frozenset(by_metric), count, sides, pool)
    values: dict[str, Value] = {}
    for compute in dict.fromkeys(_COMPUTED_BY[metric] for metric in by_metric):
        values |= compute(asked)
    for metric, request in by_metric.items():
        yield request, values[metric]


def _by_moments(asked: _Asked) -> dict[str, Value]:
    """Fréchet distance, its extrapolation from smaller samples to infinity, and diversity."""
    sides, count, pool = asked.sides, asked.count, asked.pool
    extrapolated = "fid_infinity" in asked.metrics
    fit: Any = asked.settings("fid_infinity")["counts"] if extrapolated else []
    counts = sorted({*fit, count})
    if sides.fake is not None and counts == [count]:
        fakes = {count: sides.fake}
    else:
        fakes = prefix_moments(_required(sides.fake_features), counts, pool)
    values = {}
    if "diversity" in asked.metrics:
        values["diversity"] = Value(relative_diversity(_required(sides.real), fakes[count]))
    if "fid" in asked.metrics or extrapolated:
        work = [(sides.real, fakes[each]) for each in counts]
        distances = dict(zip(counts, pool.map(frechet_distance, work, "distance"), strict=True))
        values["fid"] = Value(distances[count])
        if extrapolated:
            line = extrapolate(fit, [distances[each] for each in fit])
            detail = {
                "slope": line.slope,
                "r_squared": line.r_squared,
                "counts": list(line.counts),
                "distances": list(line.distances),
            }
            values["fid_infinity"] = Value(line.value, detail=detail)
    return values


def prefix_moments(features: Features, counts: Sequence[int], pool: PartsPool) -> dict[int, Moments]:
    """Moments of the first n images for each n of `counts`, bit-identical to a pass over these images only."""
    whole = spans(max(counts), device=pool.device)
    cut = [(start, count) for count in counts for start, stop in whole if start < count < stop]
    work = sorted({*whole, *cut})
    parts = dict(zip(work, pool.map_moments([(features, *span) for span in work]), strict=True))
    moments, merged = {}, None
    for start, stop in whole:
        for count in counts:
            if start < count < stop:
                moments[count] = _plus(merged, parts[start, count])
        merged = _plus(merged, parts[start, stop])
        if stop in counts:
            moments[stop] = merged
    return moments


def _kid(asked: _Asked) -> dict[str, Value]:
    settings: Any = asked.settings("kid")
    real, fake = _required(asked.sides.real_features), _required(asked.sides.fake_features)
    subsets = settings["subsets"]
    starts = range(0, subsets, _SUBSETS_A_PART)
    work = [(real, fake, asked.count, settings, at, min(at + _SUBSETS_A_PART, subsets)) for at in starts]
    values = itertools.chain.from_iterable(asked.pool.map(subsets_part, work, "kid"))
    distance = KernelDistance.of(list(values))
    is_whole = settings["subset_size"] == asked.count == len(opened(real))  # then each subset contains all images
    return {"kid": Value(distance.mean, sd=None if is_whole else distance.sd)}


def _inception(asked: _Asked) -> dict[str, Value]:
    work = [(_required(asked.sides.logits), asked.count, asked.settings("inception_score")["splits"])]
    ((value, sd),) = asked.pool.map(splits_part, work, "inception_score")
    return {"inception_score": Value(value, sd=sd)}


def _by_neighbours(asked: _Asked) -> dict[str, Value]:
    """Precision, recall, density, coverage, memorisation and authenticity, from distances to nearest neighbours."""
    real, fake = _required(asked.sides.real_features), _required(asked.sides.fake_features)
    real_count = len(opened(real))
    wide_k = _k(asked, "density", "coverage")
    balls, real_nearest = _radii(asked, real, fake, wide_k=wide_k)
    work = [(real, fake, asked.count, balls, *rows) for rows in blocks(real_count)]
    whole: NeighbourCounts = functools.reduce(operator.add, asked.pool.map(cover_part, work, "cover"))
    values = {metric: Value(value) for metric, value in whole.scores(density_k=wide_k).items()}
    if "memorisation" in asked.metrics:
        values["memorisation"] = _memorisation(whole, real, _required(asked.sides.held_out_features), asked.pool)
    if "authenticity" in asked.metrics:
        values["authenticity"] = Value(authenticity(whole.nearest, whole.nearest_index, _required(real_nearest)))
    return values


def _radii(asked: _Asked, real: Features, fake: Features, *, wide_k: int) -> tuple[KnnRadii, np.ndarray | None]:
    """Distances to k-th neighbours for the metrics with balls, and for authenticity each real image's nearest one [n].

    Distances that no metric needs are not computed: their radii are 0, and balls without a radius hold nothing.
    """
    near_k, with_balls = _k(asked, "precision", "recall"), not asked.metrics.isdisjoint(_WITH_BALLS)
    ball_ks = (near_k, wide_k) if with_balls else ()
    nearest_ks = (1,) if "authenticity" in asked.metrics else ()
    real_radii = _neighbour_distances(asked, real, len(opened(real)), ball_ks + nearest_ks)
    real_nearest = real_radii[:, len(ball_ks)] if nearest_ks else None
    if not with_balls:
        none = np.zeros(len(real_radii))
        return KnnRadii(none, none, np.zeros(asked.count)), real_nearest
    fake_radii = _neighbour_distances(asked, fake, asked.count, (near_k,))
    return KnnRadii(real_radii[:, 0], real_radii[:, 1], fake_radii[:, 0]), real_nearest


def _neighbour_distances(asked: _Asked, features: Features, count: int, ks: tuple[int, ...]) -> np.ndarray:
    """Distances [count, len(ks)] of each image to its k-th neighbours."""
    if not ks:
        return np.zeros((count, 0))
    work = [(features, count, ks, *rows) for rows in blocks(count)]
    return np.concatenate(list(asked.pool.map(radii_part, work, "neighbours")))


def _k(asked: _Asked, *metrics: str) -> int:
    """The largest number of neighbours that these metrics use; 1 if none of them is requested."""
    ks: list[Any] = [asked.settings(metric)["k"] for metric in metrics if metric in asked.metrics]
    return max(ks, default=1)


def _memorisation(whole: NeighbourCounts, real: Features, held_out: Features, pool: PartsPool) -> Value:
    work = [(held_out, real, *rows) for rows in blocks(len(opened(held_out)))]
    distances = np.concatenate(list(pool.map(nearest_part, work, "held-out")))
    result: Memorisation = memorisation(whole.nearest, distances, closest=CLOSEST)
    detail = {
        "copy_share": result.copy_share,
        "copy_distance": result.copy_distance,
        "closest": [
            {"sample": int(k), "training": int(whole.nearest_index[k]), "distance": float(whole.nearest[k])}
            for k in result.closest
        ],
    }
    return Value(result.nearer_share, detail=detail)


def _vendi(asked: _Asked) -> dict[str, Value]:
    features = _required(asked.sides.fake_features)
    work = [(features, *shard) for shard in shards(asked.count)]
    products = functools.reduce(operator.add, asked.pool.map(products_part, work, "vendi"))
    (value,) = asked.pool.map(vendi_of_products, [(products, asked.count)], "vendi")
    return {"vendi_score": Value(value)}


_COMPUTED_BY: dict[str, Callable[[_Asked], dict[str, Value]]] = {
    "fid": _by_moments,
    "fid_infinity": _by_moments,
    "diversity": _by_moments,
    "kid": _kid,
    "inception_score": _inception,
    **dict.fromkeys(NEIGHBOURS, _by_neighbours),
    "vendi_score": _vendi,
}


def _required(value: _T | None) -> _T:
    assert value is not None, "a pass has the features and moments that its metrics need"
    return value


def _plus(merged: Moments | None, part: Moments) -> Moments:
    return part if merged is None else merged + part
