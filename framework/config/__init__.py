"""The configuration of an experiment: its schema with defaults, and how YAML and overrides are read."""

from framework.config.experiment import Experiment
from framework.config.loading import (
    experiment_from_text,
    known_keys,
    load_experiment,
    parse_overrides,
    with_overrides,
)
from framework.config.renames import RENAMED, flat_latents
from framework.config.schema import (
    ArithmeticConfig,
    AssessorConfig,
    CheckpointConfig,
    ComputeConfig,
    DataConfig,
    DirectionsConfig,
    EvaluationConfig,
    LatentsConfig,
    MapsConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ProjectionConfig,
    SearchConfig,
    SteeringConfig,
    StorageConfig,
    TelemetryConfig,
    TrainingConfig,
    WalksConfig,
)
from framework.config.yaml import to_yaml

__all__ = [
    "RENAMED",
    "ArithmeticConfig",
    "AssessorConfig",
    "CheckpointConfig",
    "ComputeConfig",
    "DataConfig",
    "DirectionsConfig",
    "EvaluationConfig",
    "Experiment",
    "LatentsConfig",
    "MapsConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "ProjectionConfig",
    "SearchConfig",
    "SteeringConfig",
    "StorageConfig",
    "TelemetryConfig",
    "TrainingConfig",
    "WalksConfig",
    "experiment_from_text",
    "flat_latents",
    "known_keys",
    "load_experiment",
    "parse_overrides",
    "to_yaml",
    "with_overrides",
]
