"""What --dry-run says: the settings resolved, the data opened, the models built, the plan; nothing written."""

from typing import Any

from framework.checkpoint.run import refuse_vanishing_storage
from framework.config import Experiment
from framework.data import survey
from framework.models import build_discriminator, build_generator, count_parameters
from framework.orchestration.cluster import planned_cluster
from framework.orchestration.resources import plan
from framework.orchestration.search import trial_experiment
from framework.orchestration.space import settings
from jobs.cli import Console

_ADAM_COPIES = 4  # weights, gradients and Adam's two moments
_BYTES = {"float64": 8}


def forecast(experiment: Experiment, console: Console, *, trials: int | None = None) -> dict[str, Any]:
    """Prints the plan line by line.

    Args:
        experiment: Resolved.
        console: Gets the lines.
        trials: How many there will be; None for those of the search; 0 where nothing is trained.
    """
    refuse_vanishing_storage(experiment.storage)
    found = survey(experiment.data)
    console.say(f"Images: {found.images:,} files in {found.what}, to be packed at {experiment.data.resolution} px")
    console.say(f"Results: {experiment.storage.path}/{experiment.name}")
    document: dict[str, Any] = {"images": found.images}
    if trials == 0:
        return document
    every = [experiment] if trials == 1 else [trial_experiment(experiment, setting) for setting in settings(experiment)]
    cluster = planned_cluster()
    made = plan(experiment.compute, cluster, trials=len(every), concurrent=experiment.search.concurrent)
    console.say(made.line(cluster))
    for name, entry in _sizes(every).items():
        console.say(f"{name}: {entry}")
    training = experiment.training
    steps = -(-training.total_images // training.batch_size)
    console.say(
        f"Steps: {steps:,} of {training.batch_size} images ({training.schedule} schedule), "
        f"a score every {experiment.evaluation.every_images:,} images"
    )
    memory = max(_worker_bytes(one) for one in every)
    console.say(f"Memory: about {memory / 2**20:,.0f} MiB a worker for weights, optimizers and activations")
    return document | {
        "trials": len(every),
        "concurrent": made.concurrent,
        "workers": made.workers,
        "cores_per_worker": made.cores_per_worker,
        "gpus_per_worker": made.gpus_per_worker,
        "steps": steps,
        "memory_bytes_per_worker": memory,
        "parameters": {"generator": _parameters(every[0])[0], "discriminator": _parameters(every[0])[1]},
    }


def _parameters(experiment: Experiment) -> tuple[int, int]:
    shape = {"resolution": experiment.data.resolution, "channels": experiment.data.channels, "seed": experiment.seed}
    networks = build_generator(experiment.model, **shape), build_discriminator(experiment.model, **shape)
    return count_parameters(networks[0]), count_parameters(networks[1])


def _sizes(every: list[Experiment]) -> dict[str, str]:
    counts = {one.model: _parameters(one) for one in every}
    generators, discriminators = (sorted({pair[index] for pair in counts.values()}) for index in (0, 1))
    return {"Generator": _range(generators), "Discriminator": _range(discriminators)}


def _range(counts: list[int]) -> str:
    ends = f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{ends} parameters"


def _worker_bytes(experiment: Experiment) -> int:
    """Weights, gradients, moments and average, and the activations of both networks for one worker's share."""
    size = _BYTES.get(experiment.compute.precision, 4)
    weights = sum(_parameters(experiment)) * (_ADAM_COPIES + 1)
    data = experiment.data
    share = -(-experiment.training.batch_size // experiment.compute.workers)
    # both networks, each resolution down to the stem, twice: a layer and its activation
    pixels = sum((data.resolution // 2**level) ** 2 for level in range(6) if data.resolution // 2**level >= 8)
    return size * (weights + 2 * share * pixels * experiment.model.width * 2)
