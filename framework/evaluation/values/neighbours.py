"""Metrics from distances to nearest neighbours: precision, recall, density, coverage, memorisation, authenticity."""

import functools
import operator
from typing import Any

import numpy as np

from framework.evaluation.values.feature_set import Asked, Value, required
from framework.evaluation.values.parts import Features, PartsPool, cover_part, nearest_part, opened, radii_part
from framework.metrics import KnnRadii, Memorisation, NeighbourCounts, authenticity, blocks, memorisation

_WITH_BALLS = ("precision", "recall", "density", "coverage")
NEIGHBOURS = (*_WITH_BALLS, "memorisation", "authenticity")
_CLOSEST = 16


def by_neighbours(asked: Asked) -> dict[str, Value]:
    """Precision, recall, density, coverage, memorisation and authenticity, from distances to nearest neighbours."""
    real, fake = required(asked.sides.real_features), required(asked.sides.fake_features)
    real_count = len(opened(real))
    wide_k = _k(asked, "density", "coverage")
    balls, real_nearest = _radii(asked, real, fake, wide_k=wide_k)
    work = [(real, fake, asked.count, balls, *rows) for rows in blocks(real_count)]
    whole: NeighbourCounts = functools.reduce(operator.add, asked.pool.map(cover_part, work, "cover"))
    values = {metric: Value(value) for metric, value in whole.scores(density_k=wide_k).items()}
    if "memorisation" in asked.metrics:
        values["memorisation"] = _memorisation(whole, real, required(asked.sides.held_out_features), asked.pool)
    if "authenticity" in asked.metrics:
        values["authenticity"] = Value(authenticity(whole.nearest, whole.nearest_index, required(real_nearest)))
    return values


def _radii(asked: Asked, real: Features, fake: Features, *, wide_k: int) -> tuple[KnnRadii, np.ndarray | None]:
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


def _neighbour_distances(asked: Asked, features: Features, count: int, ks: tuple[int, ...]) -> np.ndarray:
    """Distances [count, len(ks)] of each image to its k-th neighbours."""
    if not ks:
        return np.zeros((count, 0))
    work = [(features, count, ks, *rows) for rows in blocks(count)]
    return np.concatenate(list(asked.pool.map(radii_part, work, "neighbours")))


def _k(asked: Asked, *metrics: str) -> int:
    """The largest number of neighbours that these metrics use; 1 if none of them is requested."""
    ks: list[Any] = [asked.settings(metric)["k"] for metric in metrics if metric in asked.metrics]
    return max(ks, default=1)


def _memorisation(whole: NeighbourCounts, real: Features, held_out: Features, pool: PartsPool) -> Value:
    work = [(held_out, real, *rows) for rows in blocks(len(opened(held_out)))]
    distances = np.concatenate(list(pool.map(nearest_part, work, "held-out")))
    result: Memorisation = memorisation(whole.nearest, distances, closest=_CLOSEST)
    detail = {
        "copy_share": result.copy_share,
        "copy_distance": result.copy_distance,
        "closest": [
            {"sample": int(k), "training": int(whole.nearest_index[k]), "distance": float(whole.nearest[k])}
            for k in result.closest
        ],
    }
    return Value(result.nearer_share, detail=detail)
