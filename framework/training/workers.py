"""The group of workers that share one training: who one is, and how they agree."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from framework.errors import LatentscapeError, TrainingError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One worker's part of a batch: samples `start` … `start + count - 1` of `total`."""

    start: int
    count: int
    total: int


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
        """This process's place; beside NCCL, a gloo group for what is asked before each step and waits for no GPU."""
        beside = world_size > 1 and torch.device(device).type == "cuda"
        group = dist.new_group(backend="gloo") if beside else None
        return cls(rank, world_size, device, group if isinstance(group, dist.ProcessGroup) else None)

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

    def sum(self, values: Tensor) -> Tensor:
        """The sum over workers of a float64 vector, on the CPU."""
        if self.world_size == 1:
            return values.cpu()
        shared = values.to(self.device, torch.float64)
        dist.all_reduce(shared)
        return shared.cpu()

    def any(self, flag: bool) -> bool:
        """Whether any worker says so; agreed on by the CPUs, so that no GPU is waited for."""
        if self.world_size == 1:
            return flag
        said = torch.tensor(float(flag))
        dist.all_reduce(said, group=self.host_group)
        return bool(said.item())

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives on rank 0, on every rank; what it raises there is raised on every rank.

        It crosses by pickle, within one job: nothing from outside.
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
                dist.broadcast_object_list([(None, TrainingError(f"rank 0: {fault!r}"))], src=0)
                raise
        dist.broadcast_object_list(parcel, src=0)
        result, raised = parcel[0]
        if raised is not None:
            raise raised
        return result  # pyright: ignore[reportReturnType]
