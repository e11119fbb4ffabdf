"""The group of workers that share one training: shards of a batch, and communication between workers."""

import datetime
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from framework.errors import LatentscapeError, TrainingError

T = TypeVar("T")

# The workers connect within minutes or not at all. Afterwards they may wait much longer, for example for a score on
# rank 0; a lost rank is noticed at once, because its connection closes.
_MEETING_TIMEOUT = datetime.timedelta(minutes=5)
_HOST_TIMEOUT = datetime.timedelta(days=7)


@dataclass(frozen=True)
class Shard:
    """One worker's part of a batch: samples `start` … `start + count - 1` of `total`."""

    start: int
    count: int
    total: int

    def passes(self, images_per_pass: int | None) -> list["Shard"]:
        """Divides the shard into parts of similar size with at most `images_per_pass` samples; None for one part.

        >>> [part.count for part in Shard(4, 10, 32).passes(4)]
        [3, 3, 4]
        """
        number = 1 if images_per_pass is None else max(1, -(-self.count // images_per_pass))
        ends = [self.start + k * self.count // number for k in range(number + 1)]
        return [Shard(start, end - start, self.total) for start, end in pairwise(ends)]

    def of(self, samples: Tensor, part: "Shard") -> Tensor:
        """Selects the samples of a part from the samples [count, …] of this shard."""
        first = part.start - self.start
        return samples if part.count == self.count else samples[first : first + part.count]


@dataclass(frozen=True)
class WorkerGroup:
    """This worker's position in the group. If `world_size` is above 1, the caller initialises `torch.distributed`.

    Attributes:
        rank: Index of this worker, starting at 0.
        device: The device of this worker.
        host_group: The process group for communication between CPUs; None for the default group.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device | str = "cpu"
    host_group: dist.ProcessGroup | None = None

    @classmethod
    def here(cls, *, rank: int, world_size: int, device: torch.device | str) -> "WorkerGroup":
        """The group as seen by this process; makes its GPU the current one, and creates a gloo group for the CPUs.

        Raises:
            TrainingError: The workers cannot connect to each other.
        """
        device = numbered(device)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        return cls(rank, world_size, device, _host_group() if world_size > 1 else None)

    def shard(self, total: int) -> Shard:
        """This worker's part of `total` samples; the parts are consecutive, and their sizes differ by at most one."""
        start = self.rank * total // self.world_size
        return Shard(start, (self.rank + 1) * total // self.world_size - start, total)

    def mean_loss(self, losses: Tensor, shard: Shard) -> Tensor:
        """A loss whose gradients, averaged over workers by DDP, are those of the mean over the whole batch."""
        return losses.sum() * (self.world_size / shard.total)

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network wrapped in DDP, which averages its gradients over all workers; unchanged for one worker."""
        if self.world_size == 1:
            return network
        # Gradients are views into DDP's buckets, so that they are not copied.
        return DistributedDataParallel(network, gradient_as_bucket_view=True)

    @contextmanager
    def apart(self, *networks: nn.Module) -> Iterator[None]:
        """Within the block, gradients of these wrapped networks accumulate on each worker without being averaged."""
        with ExitStack() as stack:
            for network in networks:
                if isinstance(network, DistributedDataParallel):
                    stack.enter_context(network.no_sync())
            yield

    def sum(self, values: Tensor) -> Tensor:
        """Sums a float64 vector over workers; the result is on the CPU."""
        if self.world_size == 1:
            return values.cpu()
        shared = values.to(self.device, torch.float64)
        dist.all_reduce(shared)
        return shared.cpu()

    def sum_on_device(self, values: Tensor) -> Tensor:
        """Sums a vector over workers on their devices, for which the CPUs do not wait."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def agreed(self, ask: Callable[[], float], *, least: float = 1.0) -> "Agreement":
        """A question that all workers answer at each step; on GPUs, whose steps are short, one step ahead."""
        return Agreement(ask, self, ahead=torch.device(self.device).type == "cuda", least=least)

    def from_first(self, make: Callable[[], T]) -> T:
        """Calls `make` on rank 0, and returns its result or raises its exception on every rank.

        The other ranks wait on their CPUs, so that no GPU is busy and NCCL's watchdog does not expire. The result is
        pickled, which is safe because it stays within the job.
        """
        if self.world_size == 1:
            return make()
        parcel: list[tuple[T | None, BaseException | None]] = [(None, None)]
        if self.rank == 0:
            try:
                parcel = [(make(), None)]
            except LatentscapeError as fault:
                parcel = [(None, fault)]
            except BaseException as fault:
                message = [(None, TrainingError(f"rank 0: {fault!r}"))]
                dist.broadcast_object_list(message, src=0, group=self.host_group)
                raise
        dist.broadcast_object_list(parcel, src=0, group=self.host_group)
        result, raised = parcel[0]
        if raised is not None:
            raise raised
        return result  # pyright: ignore[reportReturnType]


class Agreement:
    """Whether the workers' answers have a sum of at least `least`: with answers of yes and no, whether any says yes.

    The CPUs communicate, so that no GPU has to be waited for. Every worker must call it equally often, and close it.

    Args:
        ask: Returns this worker's answer: yes or no, or a number.
        workers: The group of workers.
        ahead: Whether to ask one step ahead, so that no step waits for the messages; a yes then takes effect one step
            later.
        least: The least sum that counts as a yes.
    """

    def __init__(self, ask: Callable[[], float], workers: WorkerGroup, *, ahead: bool, least: float = 1.0) -> None:
        self._ask, self._workers, self._is_ahead, self._least = ask, workers, ahead, least
        self._ahead: tuple[Tensor, dist.Work] | None = None

    def __call__(self) -> bool:
        """The common answer for the next step."""
        if self._workers.world_size == 1:
            return self._ask() >= self._least
        answer = self._answer(self._ahead or self._asked())
        self._ahead = self._asked() if self._is_ahead and not answer else None
        return answer

    def close(self) -> None:
        """Waits for the answer that was requested for a step which does not follow."""
        if self._ahead is not None:
            self._answer(self._ahead)
            self._ahead = None

    def _asked(self) -> tuple[Tensor, dist.Work]:
        votes = torch.tensor(float(self._ask()), dtype=torch.float64)
        work = dist.all_reduce(votes, group=self._workers.host_group, async_op=True)
        assert work is not None
        return votes, work

    def _answer(self, asked: tuple[Tensor, dist.Work]) -> bool:
        votes, work = asked
        work.wait()
        return votes.item() >= self._least


def numbered(device: torch.device | str) -> torch.device:
    """The device with an index; a GPU without an index is the current one."""
    device = torch.device(device)
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _host_group() -> dist.ProcessGroup | None:
    try:
        group = dist.new_group(backend="gloo", timeout=_MEETING_TIMEOUT)
    except RuntimeError as fault:
        reason = next(filter(str.strip, str(fault).splitlines()), "").strip()
        raise TrainingError(
            f"its workers cannot set up their process group: {reason}; if the network interface is the wrong one, set "
            "GLOO_SOCKET_IFNAME to another"
        ) from fault
    if not isinstance(group, dist.ProcessGroup):
        return None
    dist.set_timeout(_HOST_TIMEOUT, group)
    return group
