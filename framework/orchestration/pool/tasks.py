"""Work cut into fixed shards, run as Ray tasks, handed back in order: the result cannot depend on who did what."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import ray
import torch
from ray.exceptions import RayTaskError

from framework.config import Experiment
from framework.errors import ClusterError
from framework.evaluation.values.pool import DeviceOfTask, Done
from framework.evaluation.values.pool import Needs as Files
from framework.models.arithmetic.blocks import shards
from framework.orchestration.cluster.connect import Cluster
from framework.orchestration.cluster.node_files import Needs

LOST_WORKER_RETRIES = 3
_SHARED = "LATENTSCAPE_SHARED_GPUS"  # set in tasks that compute on GPUs of the caller's


def parts_of(rows: np.ndarray) -> list[np.ndarray]:
    """Rows [n, ...] in their order, a shard of 256 each.

    >>> [len(part) for part in parts_of(np.zeros((600, 2)))]
    [256, 256, 88]
    """
    return [rows[start:stop] for start, stop in shards(len(rows))]


@dataclass(frozen=True)
class TaskResources:
    """What each task or actor asks of Ray, and how many run at a time.

    Args:
        workers: At a time.
        cores: Cores each; 0 for work that shares what its trial has.
        gpus: GPUs each.
        node: Where they have to run; None for anywhere.
        shared_gpus: GPUs of the caller's that they use beside it, as CUDA_VISIBLE_DEVICES has them.
    """

    workers: int
    cores: float = 1.0
    gpus: float = 0.0
    node: Any = None
    shared_gpus: str | None = None

    def options(self) -> dict[str, Any]:
        """As Ray takes them."""
        found: dict[str, Any] = {
            "num_cpus": self.cores,
            "num_gpus": self.gpus,
            # within a trial its placement group would have to hold these tasks too
            "scheduling_strategy": self.node or "DEFAULT",
        }
        if self.shared_gpus is not None:  # Ray hides all GPUs from a task that asks for none
            names = {"CUDA_VISIBLE_DEVICES": self.shared_gpus, "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}
            found["runtime_env"] = {"env_vars": {**names, _SHARED: "1"}}
        return found


def task_resources(
    workers: int | Literal["auto"], cluster: Cluster, *, gpus: float | Literal["auto"] = "auto"
) -> TaskResources:
    """`workers` at a time, a core each, or (a share of) a GPU where there are any; auto: as many as there are of these.

    Args:
        workers: How many.
        cluster: What there is.
        gpus: Share of a GPU each; auto: one where there are any.

    Raises:
        ClusterError: GPUs are asked for, and there are none nor will be.
    """
    share = gpus if gpus != "auto" else 1.0 if cluster.gpu_shares(1.0) else 0.0
    if share and not cluster.gpus and not cluster.grows:
        raise ClusterError(
            f"evaluation.gpus_per_worker: {share:g}, and the cluster has no GPU that PyTorch can use; "
            "auto and 0 do without"
        )
    at_once = cluster.gpu_shares(share) if share else int(cluster.cores + 1e-9)
    return TaskResources(workers=max(1, at_once) if workers == "auto" else workers, gpus=share)


def gpus_of_tasks(experiment: Experiment, cluster: Cluster) -> float | Literal["auto"]:
    """`evaluation.gpus_per_worker`; where that is auto, what `compute.gpus_per_worker` names.

    A cluster that scales from 0 shows no GPU, and whoever names what a trial wants means scores too. A run that was
    trained on GPUs is also scored where there are none.
    """
    asked, trained = experiment.evaluation.gpus_per_worker, experiment.compute.gpus_per_worker
    can_be_had = bool(cluster.gpus) or cluster.grows or trained == 0
    return trained if asked == "auto" and can_be_had else asked


def gpus_of_scores(experiment: Experiment, cluster: Cluster) -> float | Literal["auto"]:
    """`gpus_of_tasks`, for scores by `evaluation.engine`: torchmetrics computes on CPUs."""
    return 0.0 if experiment.evaluation.engine == "torchmetrics" else gpus_of_tasks(experiment, cluster)


@dataclass(frozen=True)
class Tasks:
    """A crew of Ray tasks; Ray runs one again whose process was lost.

    At most two a worker are under way, so memory does not grow with their number.

    Args:
        resources: Of each task.
        needs: Files and folders of the job's node that the tasks read.
    """

    resources: TaskResources
    needs: Needs | None = None

    @property
    def device_of_task(self) -> DeviceOfTask:
        """See Crew."""
        return task_device

    def map(
        self,
        function: Callable[..., Any],
        arguments: Sequence[tuple],
        *,
        name: str,
        done: Done | None = None,
        needs: Files | None = None,
    ) -> Iterator[Any]:
        """See Crew."""
        task = ray.remote(run_shard).options(name=name, max_retries=LOST_WORKER_RETRIES, **self.resources.options())
        files = (self.needs, needs)
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
    """What a task gave, or what it raised, without Ray's account of where."""
    try:
        return ray.get(reference)
    except RayTaskError as fault:
        raise fault.cause from None


def task_device() -> str:
    """The device a task of ours computes on: its GPU where it has one."""
    return "cuda" if torch.cuda.is_available() and has_gpu() else "cpu"


def has_gpu() -> bool:
    """Whether Ray gave this process a GPU, or its caller shares one with it.

    CUDA_VISIBLE_DEVICES does not say: the environment may set it for all (Slurm, containers), and ROCm has its own.
    """
    if _SHARED in os.environ:
        return True
    return ray.is_initialized() and bool(ray.get_runtime_context().get_accelerator_ids()["GPU"])


def run_shard(needs: Sequence[Files | None], function: Callable[..., Any], arguments: tuple) -> Any:
    """Calls a function in a worker of any pool: first its files are copied to the node, then it runs on one thread."""
    for files in needs:
        if files is not None:
            files.bring()
    torch.set_num_threads(1)
    return function(*arguments)
