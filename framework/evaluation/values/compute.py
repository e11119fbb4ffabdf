"""The values of a pass: every family of metrics from the features of both sides, shared out over a crew.

What is shared out is fixed by the number of images alone, each part runs on one thread, and parts are put together in
their order: who computed which, and how many there were, moves no bit.
"""

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from framework.errors import EvaluationError
from framework.evaluation import (
    FAMILIES,
    FeatureSpec,
    Protocol,
    Request,
    SourceSpec,
    make_score,
)
from framework.evaluation.sources.shards import spans
from framework.evaluation.values.parts import (
    Features,
    Sharer,
    cover_part,
    nearest_part,
    opened,
    radii_part,
    second_opinion_part,
    splits_part,
    subsets_part,
)
from framework.metrics import (
    KernelDistance,
    KnnRadii,
    Memorisation,
    Moments,
    NeighbourCounts,
    blocks,
    extrapolate,
    frechet_distance,
    memorisation,
    relative_diversity,
)

_SUBSETS_A_PART = 10
BALLS = ("precision", "recall", "density", "coverage", "memorisation")
CLOSEST = 16
_T = TypeVar("_T")


@dataclass(frozen=True)
class Value:
    """What a family says.

    Attributes:
        value: The score.
        sd: Over the family's own subsets or splits, where it has such.
        detail: What stands behind it.
    """

    value: float
    sd: float | None = None
    detail: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Sides:
    """What a pass has left of the images.

    Attributes:
        real: Moments of the real side; None where only samples are looked at.
        fake: Moments of all samples; None where features are there to make them of.
        real_features: Where a family wants them.
        fake_features: Likewise.
        held_out_features: Likewise.
        logits: Of the samples.
    """

    real: Moments | None
    fake: Moments | None = None
    real_features: Features | None = None
    fake_features: Features | None = None
    held_out_features: Features | None = None
    logits: Features | None = None

    def files(self, *, of_fake: bool = False) -> list[Path]:
        """The files that features lie in; those of the samples alone, where asked for."""
        of_real = () if of_fake else (self.real_features, self.held_out_features)
        return [Path(place) for place in (*of_real, self.fake_features, self.logits) if isinstance(place, str)]


def measure(requests: Sequence[Request], sides: Sides, sharer: Sharer) -> dict[Request, Value]:
    """The value of each request.

    Args:
        requests: Of one pass.
        sides: Its features and moments.
        sharer: Shares the parts out.

    Raises:
        EvaluationError: A value that these features do not give, in one line.
    """
    try:
        return {
            request: value
            for count in sorted({request.samples for request in requests})
            for request, value in _of_count(count, requests, sides, sharer)
        }
    except ValueError as fault:
        asked = ", ".join(dict.fromkeys(request.name for request in requests))
        raise EvaluationError(f"{asked}: {fault}") from None


def by_torchmetrics(
    requests: Sequence[Request], features: FeatureSpec, real: SourceSpec, fake: SourceSpec, sharer: Sharer
) -> dict[Request, Value]:
    """The values of requests whose engine is torchmetrics, each family in a process of the crew."""
    counts = [dataclasses.replace(fake, side=fake.side.model_copy(update={"count": each.samples})) for each in requests]
    work = [([request.family], features, real, source) for request, source in zip(requests, counts, strict=True)]
    told = sharer.map(second_opinion_part, work, "torchmetrics")
    return {request: Value(*values[request.family]) for request, values in zip(requests, told, strict=True)}


def combined(protocol: Protocol, values: Sequence[Value]) -> dict[str, Any]:
    """One score of one value a latent seed: their mean, with the standard deviation (by n − 1)."""
    first = values[0]
    if len(values) == 1:
        return make_score(protocol.name, first.value, protocol, sd=first.sd, detail=first.detail)
    numbers = [value.value for value in values]
    mean = math.fsum(numbers) / len(numbers)
    sd = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
    detail = {**(first.detail or {}), "values": numbers}
    return make_score(protocol.name, mean, protocol, sd=sd, detail=detail)


def _of_count(count: int, requests: Sequence[Request], sides: Sides, sharer: Sharer) -> Iterator[tuple[Request, Value]]:
    wanted = {request.family: request for request in requests if request.samples == count}
    found: dict[str, Value] = {}
    real_count = sides.real.count if sides.real is not None else None
    settings: dict[str, dict[str, Any]] = {
        family: FAMILIES[family].settings_for(real=real_count, fake=count) for family in wanted
    }
    if {"fid", "diversity", "fid_infinity"} & wanted.keys():
        fit = settings["fid_infinity"]["counts"] if "fid_infinity" in wanted else []
        found |= _by_moments(wanted.keys(), sides, count, list(fit), sharer)
    if "kid" in wanted:
        found["kid"] = _kid(sides, count, settings["kid"], sharer)
    if "inception_score" in wanted:
        found["inception_score"] = _inception(sides, count, settings["inception_score"], sharer)
    if set(BALLS) & wanted.keys():
        ks = {family: int(settings[family].get("k", 0)) for family in wanted}
        found |= _by_balls(wanted.keys(), sides, count, ks, sharer)
    for family, request in wanted.items():
        yield request, found[family]


