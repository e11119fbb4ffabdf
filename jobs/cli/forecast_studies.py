"""The plan that latent jobs print under --dry-run: their steps, what exists, the images through each network."""

from collections.abc import Callable, Sequence
from typing import Any

from framework.checkpoint import LoadedGenerator, load_generator
from framework.config import Experiment
from framework.evaluation.cost import PROCESS_BYTES
from framework.models.arithmetic.blocks import BLOCK_IMAGES
from framework.orchestration.cluster.connect import planned_cluster
from framework.orchestration.context import RunContext
from framework.orchestration.pool.tasks import gpus_of_tasks, task_resources
from framework.orchestration.studies.ahead import Ahead, Step, document_of
from jobs.cli.context import Check, checked_target
from jobs.cli.forecast_data import forecast_assessors, forecast_images
from jobs.cli.job import Arguments, Console


def forecast_study(
    arguments: Arguments,
    steps_of: Callable[[Ahead], list[Step]],
    *,
    check: Check | None = None,
    assessed: bool = True,
) -> dict[str, Any]:
    """Prints the plan of a latent job.

    Args:
        steps_of: The steps of the study; raises the errors that the study would raise.
        check: As for `open_context`.
        assessed: Whether the job uses assessors.
    """
    console = arguments.console
    run, target = checked_target(arguments, check)
    experiment, generator = run.experiment, load_generator(target.location)
    images, _, _ = forecast_images(experiment, console)
    pair, expected = (None, False)
    if assessed:
        pair, expected = forecast_assessors(experiment, images, console)
    ready = images is not None and (pair is not None or not expected)
    context = RunContext(run, images, pair, planned_cluster(), console) if images is not None and ready else None
    steps = steps_of(Ahead(run, target, generator, context, expected))
    console.say(f"Generator: {target.checkpoint}, {_size(generator)}")
    workers = _workers(experiment)
    return {"checkpoint": target.checkpoint, "workers": workers} | say_steps(steps, experiment, console)


def say_steps(steps: Sequence[Step], experiment: Experiment, console: Console) -> dict[str, Any]:
    """Prints each step, and what all of them need."""
    for number, step in enumerate(steps, start=1):
        console.say(f"Step {number}: {step.what}: {'nothing to compute (it exists)' if step.exists else _cost(step)}")
    picture = experiment.data.resolution**2 * experiment.data.channels
    ahead = [step for step in steps if not step.exists]
    disk, memory = sum(step.drawn for step in ahead) * picture, PROCESS_BYTES + BLOCK_IMAGES * picture * 4
    if ahead:
        workers = _workers(experiment)
        console.say(
            f"Memory: about {memory / 2**20:,.0f} MiB per process; {workers} process{'es' if workers > 1 else ''}"
        )
        console.say(f"Disk: at most about {disk / 2**20:,.1f} MiB of pictures")
    return {"steps": document_of(steps), "memory_bytes_per_process": memory, "disk_bytes": disk}


def _cost(step: Step) -> str:
    through = {"generator": step.generated, "assessors or features": step.judged, "encoder": step.encoded}
    counts = [f"{count:,} through the {network}" for network, count in through.items() if count]
    return "at most " + ", ".join(counts) if counts else "no images"


def _size(generator: LoadedGenerator) -> str:
    shape = f"latents of {generator.latent_size} numbers, images of {generator.resolution}x{generator.resolution}"
    if generator.network is None:
        return shape
    return f"{sum(each.numel() for each in generator.network.parameters()):,} parameters, {shape}"


def _workers(experiment: Experiment) -> int:
    cluster = planned_cluster()
    return task_resources(experiment.evaluation.workers, cluster, gpus=gpus_of_tasks(experiment, cluster)).workers
