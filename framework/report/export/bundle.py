"""What an export is made of."""

from dataclasses import dataclass
from typing import Any

from framework.checkpoint import LoadedGenerator
from framework.config import Experiment

SAMPLES = "samples.png"
SAMPLE_COUNT, SAMPLE_COLUMNS, SAMPLE_SEED = 32, 8, 0


@dataclass(frozen=True)
class Export:
    """One generator of a run and all that is known of it.

    Attributes:
        generator: Loaded, on the CPU.
        checkpoint: Its path within the run.
        experiment: What trained it: the trial's searched values laid over the run's, places reduced to names.
        searched: Dotted key -> value of what the search set.
        trials: How many trials the run has.
        chosen_by: The score that made it the best of its run; None where it was named, and not chosen.
        scores: Of this very generator, each `metric`, `value`, `protocol`, `checkpoint`; the final ones first.
        data: What run.json says of the images: source, images, training, digest, resolution, labels …
        versions: Of the packages that trained it.
        warnings: What its trial warned of.
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