def _by_moments(families: Any, sides: Sides, count: int, fit: list[int], sharer: Sharer) -> dict[str, Value]:
    """Fréchet distance, also at fewer samples, and diversity."""
    counts = sorted({*fit, count} if "fid_infinity" in families else {count})
    if sides.fake is not None and counts == [count]:
        fakes = {count: sides.fake}
    else:
        fakes = prefix_moments(_there(sides.fake_features), counts, sharer)
    found = {}
    if "diversity" in families:
        found["diversity"] = Value(relative_diversity(_there(sides.real), fakes[count]))
    if "fid" in families or "fid_infinity" in families:
        work = [(sides.real, fakes[each]) for each in counts]
        distances = dict(zip(counts, sharer.map(frechet_distance, work, "distance"), strict=True))
        found["fid"] = Value(distances[count])
        if "fid_infinity" in families:
            line = extrapolate(fit, [distances[each] for each in fit])
            detail = {
                "slope": line.slope,
                "r_squared": line.r_squared,
                "counts": list(line.counts),
                "distances": list(line.distances),
            }
            found["fid_infinity"] = Value(line.value, detail=detail)
    return found


def prefix_moments(features: Features, counts: Sequence[int], sharer: Sharer) -> dict[int, Moments]:
    """Moments of the first so many images, as a pass over these alone would give them, bit for bit."""
    whole = spans(max(counts), device=sharer.device)
    cut = [(start, count) for count in counts for start, stop in whole if start < count < stop]
    work = sorted({*whole, *cut})
    parts = dict(zip(work, sharer.map_moments([(features, *span) for span in work]), strict=True))
    found, merged = {}, None
    for start, stop in whole:
        for count in counts:
            if start < count < stop:
                found[count] = _plus(merged, parts[start, count])
        merged = _plus(merged, parts[start, stop])
        if stop in counts:
            found[stop] = merged
    return found


def _kid(sides: Sides, count: int, settings: dict[str, Any], sharer: Sharer) -> Value:
    subsets = settings["subsets"]
    arguments = (_there(sides.real_features), _there(sides.fake_features), count, settings)
    work = [(*arguments, at, min(at + _SUBSETS_A_PART, subsets)) for at in range(0, subsets, _SUBSETS_A_PART)]
    values = itertools.chain.from_iterable(sharer.map(subsets_part, work, "kid"))
    distance = KernelDistance.of(list(values))
    is_whole = settings["subset_size"] == count == len(opened(arguments[0]))  # every subset is all there is
    return Value(distance.mean, sd=None if is_whole else distance.sd)


def _inception(sides: Sides, count: int, settings: dict[str, Any], sharer: Sharer) -> Value:
    work = [(_there(sides.logits), count, settings["splits"])]
    ((value, sd),) = sharer.map(splits_part, work, "inception_score")
    return Value(value, sd=sd)


def _by_balls(families: Any, sides: Sides, count: int, ks: dict[str, int], sharer: Sharer) -> dict[str, Value]:
    """Precision, recall, density, coverage, and how near samples are to the training images."""
    real, fake = _there(sides.real_features), _there(sides.fake_features)
    real_count = len(opened(real))
    near_k, wide_k = (
        max(ks.get(a, 0), ks.get(b, 0)) or 1 for a, b in (("precision", "recall"), ("density", "coverage"))
    )
    only_nearest = set(families) & set(BALLS) == {"memorisation"}
    if only_nearest:
        balls = KnnRadii(np.zeros(real_count), np.zeros(real_count), np.zeros(count))
    else:
        sizes = ((real, real_count, (near_k, wide_k)), (fake, count, (near_k,)))
        work = [(features, total, ks, *rows) for features, total, ks in sizes for rows in blocks(total)]
        parts = sharer.map(radii_part, work, "neighbours")
        of_real, of_fake = (np.concatenate(list(itertools.islice(parts, len(blocks(total))))) for _, total, _ in sizes)
        balls = KnnRadii(*of_real.T, *of_fake.T)
    work = [(real, fake, count, balls, *rows) for rows in blocks(real_count)]
    whole: NeighbourCounts = functools.reduce(operator.add, sharer.map(cover_part, work, "cover"))
    found = {family: Value(value) for family, value in whole.scores(density_k=wide_k).items()}
    if "memorisation" in families:
        found["memorisation"] = _memorisation(whole, real, _there(sides.held_out_features), sharer)
    return found


def _memorisation(whole: NeighbourCounts, real: Features, held_out: Features, sharer: Sharer) -> Value:
    work = [(held_out, real, *rows) for rows in blocks(len(opened(held_out)))]
    distances = np.concatenate(list(sharer.map(nearest_part, work, "held-out")))
    found: Memorisation = memorisation(whole.nearest, distances, closest=CLOSEST)
    detail = {
        "copy_share": found.copy_share,
        "copy_distance": found.copy_distance,
        "closest": [
            {"sample": int(k), "training": int(whole.nearest_index[k]), "distance": float(whole.nearest[k])}
            for k in found.closest
        ],
    }
    return Value(found.nearer_share, detail=detail)


def _there(value: _T | None) -> _T:
    assert value is not None, "a pass keeps what its families need"
    return value


def _plus(merged: Moments | None, part: Moments) -> Moments:
    return part if merged is None else merged + part
