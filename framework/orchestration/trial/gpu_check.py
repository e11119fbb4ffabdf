"""Whether PyTorch can use the GPUs that Ray gave a trial's workers, asked of each before they form a group."""

import socket

import ray.train.torch
import torch

from framework.errors import TrainingError
from framework.orchestration.cluster.gpus import is_usable, local_gpus
from framework.orchestration.cluster.ray_internals import Execute


def refuse_unusable_gpus(execute: Execute) -> None:
    """Asks every worker.

    Raises:
        TrainingError: One cannot use its GPU; names its node and the reason.
    """
    faults = [fault for fault in execute(_gpu_fault) if fault]
    if faults:
        raise TrainingError(f"a worker on {faults[0]}; compute.gpus_per_worker=0 trains on CPUs")


def _gpu_fault() -> str | None:
    """In a worker: where it is, and why PyTorch cannot use the GPU that Ray gave it."""
    gpus = local_gpus()  # first, for a driver that is too old says so but once
    # Ray shows a worker the GPUs of all that are on its node; it computes on its own.
    if torch.cuda.is_available() and is_usable(ray.train.torch.get_device()):
        return None
    return f"{socket.gethostname()} has a GPU that PyTorch cannot use ({gpus.reason})"
