"""Train the two assessors (attribute classifiers) of a config, or load them from the cache."""

import contextlib
import os
from typing import Any

from framework.config import Experiment
from framework.data import find_prepared
from framework.errors import DataError
from framework.orchestration.cluster.connect import connect, planned_cluster
from framework.orchestration.context import begin_run, prepare_images, train_assessors
from framework.runs import cache_folder
from framework.training import find_assessors
from jobs.cli.forecast import forecast
from jobs.cli.forecast_data import forecast_assessors
from jobs.cli.job import Arguments, Job, run_job, with_plan

GPUS = ("evaluation.gpus_per_worker", "compute.gpus_per_worker")
JOB = Job("train_assessor", __doc__, "CONFIG", ("name", "data", *GPUS, "assessor", "storage"))


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be trained."""
    experiment, console = arguments.experiment(), arguments.console
    document = forecast(experiment, console, trials=0)
    images = find_prepared(experiment.data, cache=cache_folder(experiment.storage))
    _, labelled = forecast_assessors(experiment, images, console)
    if not labelled:
        raise _no_labels(experiment)
    return document


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Trains both assessors, or loads them from the cache."""
    experiment, console = arguments.experiment(), arguments.console
    images = prepare_images(experiment, console)
    # This process can use the local CPUs itself; Ray is needed only for GPUs or another machine's cluster.
    cached = find_assessors(images, experiment.assessor, cache=cache_folder(experiment.storage)) is not None
    needs_ray = not cached and (planned_cluster().gpus >= 1 or "RAY_ADDRESS" in os.environ)
    ray = connect(arguments.title(experiment.name), verbose=arguments.verbose, say=console.say)
    with (
        begin_run(experiment, images, arguments.command, console) as run,
        ray if needs_ray else contextlib.nullcontext() as cluster,
    ):
        if train_assessors(run, images, console, cluster) is None:
            raise _no_labels(experiment)
        return run.about["assessors"]


def _no_labels(experiment: Experiment) -> DataError:
    return DataError(f"{experiment.name}: the images have no labels to learn from; see data.labels")


if __name__ == "__main__":
    run_job(JOB, body)
