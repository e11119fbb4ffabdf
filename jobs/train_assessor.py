"""Train the two assessors of a config's images, or take them from the cache; print their held-out accuracies."""

import contextlib
import os
from typing import Any

from framework.errors import DataError
from framework.orchestration.cluster.connect import connect, planned_cluster
from framework.orchestration.context import begin_run, prepare_images, train_assessors
from framework.runs import cache_folder
from framework.training import find_assessors
from jobs.cli.forecast import forecast
from jobs.cli.job import Arguments, Job, run_job

GPUS = ("evaluation.gpus_per_worker", "compute.gpus_per_worker")
JOB = Job("train_assessor", __doc__, "CONFIG", ("name", "data", *GPUS, "assessor", "storage"))


def body(arguments: Arguments) -> dict[str, Any]:
    """Trains both."""
    experiment, console = arguments.experiment(), arguments.console
    if arguments.dry_run:
        return forecast(experiment, console, trials=0)
    images = prepare_images(experiment, console)
    # Ray is started for GPUs alone: the CPUs are this process's own.
    is_there = find_assessors(images, experiment.assessor, cache=cache_folder(experiment.storage)) is not None
    wants_ray = not is_there and (planned_cluster().gpus >= 1 or "RAY_ADDRESS" in os.environ)
    ray = connect(arguments.title(experiment.name), verbose=arguments.verbose, say=console.say)
    with (
        begin_run(experiment, images, arguments.command, console) as run,
        ray if wants_ray else contextlib.nullcontext() as cluster,
    ):
        if train_assessors(run, images, console, cluster) is None:
            raise DataError(f"{experiment.name}: its images have no labels to learn; name a CSV with data.labels")
        return run.about["assessors"]


if __name__ == "__main__":
    run_job(JOB, body)
