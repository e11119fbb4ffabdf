"""Metrics computed from arrays of features: moments, distances, neighbour counts, and which direction is better."""

from framework.metrics.authenticity import authenticity
from framework.metrics.diversity import relative_diversity
from framework.metrics.extrapolation import Extrapolation, extrapolate
from framework.metrics.frechet import frechet_distance
from framework.metrics.inception_score import inception_score
from framework.metrics.kernel import KernelDistance, kernel_distance, subset_distance, subset_indices
from framework.metrics.manifold import (
    KnnRadii,
    NeighbourCounts,
    blocks,
    cover,
    cover_bytes,
    manifold_scores,
    nearest,
    radii,
    radii_of,
)
from framework.metrics.memorisation import Memorisation, memorisation
from framework.metrics.moments import Moments
from framework.metrics.ordering import cost, higher_is_better
from framework.metrics.vendi import normalised_products, vendi_of_products

__all__ = [
    "Extrapolation",
    "KernelDistance",
    "KnnRadii",
    "Memorisation",
    "Moments",
    "NeighbourCounts",
    "authenticity",
    "blocks",
    "cost",
    "cover",
    "cover_bytes",
    "extrapolate",
    "frechet_distance",
    "higher_is_better",
    "inception_score",
    "kernel_distance",
    "manifold_scores",
    "memorisation",
    "nearest",
    "normalised_products",
    "radii",
    "radii_of",
    "relative_diversity",
    "subset_distance",
    "subset_indices",
    "vendi_of_products",
]
