"""The group of workers that share one training: who one is, and how they agree."""

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

# All meet within minutes, or never. Later rank 0 may wait for a score, which takes as long as it takes; a rank that is
# lost closes its connection at once.
_MEETING_TIMEOUT = datetime.timedelta(minutes=5)
_HOST_TIMEOUT = datetime.timedelta(days=7)


@dataclass(frozen=True)
class Shard:
    """One worker's part of a batch: samples `start` … `start + count - 1` of `total`."""

    start: int
    count: int
    total: int

    def passes(self, images_per_pass: int | None) -> list["Shard"]:
        """Itself in parts of at most so many samples, as even as can be; None: in one.

        >>> [part.count for part in Shard(4, 10, 32).passes(4)]
        [3, 3, 4]
        """
        number = 1 if images_per_pass is None else max(1, -(-self.count // images_per_pass))
        ends = [self.start + k * self.count // number for k in range(number + 1)]
        return [Shard(start, end - start, self.total) for start, end in pairwise(ends)]

    def of(self, samples: Tensor, part: "Shard") -> Tensor:
        """Of this shard's samples [count, …] those of a part of it."""
        first = part.start - self.start
        return samples if part.count == self.count else samples[first : first + part.count]


@dataclass(frozen=True)
class WorkerGroup:
    """This worker's place. `torch.distributed` is initialised by the caller where `world_size` is over 1.

    Args:
        rank: From 0.
        world_size: How many there are.
        device: Where this one computes.
        host_group: The group for what the CPUs agree on; None for the default group.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device | str = "cpu"
    host_group: dist.ProcessGroup | None = None

    @classmethod
    def here(cls, *, rank: int, world_size: int, device: torch.device | str) -> "WorkerGroup":
        """This process's place, its GPU made the current one; with a gloo group of its own for what CPUs agree on.

        Raises:
            TrainingError: The workers do not reach each other.
        """
        device = numbered(device)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        return cls(rank, world_size, device, _host_group() if world_size > 1 else None)

    def shard(self, total: int) -> Shard:
        """This worker's part of `total` samples; parts differ by one at most and follow each other."""
        start = self.rank * total // self.world_size
        return Shard(start, (self.rank + 1) * total // self.world_size - start, total)

    def mean_loss(self, losses: Tensor, shard: Shard) -> Tensor:
        """The loss whose gradients, averaged by DDP over workers, are those of the whole batch's mean."""
        return losses.sum() * (self.world_size / shard.total)

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network, its gradients averaged over all workers during backward."""
        if self.world_size == 1:
            return network
        # Gradients lie in the buckets, so that none is copied.
        return DistributedDataParallel(network, gradient_as_bucket_view=True)

    @contextmanager
    def apart(self, *networks: nn.Module) -> Iterator[None]:
        """Within it these wrapped networks' gradients add up on each worker; none is averaged."""
        with ExitStack() as stack:
            for network in networks:
                if isinstance(network, DistributedDataParallel):
                    stack.enter_context(network.no_sync())
            yield

    def sum(self, values: Tensor) -> Tensor:
        """The sum over workers of a float64 vector, on the CPU."""
        if self.world_size == 1:
            return values.cpu()
        shared = values.to(self.device, torch.float64)
        dist.all_reduce(shared)
        return shared.cpu()

    def agreed(self, ask: Callable[[], bool]) -> "Agreement":
        """A question that all workers answer before each step: on GPUs, whose steps are short, a step ahead."""
        return Agreement(ask, self, ahead=torch.device(self.device).type == "cuda")

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives on rank 0, on every rank; what it raises there is raised on every rank.

        The other ranks wait on their CPUs: no GPU spins meanwhile, and NCCL's watchdog sees nothing. It crosses by
        pickle, within one job: nothing from outside.
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
                said = [(None, TrainingError(f"rank 0: {fault!r}"))]
                dist.broadcast_object_list(said, src=0, group=self.host_group)
                raise
        dist.broadcast_object_list(parcel, src=0, group=self.host_group)
        result, raised = parcel[0]
        if raised is not None:
            raise raised
        return result  # pyright: ignore[reportReturnType]


class Agreement:
    """Whether any worker says so, agreed on by the CPUs, so that no GPU is waited for.

    Every worker asks equally often, and closes.

    Args:
        ask: This worker's answer.
        workers: Who agree.
        ahead: Each answer is asked for a step ahead, and is there when its step begins: no step waits for the message,
            and what is asked for comes a step later.
    """

    def __init__(self, ask: Callable[[], bool], workers: WorkerGroup, *, ahead: bool) -> None:
        self._ask, self._workers, self._is_ahead = ask, workers, ahead
        self._ahead: tuple[Tensor, dist.Work] | None = None

    def __call__(self) -> bool:
        """The answer for the step that comes now."""
        if self._workers.world_size == 1:
            return self._ask()
        answer = self._answer(self._ahead or self._asked())
        self._ahead = self._asked() if self._is_ahead and not answer else None
        return answer

    def close(self) -> None:
        """Waits for the answer to a step that never came."""
        if self._ahead is not None:
            self._answer(self._ahead)
            self._ahead = None

    def _asked(self) -> tuple[Tensor, dist.Work]:
        said = torch.tensor(float(self._ask()))
        work = dist.all_reduce(said, group=self._workers.host_group, async_op=True)
        assert work is not None
        return said, work

    def _answer(self, asked: tuple[Tensor, dist.Work]) -> bool:
        said, work = asked
        work.wait()
        return bool(said.item())


def numbered(device: torch.device | str) -> torch.device:
    """The same; of a GPU without a number the current one."""
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
            f"its workers cannot set up their process group: {reason}; where the network interface is the wrong one, "
            "GLOO_SOCKET_IFNAME names another"
        ) from fault
    if not isinstance(group, dist.ProcessGroup):
        return None
    dist.set_timeout(_HOST_TIMEOUT, group)
    return group
