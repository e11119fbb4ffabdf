"""Checks, before the workers of a trial form a group, that PyTorch can use the GPUs that Ray gave them."""

import socket

import ray.train.torch
import torch

from framework.errors import TrainingError
from framework.orchestration.cluster.gpus import is_usable, local_gpus
from framework.orchestration.cluster.ray_internals import Execute


def refuse_unusable_gpus(execute: Execute) -> None:
    """Checks the GPU of every worker.

    Raises:
        TrainingError: A worker cannot use its GPU; the message has its node and the reason.
    """
    faults = [fault for fault in execute(_gpu_fault) if fault]
    if faults:
        raise TrainingError(f"a worker on {faults[0]}; compute.gpus_per_worker=0 trains on CPUs")


def _gpu_fault() -> str | None:
    """Runs in a worker: its node, and why PyTorch cannot use its GPU; None if it can."""
    gpus = local_gpus()  # first, because torch warns only once that a driver is too old
    # Ray lets a worker see the GPUs of all workers on its node; it computes only on its own.
    if torch.cuda.is_available() and is_usable(ray.train.torch.get_device()):
        return None
    return f"{socket.gethostname()} has a GPU that PyTorch cannot use ({gpus.reason})"
