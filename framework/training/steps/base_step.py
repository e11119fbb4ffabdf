"""Base class of training steps: counts images, applies the optimizers, warms up DDP."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

import numpy as np
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
        state: The state that the step updates.
        experiment: Provides the objective and the sizes.
        workers: The group of workers that share a batch.
        precision: The precision of the computation.
    """

    METRIC_NAMES: ClassVar[tuple[str, ...]]
    """Names of the metrics of every step of this class. A value is this rank's share of the batch's mean, so that the
    sum over ranks is the mean. The last two are norms of gradients."""
    NAN_HINT: ClassVar[str]
    """Hint for the error message if a metric is not finite."""

    def __init__(self, state: S, *, experiment: Experiment, workers: WorkerGroup, precision: Precision) -> None:
        self._state, self._workers, self._precision = state, workers, precision
        self._batch = experiment.training.batch_size
        self._images_per_pass = experiment.compute.images_per_pass
        self._prepare(experiment)
        self._warm_up_ddp_buckets()

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the metrics of this step: `METRIC_NAMES`, and those of what is turned on before the norms."""
        return self.METRIC_NAMES

    @abstractmethod
    def _prepare(self, experiment: Experiment) -> None:
        """Prepares what the step of a family needs, once."""

    @staticmethod
    def real_images(batch_size: int) -> int:
        """Number of training images in a step of this batch size."""
        return batch_size

    def draw(self, step: int) -> Numbers:  # noqa: ARG002
        """The random numbers of this worker's part of a step, on the CPU; thread-safe, and callable for any step."""
        return Numbers({}, {})

    def typed(self, numbers: np.ndarray) -> Tensor:
        """An array of numbers, on the CPU, in the type of latents and images."""
        return torch.from_numpy(numbers).to(self._precision.dtype)

    def __call__(self, pixels: Tensor, mirrored: Tensor | None = None, *, numbers: Numbers | None = None) -> Tensor:
        """Runs one step and updates the state.

        If the arguments are in pinned memory or on the device, the step does not wait for copies.

        Args:
            pixels: [n, h, w, c] uint8, this worker's part of the `real_images`.
            mirrored: [n] bool, True for images to mirror; None mirrors none.
            numbers: The result of `draw` for this step; None draws the numbers now.

        Returns:
            [len(metric_names)] float64, this worker's part of the metrics.
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
        state.follow_schedules()
        for average in state.ema_networks().values():
            average.update(self._batch, images_seen=state.images_seen)
        return figures

    @abstractmethod
    def _move(self, real: Tensor, *, step: int, numbers: Numbers) -> Tensor: ...

    def _placed(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._workers.device, non_blocking=True)

    def _in_one_pass(self, shard: Shard) -> bool:
        """Whether every worker's part of this batch fits into one pass; the same on all workers, as DDP requires."""
        largest = -(-shard.total // self._workers.world_size)
        return self._images_per_pass is None or largest <= self._images_per_pass

    def _update(
        self, loss_of: Callable[[Shard], Tensor], shard: Shard, *optimizers: Optimizer, through: Sequence[nn.Module]
    ) -> Sequence[Tensor]:
        """Runs the backward of each pass, then one step of each optimizer.

        Args:
            loss_of: Computes the loss of a part of the shard.
            shard: This worker's part of the batch.
            optimizers: The optimizers of the trained networks.
            through: These networks, wrapped; their gradients are averaged over the workers in the last pass.

        Returns:
            The norm of the gradients of each optimizer.
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
        """Runs a backward of each network before the first step.

        DDP rearranges its gradient buckets after the first backward, and then sums in a different order. Without this,
        a resumed training would differ by rounding from one that was not interrupted.
        """
        if self._workers.world_size == 1:
            return
        for _ in range(2):
            self._dry_step()
        for network in self._state.networks().values():
            network.zero_grad(set_to_none=True)

    @abstractmethod
    def _dry_step(self) -> None:
        """Runs a backward through each wrapped network, without an update."""


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Concatenates the results of the passes."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
