"""Work cut into fixed shards, run as Ray tasks, handed back in order: the result cannot depend on who did what."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ray
import torch
from ray.exceptions import RayTaskError

from framework.orchestration.cluster import Cluster
from framework.orchestration.depot import Needs

SHARD_IMAGES = 256  # a whole number of the blocks of 32 that networks compute in
_LOST_WORKER_RETRIES = 3


@dataclass(frozen=True)
class TaskResources:
    """What each task asks of Ray, and how many run at a time.

    Args:
        workers: Tasks at a time.
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
            found["runtime_env"] = {"env_vars": names}
        return found


def task_resources(workers: int | Literal["auto"], cluster: Cluster) -> TaskResources:
    """`workers` tasks at a time, a core each, or a GPU where there are any; auto: as many as there are of these."""
    gpu = 1.0 if cluster.gpus >= 1 else 0.0
    at_once = cluster.gpus if gpu else cluster.cores
    return TaskResources(workers=max(1, int(at_once)) if workers == "auto" else workers, gpus=gpu)


def map_in_order(
    function: Callable[..., Any],
    arguments: Sequence[tuple],
    *,
    resources: TaskResources,
    name: str,
    needs: Needs | None = None,
    done: Callable[[int, int], None] | None = None,
) -> Iterator[Any]:
    """`function(*arguments[i])` for each i as Ray tasks, yielded in order.

    At most two tasks a worker are under way, so memory does not grow with their number. Ray runs a task again whose
    process was lost.

    Args:
        function: Module-level; gets its arguments and runs on one torch thread, so that neither the number of cores
            nor that of tasks moves a rounding.
        arguments: One tuple a task.
        resources: Of each task.
        name: Shown by Ray's dashboard.
        needs: Files and folders of the job's node that the tasks read.
        done: Called with (finished, all) after each.
    """
    task = ray.remote(_on_one_thread).options(name=name, max_retries=_LOST_WORKER_RETRIES, **resources.options())
    waiting = deque(arguments)
    under_way: deque[Any] = deque()
    most = 2 * resources.workers if resources.cores or resources.gpus else resources.workers
    finished = 0
    while waiting or under_way:
        while waiting and len(under_way) < most:
            under_way.append(task.remote(needs, function, waiting.popleft()))
        try:
            yield ray.get(under_way.popleft())
        except RayTaskError as fault:
            raise fault.cause from None  # what the function raised, not Ray's account of where
        finished += 1
        if done is not None:
            done(finished, len(arguments))


def task_device() -> str:
    """The device a task of ours computes on: its GPU where Ray gave it one."""
    return "cuda" if torch.cuda.is_available() and os.environ.get("CUDA_VISIBLE_DEVICES", "") else "cpu"


def _on_one_thread(needs: Needs | None, function: Callable[..., Any], arguments: tuple) -> Any:
    if needs is not None:
        needs.bring()
    torch.set_num_threads(1)
    return function(*arguments)
