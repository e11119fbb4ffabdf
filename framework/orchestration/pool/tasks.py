"""A pool of Ray tasks. Work is cut into fixed shards and returned in order, so results do not depend on the workers."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import ray
import torch
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from framework.config import Experiment
from framework.errors import ClusterError
from framework.evaluation.values.pool import DeviceOfTask, Done, Files
from framework.models.arithmetic.blocks import shards
from framework.orchestration.cluster.connect import Cluster
from framework.orchestration.cluster.node_files import NodeFiles

LOST_WORKER_RETRIES = 3
_SHARED = "LATENTSCAPE_SHARED_GPUS"  # set in tasks that compute on the GPUs of their caller


def parts_of(rows: np.ndarray) -> list[np.ndarray]:
    """Cuts rows [n, ...] into shards of 256, in their order.

    >>> [len(part) for part in parts_of(np.zeros((600, 2)))]
    [256, 256, 88]
    """
    return [rows[start:stop] for start, stop in shards(len(rows))]


@dataclass(frozen=True)
class TaskResources:
    """The Ray resources of each task or actor, and how many run at a time.

    Args:
        workers: How many run at a time.
        cores: Cores of each; 0 for work that shares the cores of its trial.
        node: The Ray scheduling strategy that pins them to a node; None for any node.
        shared_gpus: GPUs of the caller that they share with it, in the form of CUDA_VISIBLE_DEVICES.
    """

    workers: int
    cores: float = 1.0
    gpus: float = 0.0
    node: NodeAffinitySchedulingStrategy | None = None
    shared_gpus: str | None = None

    def options(self) -> dict[str, Any]:
        """The resources as options of Ray."""
        options: dict[str, Any] = {
            "num_cpus": self.cores,
            "num_gpus": self.gpus,
            # Otherwise tasks that a trial starts would have to fit into its placement group.
            "scheduling_strategy": self.node or "DEFAULT",
        }
        if self.shared_gpus is not None:  # Ray hides all GPUs from a task that asks for none
            names = {"CUDA_VISIBLE_DEVICES": self.shared_gpus, "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}
            options["runtime_env"] = {"env_vars": {**names, _SHARED: "1"}}
        return options


def task_resources(
    workers: int | Literal["auto"], cluster: Cluster, *, gpus: float | Literal["auto"] = "auto"
) -> TaskResources:
    """Resources of `workers` tasks at a time: a GPU or a share of one each, or else a core each.

    Args:
        workers: How many; auto: as many as the cluster has cores, or shares of GPUs.
        cluster: The cluster to fill.
        gpus: Share of a GPU for each; auto: one if the cluster has any, else 0.

    Raises:
        ClusterError: GPUs are required, but the cluster has none and cannot grow.
    """
    share = gpus if gpus != "auto" else 1.0 if cluster.gpu_shares(1.0) else 0.0
    if share and not cluster.gpus and not cluster.grows:
        raise ClusterError(
            f"evaluation.gpus_per_worker: {share:g}, but the cluster has no GPU that PyTorch can use; "
            "auto and 0 use CPUs"
        )
    at_once = cluster.gpu_shares(share) if share else int(cluster.cores + 1e-9)
    return TaskResources(workers=max(1, at_once) if workers == "auto" else workers, gpus=share)


def gpus_of_tasks(experiment: Experiment, cluster: Cluster) -> float | Literal["auto"]:
    """`evaluation.gpus_per_worker`; if that is auto, `compute.gpus_per_worker`.

    A cluster that scales from 0 shows no GPU at first, so the GPUs that trials require are also used for scores. A run
    that was trained on GPUs can also be scored on a cluster without any.
    """
    for_scores, for_training = experiment.evaluation.gpus_per_worker, experiment.compute.gpus_per_worker
    is_available = bool(cluster.gpus) or cluster.grows or for_training == 0
    return for_training if for_scores == "auto" and is_available else for_scores


def gpus_of_scores(experiment: Experiment, cluster: Cluster) -> float | Literal["auto"]:
    """`gpus_of_tasks` for scores, except that the engine torchmetrics computes on CPUs."""
    return 0.0 if experiment.evaluation.engine == "torchmetrics" else gpus_of_tasks(experiment, cluster)


@dataclass(frozen=True)
class TaskPool:
    """A pool of Ray tasks. If a task's process is lost, Ray runs the task again.

    At most two tasks per worker are submitted at a time, so memory does not grow with their number.

    Args:
        resources: The resources of each task.
        node_files: Files and folders of the job's node that the tasks read.
    """

    resources: TaskResources
    node_files: NodeFiles | None = None

    @property
    def device_of_task(self) -> DeviceOfTask:
        """The function that gives the device of the task that calls it."""
        return task_device

    def map(
        self,
        function: Callable[..., Any],
        arguments: Sequence[tuple],
        *,
        name: str,
        done: Done | None = None,
        node_files: Files | None = None,
    ) -> Iterator[Any]:
        """The results of a function in order; described in `framework.evaluation.values.pool`."""
        task = ray.remote(run_shard).options(name=name, max_retries=LOST_WORKER_RETRIES, **self.resources.options())
        files = (self.node_files, node_files)
        waiting = deque(arguments)
        under_way: deque[Any] = deque()
        resources = self.resources
        most = 2 * resources.workers if resources.cores or resources.gpus else resources.workers
        finished = 0
        while waiting or under_way:
            while waiting and len(under_way) < most:
                under_way.append(task.remote(files, function, waiting.popleft()))
            yield result_of(under_way.popleft())
            finished += 1
            if done is not None:
                done(finished, len(arguments))


def result_of(reference: Any) -> Any:
    """The result of a task. Its exception is raised as it was, not wrapped in a RayTaskError."""
    try:
        return ray.get(reference)
    except RayTaskError as fault:
        raise fault.cause from None


def task_device() -> str:
    """The device that this task computes on: its GPU, if it has one."""
    return "cuda" if torch.cuda.is_available() and has_gpu() else "cpu"


def has_gpu() -> bool:
    """Whether Ray gave this process a GPU, or its caller shares one with it.

    CUDA_VISIBLE_DEVICES does not tell: Slurm and containers set it for all processes, and ROCm has another variable.
    """
    if _SHARED in os.environ:
        return True
    return ray.is_initialized() and bool(ray.get_runtime_context().get_accelerator_ids()["GPU"])


def run_shard(node_files: Sequence[Files | None], function: Callable[..., Any], arguments: tuple) -> Any:
    """Runs a shard in a worker of any pool: copies its files to the node, then calls the function on one thread."""
    for files in node_files:
        if files is not None:
            files.ensure_local()
    torch.set_num_threads(1)
    return function(*arguments)
