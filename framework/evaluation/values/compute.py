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
from typing import Any

from framework.errors import EvaluationError
from framework.evaluation import FeatureSpec, Protocol, Request, SourceSpec, make_score
from framework.evaluation.sources.shards import spans
from framework.evaluation.values.feature_set import Asked, FeatureSet, Value, required
from framework.evaluation.values.neighbours import NEIGHBOURS, by_neighbours
from framework.evaluation.values.parts import (
    Features,
    PartsPool,
    opened,
    products_part,
    splits_part,
    subsets_part,
    torchmetrics_part,
)
from framework.metrics import (
    KernelDistance,
    Moments,
    extrapolate,
    frechet_distance,
    relative_diversity,
    vendi_of_products,
)
from framework.models.arithmetic.blocks import shards

_SUBSETS_A_PART = 10


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


def _of_count(
    count: int, requests: Sequence[Request], sides: FeatureSet, pool: PartsPool
) -> Iterator[tuple[Request, Value]]:
    by_metric = {request.metric: request for request in requests if request.samples == count}
    asked = Asked(frozenset(by_metric), count, sides, pool)
    values: dict[str, Value] = {}
    for compute in dict.fromkeys(_COMPUTED_BY[metric] for metric in by_metric):
        values |= compute(asked)
    for metric, request in by_metric.items():
        yield request, values[metric]


def _by_moments(asked: Asked) -> dict[str, Value]:
    """Fréchet distance, its extrapolation from smaller samples to infinity, and diversity."""
    sides, count, pool = asked.sides, asked.count, asked.pool
    extrapolated = "fid_infinity" in asked.metrics
    fit: Any = asked.settings("fid_infinity")["counts"] if extrapolated else []
    counts = sorted({*fit, count})
    if sides.fake is not None and counts == [count]:
        fakes = {count: sides.fake}
    else:
        fakes = prefix_moments(required(sides.fake_features), counts, pool)
    values = {}
    if "diversity" in asked.metrics:
        values["diversity"] = Value(relative_diversity(required(sides.real), fakes[count]))
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


def _kid(asked: Asked) -> dict[str, Value]:
    settings: Any = asked.settings("kid")
    real, fake = required(asked.sides.real_features), required(asked.sides.fake_features)
    subsets = settings["subsets"]
    starts = range(0, subsets, _SUBSETS_A_PART)
    work = [(real, fake, asked.count, settings, at, min(at + _SUBSETS_A_PART, subsets)) for at in starts]
    values = itertools.chain.from_iterable(asked.pool.map(subsets_part, work, "kid"))
    distance = KernelDistance.of(list(values))
    is_whole = settings["subset_size"] == asked.count == len(opened(real))  # then each subset contains all images
    return {"kid": Value(distance.mean, sd=None if is_whole else distance.sd)}


def _inception(asked: Asked) -> dict[str, Value]:
    work = [(required(asked.sides.logits), asked.count, asked.settings("inception_score")["splits"])]
    ((value, sd),) = asked.pool.map(splits_part, work, "inception_score")
    return {"inception_score": Value(value, sd=sd)}


def _vendi(asked: Asked) -> dict[str, Value]:
    features = required(asked.sides.fake_features)
    work = [(features, *shard) for shard in shards(asked.count)]
    products = functools.reduce(operator.add, asked.pool.map(products_part, work, "vendi"))
    (value,) = asked.pool.map(vendi_of_products, [(products, asked.count)], "vendi")
    return {"vendi_score": Value(value)}


_COMPUTED_BY: dict[str, Callable[[Asked], dict[str, Value]]] = {
    "fid": _by_moments,
    "fid_infinity": _by_moments,
    "diversity": _by_moments,
    "kid": _kid,
    "inception_score": _inception,
    **dict.fromkeys(NEIGHBOURS, by_neighbours),
    "vendi_score": _vendi,
}


def _plus(merged: Moments | None, part: Moments) -> Moments:
    return part if merged is None else merged + part
