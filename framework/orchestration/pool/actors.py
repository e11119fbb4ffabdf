"""A pool of actors, which keep the extractor and the generator loaded between shards."""

import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError

from framework.errors import ClusterError
from framework.evaluation.values.pool import DeviceOfTask, Done, Files
from framework.models.arithmetic.exact import kind_of
from framework.orchestration.cluster.connect import Cluster, gpu_shares
from framework.orchestration.cluster.gpus import is_usable, node_gpus
from framework.orchestration.cluster.node_files import NodeFiles
from framework.orchestration.pool.tasks import (
    LOST_WORKER_RETRIES,
    TaskPool,
    TaskResources,
    result_of,
    run_shard,
    task_device,
)

_EACH_UNDER_WAY = 2  # so an actor has its next shard when it finishes one
_LAST_SHARD_SECONDS = 30.0
_TYPE = "accelerator_type:"  # prefix of the resource by which Ray names a node's type of GPU
_AHEAD = 4  # finished shards per actor that may wait for an earlier one, which limits memory


class _Member:
    """The actor. Models that it loads stay in the caches of the functions it calls."""

    def __init__(self, node_files: NodeFiles | None) -> None:
        self._node_files = node_files

    def ready(self) -> str | None:
        device = task_device()
        return kind_of(device) if is_usable(device) else None

    def call(self, node_files: Files | None, function: Callable[..., Any], arguments: tuple) -> Any:
        return run_shard((self._node_files, node_files), function, arguments)


class ActorPool:
    """A pool of actors for the length of a block. If an actor's process is lost, Ray restarts it and its shard.

    Only actors that have started get work, so a cluster that cannot hold all of them works with fewer. All actors of a
    pool compute on one type of device: if nodes have several types of GPUs, the type with the most GPUs. An actor whose
    GPU PyTorch cannot use is not used.

    Args:
        resources: The resources of each actor, and how many at most.
        kind: Their name in Ray's dashboard.
        node_files: Files and folders of the job's node that they read.

    Attributes:
        resources: The resources of each actor, and how many were started.
    """

    def __init__(self, resources: TaskResources, *, kind: str, node_files: NodeFiles | None = None) -> None:
        workers, kept = one_type(ray.nodes(), resources) if resources.gpus else (resources.workers, {})
        self.resources = dataclasses.replace(resources, workers=workers)
        member = ray.remote(type(kind, (_Member,), {})).options(
            max_restarts=LOST_WORKER_RETRIES,
            max_task_retries=LOST_WORKER_RETRIES,
            **resources.options(),
            **kept,
        )
        self._all: list[Any] = [member.remote(node_files) for _ in range(workers)]
        self._starting = {actor.ready.remote(): actor for actor in self._all}
        self._started: list[Any] = []
        self._kind: str | None = None
        self._under_way: dict[Any, tuple[int, Any]] = {}

    def __enter__(self) -> "ActorPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._under_way and kind is not None and issubclass(kind, Exception):
            # An error of one shard ends the pool. Ray prints an error for each other shard that is killed meanwhile.
            ray.wait([*self._under_way], num_returns=len(self._under_way), timeout=_LAST_SHARD_SECONDS)
        for actor in self._all:
            ray.kill(actor)

    def device(self) -> str | None:
        """The type of GPU that the actors compute on; None for CPUs. Waits until the first one has started.

        Raises:
            ClusterError: PyTorch cannot use the GPU of any of them.
        """
        if self.resources.gpus:
            self._wait_for_one()
        return self._kind

    @property
    def device_of_task(self) -> DeviceOfTask:
        """The function that gives the device of the actor that calls it."""
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
        waiting, self._under_way = deque(enumerate(arguments)), {}
        under_way = self._under_way
        finished: dict[int, Any] = {}
        for place in range(len(arguments)):
            while place not in finished:
                self._hand_out(waiting, under_way, (node_files, function), name, until=place + _AHEAD * len(self._all))
                ready, _ = ray.wait([*under_way, *self._starting], num_returns=1)
                for reference in ready:
                    if reference in self._starting:
                        self._welcome(reference)
                    else:
                        number, _ = under_way.pop(reference)
                        finished[number] = reference
            yield _result(finished.pop(place), name)
            if done is not None:
                done(place + 1, len(arguments))

    def _hand_out(
        self,
        waiting: deque[tuple[int, tuple]],
        under_way: dict[Any, tuple[int, Any]],
        shard: tuple[Files | None, Callable[..., Any]],
        name: str,
        *,
        until: int,
    ) -> None:
        """Gives the next shards, up to number `until`, to the actors with the least work."""
        busy = [actor for _, actor in under_way.values()]
        while self._started and waiting and waiting[0][0] < until:
            actor = min(self._started, key=busy.count)
            if busy.count(actor) >= _EACH_UNDER_WAY:
                break
            number, arguments = waiting.popleft()
            busy.append(actor)
            under_way[actor.call.options(name=name).remote(*shard, arguments)] = (number, actor)

    def _wait_for_one(self) -> None:
        while not self._started:
            (reference,), _ = ray.wait([*self._starting], num_returns=1)
            self._welcome(reference)

    def _welcome(self, reference: Any) -> None:
        """Adds an actor that has started; the first one decides on which type of device all compute."""
        actor = self._starting.pop(reference)
        kind = _result(reference, "start")
        lacks_gpu = kind is None and self.resources.gpus > 0
        if not lacks_gpu and not self._started:
            self._kind = kind
        if not lacks_gpu and kind == self._kind:
            self._started.append(actor)
        else:
            ray.kill(actor)
        if not self._started and not self._starting:
            raise ClusterError("evaluation.gpus_per_worker: PyTorch cannot use the GPU of any worker; 0 uses CPUs")


