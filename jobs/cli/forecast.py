"""What --dry-run says: the settings resolved, the data opened, the models built, the plan; nothing written."""

from typing import Any

import torch
from torch import nn

from framework.config import Experiment
from framework.data import survey
from framework.models import build_generator, build_partner, count_parameters
from framework.orchestration.cluster.connect import planned_cluster
from framework.orchestration.search.run import trial_experiment
from framework.orchestration.trial.resources import plan, search_plan
from framework.runs.folder import refuse_vanishing_storage
from framework.search.space import settings
from jobs.cli.job import Console

_ADAM_COPIES = 4  # weights, gradients and Adam's two moments
_BYTES = {"float64": 8}
_PROCESS_MIB = 1_000  # a CPU worker of a 32 px run before its first step


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
    if cluster.unused:
        console.say(cluster.unused)
    made = plan(experiment.compute, cluster) if trials == 1 else search_plan(experiment, cluster, trials=len(every))
    console.say(made.line(cluster))
    for name, entry in _sizes(every).items():
        console.say(f"{name}: {entry}")
    training = experiment.training
    steps = -(-training.total_images // training.batch_size)
    console.say(
        f"Steps: {steps:,} of {training.batch_size} images{_schedule(experiment)}, "
        f"a score every {experiment.evaluation.every_images:,} images"
    )
    memory = max(worker_bytes(one, workers=made.fewest_workers) for one in every)
    console.say(
        f"Memory: about {memory / 2**20:,.0f} MiB a worker for weights, optimizers and activations, "
        f"beside {_PROCESS_MIB:,} MiB for Python, PyTorch and Ray"
    )
    return document | {
        "trials": len(every),
        "concurrent": made.concurrent,
        "workers": made.workers,
        "cores_per_worker": made.cores_per_worker,
        "gpus_per_worker": made.gpus_per_worker,
        "steps": steps,
        "memory_bytes_per_worker": memory,
        "parameters": dict(zip(_names(experiment), _parameters(every[0]), strict=True)),
    }


def _networks(experiment: Experiment) -> tuple[nn.Module, nn.Module]:
    shape = {"resolution": experiment.data.resolution, "channels": experiment.data.channels, "seed": experiment.seed}
    return build_generator(experiment.model, **shape), build_partner(experiment.model, **shape)


def _parameters(experiment: Experiment) -> tuple[int, int]:
    generator, partner = _networks(experiment)
    return count_parameters(generator), count_parameters(partner)


def _names(experiment: Experiment) -> tuple[str, str]:
    return "generator", "discriminator" if experiment.model.family == "gan" else "encoder"


def _schedule(experiment: Experiment) -> str:
    return f" ({experiment.training.schedule} schedule)" if experiment.model.family == "gan" else ""


def _sizes(every: list[Experiment]) -> dict[str, str]:
    models = {one.model.model_dump_json(): one for one in every}
    counts = [_parameters(one) for one in models.values()]
    every_pair = (sorted({pair[index] for pair in counts}) for index in (0, 1))
    return {name.capitalize(): _range(numbers) for name, numbers in zip(_names(every[0]), every_pair, strict=True)}


def _range(counts: list[int]) -> str:
    ends = f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{ends} parameters"


def worker_bytes(experiment: Experiment, *, workers: int | None = None) -> int:
    """What a worker holds on its device: weights, gradients, moments and average, and what backward keeps.

    The networks run once as shapes alone, on torch's meta device, for the worker's share of a batch, or as much of it
    as is computed at a time: the generator's pass goes through both, and no other keeps as much. Beside it stands what
    a step makes and drops at once, put at as much again as the largest tensor that is kept, twice.

    Args:
        experiment: Resolved.
        workers: How many share a batch; None for the fewest that `compute.workers` says.
    """
    share = -(-experiment.training.batch_size // (workers or experiment.compute.fewest_workers))
    kept = _kept_bytes(experiment, min(share, experiment.compute.images_per_pass or share))
    weights = sum(_parameters(experiment)) * (_ADAM_COPIES + 1) * _BYTES.get(experiment.compute.precision, 4)
    return weights + sum(kept) + 2 * max(kept)


def _kept_bytes(experiment: Experiment, images: int) -> list[int]:
    """Bytes of each activation that backward keeps, for so many images; auto counts as float32."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_leaf:
            kept[id(tensor.untyped_storage())] = tensor.untyped_storage().nbytes()
        held.append(tensor)
        return tensor

    held: list[torch.Tensor] = []  # so that no storage takes the place of one that is gone
    generator, partner = _networks(experiment)
    latents = torch.zeros(images, experiment.model.latent_size, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        made = generator.to("meta")(latents)
        # The joint schedule judges real and generated images at once, while the generator's pass is still held.
        judged = torch.cat([made, made]) if experiment.training.schedule == "joint" else made
        partner.to("meta")(judged)
    size = {"bfloat16": 2, "float64": 8}.get(experiment.compute.precision, 4)
    return [bytes_ * size // 4 for bytes_ in kept.values()]
