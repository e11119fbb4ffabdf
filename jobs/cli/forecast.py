"""The plan that --dry-run prints: resolves the settings, opens the data, builds the models, and writes nothing."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from framework.config import Experiment, with_overrides
from framework.config.consistency import discriminator_networks
from framework.config.schedule import highest, in_short, scheduled, value_at
from framework.errors import ConfigError
from framework.models import DiscriminatorNetwork, build_companion, build_generator, count_parameters
from framework.models.pretrained.projection import projection_of
from framework.models.pretrained.weights import PACKAGES
from framework.orchestration.cluster.connect import Cluster, is_cluster_elsewhere, planned_cluster
from framework.orchestration.trial.resources import ResourcePlan, plan, search_plan
from framework.runs import RunFolder
from framework.runs.folder import run_place
from framework.runs.machine import memory_bytes
from framework.search.space import settings
from framework.training.budget import budget_line
from framework.training.steps.penalties import gamma_lines
from jobs.cli.forecast_data import check_features, forecast_assessors, forecast_images, say_fetch
from jobs.cli.job import Console

_ADAM_COPIES = 4  # weights, gradients and Adam's two moments
_BYTES = {"float64": 8}
_MOST_BYTES = 2**44  # no machine or GPU of a cluster has more
_PROCESS_MIB = 1_000  # a CPU worker of a 32 px run before its first step


def forecast(experiment: Experiment, console: Console, *, trials: int | None = None) -> dict[str, Any]:
    """Prints the plan line by line.

    Args:
        trials: Number of trials: 1 for a single training, 0 if nothing is trained, None for the search's own number.
    """
    place = run_place(experiment)
    images, document = forecast_images(experiment, console)
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
    for name, size in _sizes(experiments).items():
        console.say(f"{name}: {size}")
    frozen = {trial.model.feature_network: _frozen(trial) for trial in experiments if _frozen(trial)}
    for name, size in frozen.items():
        console.say(f"Frozen: {size:,} parameters of {name} and random layers, which are not trained")
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
    memory = max(worker_bytes(trial, workers=resources.fewest_workers) for trial in experiments)
    _refuse_memory(memory, most=_memory_of(cluster, resources))
    console.say(
        f"Memory: about {memory / 2**20:,.0f} MiB per worker for weights, optimizers and activations, "
        f"plus {_PROCESS_MIB:,} MiB for Python, PyTorch and Ray"
    )
    return document | {
        "assessors": labelled,
        "trials": len(experiments),
        "concurrent": resources.concurrent,
        "workers": resources.workers,
        "cores_per_worker": resources.cores_per_worker,
        "gpus_per_worker": resources.gpus_per_worker,
        "steps": steps,
        "memory_bytes_per_worker": memory,
        "parameters": dict(zip(_names(experiment), _parameters(experiments[0]), strict=True)),
    }


def refuse_oversized(experiment: Experiment, cluster: Cluster) -> None:
    """Raises a ConfigError if a worker of this experiment needs more memory than a machine of the cluster can have."""
    _refuse_missing_networks(experiment)
    resources = plan(experiment.compute, cluster, concurrent=1)
    memory = worker_bytes(experiment, workers=resources.fewest_workers)
    _refuse_memory(memory, most=_memory_of(cluster, resources))


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


def _networks(experiment: Experiment) -> tuple[nn.Module, nn.Module]:
    """The two networks without their numbers, so that networks of any size take neither memory nor time."""
    data = experiment.data
    shape: dict[str, Any] = {"resolution": data.resolution, "channels": data.channels, "seed": experiment.seed}
    with torch.device("meta"):
        return build_generator(experiment.model, **shape), build_companion(experiment.model, **shape)


def _parameters(experiment: Experiment) -> tuple[int, int]:
    generator, partner = _networks(experiment)
    return count_parameters(generator), count_parameters(partner)


def _frozen(experiment: Experiment) -> int:
    """Number of weights that the discriminator uses and does not train."""
    partner = _networks(experiment)[1]
    return partner.frozen_size if isinstance(partner, DiscriminatorNetwork) else 0


def _refuse_missing_networks(experiment: Experiment) -> None:
    """Raises a ConfigError if a trial would need a pretrained network whose weights are not installed."""
    for name in discriminator_networks(experiment) & PACKAGES.keys():
        projection_of(name, experiment.model.projection_channels)


def _names(experiment: Experiment) -> tuple[str, str]:
    return "generator", "discriminator" if experiment.model.family == "gan" else "encoder"


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


def _sizes(experiments: list[Experiment]) -> dict[str, str]:
    """Network's name -> number of parameters, or its range over the trials."""
    models = {experiment.model.model_dump_json(): experiment for experiment in experiments}
    counts = [_parameters(experiment) for experiment in models.values()]
    per_network = (sorted({count[index] for count in counts}) for index in (0, 1))
    names = _names(experiments[0])
    return {name.capitalize(): _range(numbers) for name, numbers in zip(names, per_network, strict=True)}


