"""The content of an export."""

from dataclasses import dataclass
from typing import Any

from framework.checkpoint import LoadedGenerator
from framework.config import Experiment

SAMPLES = "samples.png"
SAMPLE_COUNT, SAMPLE_COLUMNS, SAMPLE_SEED = 32, 8, 0


@dataclass(frozen=True)
class Export:
    """One generator of a run and all that is known about it.

    Attributes:
        generator: The generator, loaded on the CPU.
        checkpoint: The path of its checkpoint within the run.
        experiment: What may be published of its training's configuration, with the trial's searched values.
        searched: Dotted key -> value, of the settings that the search chose.
        trials: The number of trials of the run.
        chosen_by: The score that made it the best of its run; None if it is not the best one.
        scores: The scores of this generator (`metric`, `value`, `protocol`, `checkpoint`), the final ones first.
        data: The facts about the images in run.json: source, images, training, digest, resolution, labels …
        versions: Package -> version, of the packages that it was trained with.
        warnings: The warnings of its trial.
    """

    generator: LoadedGenerator
    checkpoint: str
    experiment: Experiment
    searched: dict[str, Any]
    trials: int
    chosen_by: dict[str, Any] | None
    scores: list[dict[str, Any]]
    data: dict[str, Any]
    versions: dict[str, str]
    warnings: list[str]
