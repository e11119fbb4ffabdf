"""Actors that keep the extractor and the generator loaded, each with a share of the work."""

import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError

from framework.errors import ClusterError
from framework.evaluation.values.pool import DeviceOfTask, Done
from framework.evaluation.values.pool import Needs as Files
from framework.models.arithmetic.exact import kind_of
from framework.orchestration.cluster.connect import Cluster, gpu_shares
from framework.orchestration.cluster.gpus import is_usable, node_gpus
from framework.orchestration.cluster.node_files import Needs
from framework.orchestration.pool.tasks import (
    LOST_WORKER_RETRIES,
    TaskResources,
    Tasks,
    result_of,
    run_shard,
    task_device,
)

_EACH_UNDER_WAY = 2  # the next shard lies ready where one ends
_LAST_SHARD_SECONDS = 30.0
_TYPE = "accelerator_type:"  # as Ray calls a node's resource
_AHEAD = 4  # results an actor that wait for an earlier one: memory holds no more


class _Member:
    """What an actor runs; what its process loads once stays in the caches of the functions it calls."""

    def __init__(self, needs: Needs | None) -> None:
        self._needs = needs

    def ready(self) -> str | None:
        device = task_device()
        return kind_of(device) if is_usable(device) else None

    def call(self, needs: Files | None, function: Callable[..., Any], arguments: tuple) -> Any:
        return run_shard((self._needs, needs), function, arguments)


class Actors:
    """A crew of actors, for the length of a block; Ray starts one anew whose process was lost, and its shard with it.

    Only those that have started are given work, so a cluster that cannot hold all of them at a time does with fewer.
    All of a crew compute on one kind of device: where nodes have several types of GPUs, that of which there are most.
    One whose GPU PyTorch cannot use is not taken in.

    Args:
        resources: Of each, and how many at most.
        kind: How Ray's dashboard calls them.
        needs: Files and folders of the job's node that they read.

    Attributes:
        resources: Of each, and how many were asked for.
    """

    def __init__(self, resources: TaskResources, *, kind: str, needs: Needs | None = None) -> None:
        workers, kept = one_type(ray.nodes(), resources) if resources.gpus else (resources.workers, {})
        self.resources = dataclasses.replace(resources, workers=workers)
        member = ray.remote(type(kind, (_Member,), {})).options(
            max_restarts=LOST_WORKER_RETRIES,
            max_task_retries=LOST_WORKER_RETRIES,
            **resources.options(),
            **kept,
        )
        self._all: list[Any] = [member.remote(needs) for _ in range(workers)]
        self._starting = {actor.ready.remote(): actor for actor in self._all}
        self._started: list[Any] = []
        self._kind: str | None = None
        self._under_way: dict[Any, tuple[int, Any]] = {}

    def __enter__(self) -> "Actors":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._under_way and kind is not None and issubclass(kind, Exception):
            # What one shard has ended: Ray complains of each other that is killed while it is computed.
            ray.wait([*self._under_way], num_returns=len(self._under_way), timeout=_LAST_SHARD_SECONDS)
        for actor in self._all:
            ray.kill(actor)

    def device(self) -> str | None:
        """The kind of GPU that they compute on; None for CPUs. Waits until the first one has started.

        Raises:
            ClusterError: PyTorch can use the GPU of none of them.
        """
        if self.resources.gpus:
            self._wait_for_one()
        return self._kind

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
        waiting, self._under_way = deque(enumerate(arguments)), {}
        under_way = self._under_way
        finished: dict[int, Any] = {}
        for place in range(len(arguments)):
            while place not in finished:
                self._hand_out(waiting, under_way, (needs, function), name, until=place + _AHEAD * len(self._all))
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
        """Gives the next shards to those with the least to do, none further ahead than `until`."""
        busy = [actor for _, actor in under_way.values()]
        while self._started and waiting and waiting[0][0] < until:
            actor = min(self._started, key=busy.count)
            if busy.count(actor) >= _EACH_UNDER_WAY:
                break
            number, given = waiting.popleft()
            busy.append(actor)
            under_way[actor.call.options(name=name).remote(*shard, given)] = (number, actor)

    def _wait_for_one(self) -> None:
        while not self._started:
            (reference,), _ = ray.wait([*self._starting], num_returns=1)
            self._welcome(reference)

    def _welcome(self, reference: Any) -> None:
        """Takes in one that has started; the first one says on which kind of device all compute."""
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
            raise ClusterError("evaluation.gpus_per_worker: no worker's GPU can be used by PyTorch; 0 does without")


def one_type(nodes: Sequence[dict[str, Any]], resources: TaskResources) -> tuple[int, dict[str, Any]]:
    """How many actors, and what keeps them to nodes with one type of GPU: that of which there are the most.

    More than fit on that type would wait for good, and an autoscaler would start nodes for them. Only who asks for more
    than fit on all types means nodes that are yet to come.

    >>> types = ("T4", "H100", "T4")
    >>> nodes = [{"Alive": True, "Resources": {"GPU": 4, f"accelerator_type:{each}": 1}} for each in types]
    >>> one_type(nodes, TaskResources(workers=12, gpus=1.0)), one_type(nodes, TaskResources(workers=24, gpus=0.5))
    ((8, {'accelerator_type': 'T4'}), (16, {'accelerator_type': 'T4'}))
    >>> one_type(nodes, TaskResources(workers=5, gpus=1.0)), one_type(nodes, TaskResources(workers=13, gpus=1.0))
    ((5, {'accelerator_type': 'T4'}), (13, {'accelerator_type': 'T4'}))
    >>> one_type(nodes[:1], TaskResources(workers=4, gpus=1.0))  # there is but one
    (4, {})
    """
    found: Counter[str] = Counter()
    everywhere = 0
    for node in nodes:
        if node["Alive"] and node["Resources"].get("GPU"):
            shares = gpu_shares(node_gpus(node)[0], resources.gpus)
            everywhere += shares
            for name in node["Resources"]:
                if name.startswith(_TYPE):
                    found[name.removeprefix(_TYPE)] += shares
    if len(found) < 2:
        return resources.workers, {}
    most = min(found, key=lambda name: (-found[name], name))
    fit = found[most] if resources.workers <= everywhere else resources.workers
    return min(resources.workers, fit), {"accelerator_type": most}


def cpu_tasks(resources: TaskResources, cluster: Cluster, needs: Needs | None) -> Tasks | None:
    """A crew for what wants no GPU, as wide as the cluster, beside one that holds GPUs.

    None where there is no such crew, or where it leaves no core free.
    """
    free = cluster.cores - resources.workers * resources.cores
    if not resources.gpus or free < 1:
        return None
    return Tasks(TaskResources(workers=int(cluster.cores)), needs)


def _result(reference: Any, name: str) -> Any:
    try:
        return result_of(reference)
    except RayActorError as fault:
        raise ClusterError(f"{name}: a process was lost {LOST_WORKER_RETRIES + 1} times ({fault.error_msg})") from None