def _range(counts: list[int]) -> str:
    ends = f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{ends} parameters"


def worker_bytes(experiment: Experiment, *, workers: int | None = None) -> int:
    """Estimated memory of a worker's device: weights, gradients, Adam's moments, average, and kept activations.

    The activations are counted by running the networks on torch's meta device, without computing anything, for the
    images that a worker computes at a time. The generator's pass goes through both networks and keeps the most, if no
    gradient penalty of the discriminator keeps more.
    Temporary tensors of a step are estimated as twice the largest activation that is kept.

    Args:
        workers: Number of workers that share a batch; None for the smallest number that `compute.workers` allows.
    """
    share = -(-experiment.training.batch_size // (workers or experiment.compute.fewest_workers))
    images = min(share, experiment.compute.images_per_pass or share)
    passes = [_kept_by_generator_update(experiment, images)]
    if experiment.model.family == "gan" and any(highest(experiment.gamma(name)) for name in ("r1_gamma", "r2_gamma")):
        passes.append(_kept_by_penalties(experiment, images))
    numbers = sum(_parameters(experiment)) * (_ADAM_COPIES + 1) + _frozen(experiment)
    weights = numbers * _BYTES.get(experiment.compute.precision, 4)
    size = {"bfloat16": 2, "float64": 8}.get(experiment.compute.precision, 4)
    return weights + max(sum(kept) + 2 * max(kept) for kept in passes) * size // 4


def _kept_by_generator_update(experiment: Experiment, images: int) -> list[int]:
    """Bytes of each activation that backward keeps for this number of images, in float32."""
    generator, partner = _networks(experiment)
    latents = torch.zeros(images, experiment.model.latent_size, device="meta")

    def run() -> torch.Tensor:
        images_made = generator.to("meta")(latents)
        # The joint schedule sends real and generated images through the discriminator in one batch, while the
        # activations of the generator are still held. A frozen network keeps activations for the generator's alone.
        judge = partner.to("meta").requires_grad_(experiment.model.discriminator == "own")
        joint = experiment.training.schedule == "joint" and experiment.model.discriminator == "own"
        return judge(torch.cat([images_made, images_made]) if joint else images_made)

    return _kept_bytes(run)


def _kept_by_penalties(experiment: Experiment, images: int) -> list[int]:
    """The same for a step of the discriminator with R1 or R2.

    Backward through the graph of the slopes holds a gradient for about each activation of this graph, hence twice.
    """
    generator, partner = _networks(experiment)
    joint, side = experiment.training.schedule == "joint", experiment.data.resolution
    shape = (2 * images if joint else max(1, images // 2), experiment.data.channels, side, side)
    pixels = torch.zeros(shape, device="meta", requires_grad=True)
    latents = torch.zeros(images, experiment.model.latent_size, device="meta")
    slopes = _kept_bytes(lambda: torch.autograd.grad(partner.to("meta")(pixels).sum(), pixels, create_graph=True))
    return [*slopes, *slopes, *(_kept_bytes(lambda: generator.to("meta")(latents)) if joint else [])]


def _kept_bytes(run: Callable[[], Any]) -> list[int]:
    """Bytes of each activation that backward keeps of what a function computes."""
    kept: dict[int, int] = {}
    held: list[Any] = []  # keeps the storages alive, so that no id is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_leaf:
            kept[id(tensor.untyped_storage())] = tensor.untyped_storage().nbytes()
        held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held.append(run())
    return list(kept.values())
