"""Scores of generated images: features, sources of images, protocols and values of metrics."""

from framework.evaluation.features.extractor import Extractor, FeatureSpec, build_extractor
from framework.evaluation.features.inception import CLASSES
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.features.weights import find_weights, how_to_get_weights
from framework.evaluation.protocols.protocol import FeatureSource, ImageSetSpec, Protocol, make_score
from framework.evaluation.requests.passes import Request, ScoringPass, pair_passes, passes
from framework.evaluation.requests.requested import requested
from framework.evaluation.sources.shards import merge_in_order, moments_of, shard_moments
from framework.evaluation.sources.source import (
    SourceSpec,
    drawn,
    find_source,
    open_source,
    source_shard_moments,
    statistics_moments,
    store_spec,
)
from framework.evaluation.sources.statistics_file import save_statistics
from framework.evaluation.values.reference import load_moments, real_statistics, save_moments

__all__ = [
    "CLASSES",
    "Extractor",
    "FeatureSource",
    "FeatureSpec",
    "ImageSetSpec",
    "Protocol",
    "Request",
    "ScoringPass",
    "SourceSpec",
    "build_extractor",
    "drawn",
    "find_source",
    "find_weights",
    "how_to_get_weights",
    "load_moments",
    "make_score",
    "merge_in_order",
    "moments_of",
    "open_source",
    "pair_passes",
    "passes",
    "real_statistics",
    "requested",
    "resolve_features",
    "save_moments",
    "save_statistics",
    "shard_moments",
    "source_shard_moments",
    "statistics_moments",
    "store_spec",
]
