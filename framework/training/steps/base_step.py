"""What a step of any family has: the clock it moves, the optimizers, and how DDP is settled."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from framework.config import Experiment
from framework.images import to_model_range
from framework.training.precision import Precision
from framework.training.state import State
from framework.training.steps.draws import Numbers
from framework.training.workers import Shard, WorkerGroup

S = TypeVar("S", bound=State)


class Step(ABC, Generic[S]):
    """One step on one worker's part of a batch; the gradients are those of the whole batch.

    Args:
        state: What it moves.
        experiment: Objective and sizes.
        workers: Who shares the batch.
        precision: What it computes with.
    """

    METRIC_NAMES: ClassVar[tuple[str, ...]]
    """What a step gives: each rank's share of the whole batch's mean, so that a sum over ranks is that mean; the norms
    of two gradients last."""
    NAN_HINT: ClassVar[str]
    """What may help where something is no longer finite."""

    def __init__(self, state: S, *, experiment: Experiment, workers: WorkerGroup, precision: Precision) -> None:
        self._state, self._workers, self._precision = state, workers, precision
        self._batch = experiment.training.batch_size
        self._images_per_pass = experiment.compute.images_per_pass
        self._prepare(experiment)
        self._warm_up_ddp_buckets()

    @abstractmethod
    def _prepare(self, experiment: Experiment) -> None:
        """Whatever the family needs, chosen once."""

    @staticmethod
    def real_images(batch_size: int) -> int:
        """How many training images a step of `batch_size` takes."""
        return batch_size

    def draw(self, step: int) -> Numbers:  # noqa: ARG002
        """The random numbers of this worker's part of a step, on the CPU; any thread may ask, for any step."""
        return Numbers({}, {})

    def __call__(self, pixels: Tensor, mirrored: Tensor | None = None, *, numbers: Numbers | None = None) -> Tensor:
        """Moves the state by one step.

        Args:
            pixels: [n, h, w, c] uint8, this worker's part of the `real_images`.
            mirrored: [n] bool, True for images that are turned left to right first; None turns none.
            numbers: What `draw` gave for this step; None draws it now. Where all three lie in pinned memory, or on
                the device, no copy is waited for.

        Returns:
            [len(FIGURES)] float64, this worker's part of `FIGURES`.
        """
        state = self._state
        pixels = self._placed(pixels)
        if mirrored is not None:
            pixels = torch.where(self._placed(mirrored).view(-1, 1, 1, 1), pixels.flip(2), pixels)
        real = to_model_range(pixels).to(self._precision.dtype)
        drawn = self.draw(state.steps) if numbers is None else numbers
        figures = self._move(real, step=state.steps, numbers=drawn.to(self._workers.device))
        state.steps += 1
        state.images_seen += self._batch
        state.real_images_seen += self.real_images(self._batch)
        for average in state.ema_networks().values():
            average.update(self._batch, images_seen=state.images_seen)
        return figures

    @abstractmethod
    def _move(self, real: Tensor, *, step: int, numbers: Numbers) -> Tensor: ...

    def _placed(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._workers.device, non_blocking=True)

    def _in_one_pass(self, shard: Shard) -> bool:
        """Whether every worker's part of the same batch is; all of them call their wrapped networks in one order."""
        largest = -(-shard.total // self._workers.world_size)
        return self._images_per_pass is None or largest <= self._images_per_pass

    def _update(
        self, loss_of: Callable[[Shard], Tensor], shard: Shard, *optimizers: Optimizer, through: Sequence[nn.Module]
    ) -> Sequence[Tensor]:
        """The backward of each pass, and one Adam step each; gives the gradients' norms.

        Args:
            loss_of: The loss of a part of the shard, computed now.
            shard: This worker's.
            optimizers: Of the networks that learn.
            through: These networks, wrapped; with the last pass their gradients are averaged over the workers.
        """
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        *others, last = shard.passes(self._images_per_pass)
        for part in others:
            with self._workers.apart(*through):
                loss_of(part).backward()
        loss_of(last).backward()
        norms = []
        for optimizer in optimizers:
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
            norms.append(torch.nn.utils.get_total_norm(gradients))
            optimizer.step()
        return norms

    def _warm_up_ddp_buckets(self) -> None:
        """Lets DDP see one backward of each network before the first step.

        It lays its gradient buckets anew after the first one, and sums in another order from then on: a run that was
        stopped and went on would differ from one that was not by its rounding.
        """
        if self._workers.world_size == 1:
            return
        for _ in range(2):
            self._dry_step()
        for network in self._state.networks().values():
            network.zero_grad(set_to_none=True)

    @abstractmethod
    def _dry_step(self) -> None:
        """A backward through each wrapped network."""


def joined(parts: Sequence[Tensor]) -> Tensor:
    """What the passes gave, one after the other."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
