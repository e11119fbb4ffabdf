"""What an experiment is: the schema, its defaults, and how YAML and overrides become one."""

from framework.config.experiment import Experiment
from framework.config.loading import (
    experiment_from_text,
    known_keys,
    load_experiment,
    parse_overrides,
    to_yaml,
    with_overrides,
)
from framework.config.schema import (
    AssessorConfig,
    CheckpointConfig,
    ComputeConfig,
    DataConfig,
    EvaluationConfig,
    LatentsConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    SearchConfig,
    StorageConfig,
    TelemetryConfig,
    TrainingConfig,
)

__all__ = [
    "AssessorConfig",
    "CheckpointConfig",
    "ComputeConfig",
    "DataConfig",
    "EvaluationConfig",
    "Experiment",
    "LatentsConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "SearchConfig",
    "StorageConfig",
    "TelemetryConfig",
    "TrainingConfig",
    "experiment_from_text",
    "known_keys",
    "load_experiment",
    "parse_overrides",
    "to_yaml",
    "with_overrides",
]
