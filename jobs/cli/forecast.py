"""The plan that --dry-run prints: resolves the settings, opens the data, builds the models, and writes nothing."""

from typing import Any

from framework.config import Experiment, with_overrides
from framework.config.consistency import discriminator_networks
from framework.config.schedule import in_short, scheduled, value_at
from framework.errors import ConfigError
from framework.models.pretrained.projection import projection_of
from framework.models.pretrained.weights import PACKAGES
from framework.orchestration.cluster.connect import Cluster, is_cluster_elsewhere, planned_cluster
from framework.orchestration.trial.resources import ResourcePlan, plan, search_plan
from framework.runs import RunFolder
from framework.runs.folder import run_place
from framework.runs.machine import memory_bytes
from framework.search.space import settings
from framework.training.budget import budget_line
from framework.training.cost import TrainingCost
from framework.training.steps.penalties import gamma_lines
from jobs.cli.forecast_cost import costs_of, memory_of, say_memory, say_networks, say_work
from jobs.cli.forecast_data import check_features, forecast_assessors, forecast_images, say_fetch
from jobs.cli.job import Console

_MOST_BYTES = 2**44  # no machine or GPU of a cluster has more
_PROCESS_MIB = 1_000  # a CPU worker of a 32 px run before its first step


def forecast(experiment: Experiment, console: Console, *, trials: int | None = None) -> dict[str, Any]:
    """Prints the plan line by line.

    Args:
        trials: Number of trials: 1 for a single training, 0 if nothing is trained, None for the search's own number.
    """
    place = run_place(experiment)
    images, labels, document = forecast_images(experiment, console)
    console.say(f"Results: {experiment.storage.path}/{experiment.name}")
    if trials == 0:
        return document
    _, labelled = forecast_assessors(experiment, images, console)
    run = RunFolder(place, experiment)
    say_fetch(experiment, console, run=run)
    check_features(run, labelled=labelled)
    run.refuse_other_settings({} if images is None else {"digest": images.digest})
    experiments = [experiment]
    if trials != 1:
        experiments = [with_overrides(experiment, setting.parameters) for setting in settings(experiment)]
    cluster = planned_cluster()
    if cluster.unused:
        console.say(cluster.unused)
    if trials == 1:
        resources = plan(experiment.compute, cluster)
    else:
        resources = search_plan(experiment, cluster, trials=len(experiments))
    console.say(resources.line(cluster))
    costs = costs_of(experiments, labels, workers=resources.fewest_workers)
    document |= say_networks(costs, console)
    training = experiment.training
    steps = -(-training.total_images // training.batch_size)
    console.say(
        f"Steps: {steps:,} of {training.batch_size} images{_schedule(experiment)}, "
        f"a score every {experiment.evaluation.every_images:,} images"
    )
    budget = budget_line(experiment, on_gpus=resources.gpus_per_worker > 0)
    if budget is not None:
        console.say(budget)
    for line in dict.fromkeys(line for trial in experiments for line in changing(trial)):
        console.say(line)
    _refuse_memory(max(map(memory_of, costs)), most=_memory_of(cluster, resources))
    document |= say_memory(costs, console, process_mib=_PROCESS_MIB) | say_work(costs, console)
    return document | {
        "assessors": labelled,
        "trials": len(experiments),
        "concurrent": resources.concurrent,
        "workers": resources.workers,
        "cores_per_worker": resources.cores_per_worker,
        "gpus_per_worker": resources.gpus_per_worker,
        "steps": steps,
    }


def refuse_oversized(experiment: Experiment, cluster: Cluster) -> None:
    """Raises a ConfigError if a worker of this experiment needs more memory than a machine of the cluster can have."""
    _refuse_missing_networks(experiment)
    resources = plan(experiment.compute, cluster, concurrent=1)
    cost = TrainingCost(experiment, workers=resources.fewest_workers)
    _refuse_memory(memory_of(cost), most=_memory_of(cluster, resources))


def refuse_samples(experiment: Experiment) -> None:
    """Raises a ConfigError if the latents of a study alone, as float32, need more memory than this machine has."""
    latents, size = experiment.latents, 4 * experiment.model.latent_size
    counts = {
        "arithmetic.candidates": latents.arithmetic.candidates,
        "directions.samples": latents.directions.samples,
        "steering.effect_samples": latents.steering.effect_samples,
        "maps.samples": latents.maps.samples,
    }
    for key, count in counts.items():
        if count * size > memory_bytes():
            raise ConfigError(
                f"latents.{key}: {count:,} latents of {experiment.model.latent_size:,} numbers need "
                f"{count * size / 2**20:,.0f} MiB, but this machine has {memory_bytes() / 2**20:,.0f} MiB; lower it"
            )


def _memory_of(cluster: Cluster, resources: ResourcePlan) -> int:
    """The memory that a worker can have at most: that of this machine, if it trains on the CPUs of this machine."""
    ours = cluster.embedded and not resources.gpus_per_worker and not is_cluster_elsewhere()
    return memory_bytes() if ours else _MOST_BYTES


def _refuse_memory(needed: int, *, most: int) -> None:
    if needed + _PROCESS_MIB * 2**20 > most:
        raise ConfigError(
            f"training.batch_size: a worker needs about {needed / 2**20:,.0f} MiB for weights, optimizers and "
            f"activations, and {_PROCESS_MIB:,} MiB for itself, but a machine has {most / 2**20:,.0f} MiB; lower it, "
            "compute.images_per_pass, model.width or data.resolution"
        )


def _refuse_missing_networks(experiment: Experiment) -> None:
    """Raises a ConfigError if a trial would need a pretrained network whose weights are not installed."""
    for name in discriminator_networks(experiment) & PACKAGES.keys():
        projection_of(name, experiment.model.projection_channels)


def _schedule(experiment: Experiment) -> str:
    return f" ({experiment.training.schedule} schedule)" if experiment.model.family == "gan" else ""


def changing(experiment: Experiment) -> list[str]:
    """Lines on each gamma that is `auto`, augmentations, and each schedule, with its last value if it is cut."""
    total = experiment.training.total_images
    lines = [*gamma_lines(experiment), *_augmentation_lines(experiment)]
    for key, schedule in scheduled(experiment).items():
        cut = f", {value_at(schedule, total):.4g} when the training ends" if total < schedule["over"] else ""
        lines.append(f"{key}: {in_short(schedule)}{cut}")
    return lines


def _augmentation_lines(experiment: Experiment) -> list[str]:
    """What images are augmented with, and the probability."""
    objective = experiment.objective
    if not objective.augmentations:
        return []
    probability = in_short(objective.augmentation_probability) or str(objective.augmentation_probability)
    if probability == "adaptive":
        speed = f"{objective.augmentation_speed_images:,} images from 0 to 1"
        probability = f"adaptive (target {objective.augmentation_target:g}, {speed})"
    return [f"Augmentation: {', '.join(objective.augmentations)}; probability {probability}"]