def one_type(nodes: Sequence[dict[str, Any]], resources: TaskResources) -> tuple[int, dict[str, Any]]:
    """How many actors, and the option that restricts them to nodes with the most common type of GPU.

    More actors than fit on that type would wait forever, and an autoscaler would start nodes for them. Only a request
    for more than fit on all types together means nodes that an autoscaler has yet to add.

    >>> types = ("T4", "H100", "T4")
    >>> nodes = [{"Alive": True, "Resources": {"GPU": 4, f"accelerator_type:{each}": 1}} for each in types]
    >>> one_type(nodes, TaskResources(workers=12, gpus=1.0)), one_type(nodes, TaskResources(workers=24, gpus=0.5))
    ((8, {'accelerator_type': 'T4'}), (16, {'accelerator_type': 'T4'}))
    >>> one_type(nodes, TaskResources(workers=5, gpus=1.0)), one_type(nodes, TaskResources(workers=13, gpus=1.0))
    ((5, {'accelerator_type': 'T4'}), (13, {'accelerator_type': 'T4'}))
    >>> one_type(nodes[:1], TaskResources(workers=4, gpus=1.0))  # all nodes have the same type
    (4, {})
    """
    shares_of_type: Counter[str] = Counter()
    everywhere = 0
    for node in nodes:
        if node["Alive"] and node["Resources"].get("GPU"):
            shares = gpu_shares(node_gpus(node)[0], resources.gpus)
            everywhere += shares
            for name in node["Resources"]:
                if name.startswith(_TYPE):
                    shares_of_type[name.removeprefix(_TYPE)] += shares
    if len(shares_of_type) < 2:
        return resources.workers, {}
    most = min(shares_of_type, key=lambda name: (-shares_of_type[name], name))
    fit = shares_of_type[most] if resources.workers <= everywhere else resources.workers
    return min(resources.workers, fit), {"accelerator_type": most}


def cpu_tasks(resources: TaskResources, cluster: Cluster, node_files: NodeFiles | None) -> TaskPool | None:
    """A pool on all cores of the cluster, for work without GPUs next to a pool of actors that hold GPUs.

    None if the actors hold no GPUs, or if they leave no core free.
    """
    free = cluster.cores - resources.workers * resources.cores
    if not resources.gpus or free < 1:
        return None
    return TaskPool(TaskResources(workers=int(cluster.cores)), node_files)


def _result(reference: Any, name: str) -> Any:
    try:
        return result_of(reference)
    except RayActorError as fault:
        raise ClusterError(f"{name}: a process was lost {LOST_WORKER_RETRIES + 1} times ({fault.error_msg})") from None
