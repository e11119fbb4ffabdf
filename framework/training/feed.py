"""Prepares the input of each training step in a thread, in pinned memory if it is copied to a GPU."""

from dataclasses import dataclass

import torch
from torch import Tensor

from framework.config import Experiment
from framework.data import PackedStore, Prefetcher, TrainingStream
from framework.models.condition import Condition
from framework.training.conditions import codes_of
from framework.training.steps.base_step import Step
from framework.training.steps.draws import Numbers
from framework.training.workers import WorkerGroup, numbered


@dataclass(frozen=True)
class Batch:
    """One worker's part of the input of a step.

    Attributes:
        pixels: [n, h, w, c] uint8, real images.
        mirrored: [n] bool, True for images to mirror; None without flips.
        numbers: The random numbers of the step, and the codes of the real images if there is a condition.
    """

    pixels: Tensor
    mirrored: Tensor | None
    numbers: Numbers

    def pinned(self) -> "Batch":
        """A copy in pinned memory, from which a GPU can copy asynchronously."""
        mirrored = None if self.mirrored is None else self.mirrored.pin_memory()
        return Batch(self.pixels.pin_memory(), mirrored, self.numbers.pinned())


class Feed:
    """The batches for the steps of one worker.

    Args:
        experiment: Provides seed, flips and batch size.
        step: The step that draws the random numbers.
        workers: The group of workers that share a batch.
        condition: The condition of the networks; None without one.
    """

    def __init__(
        self,
        images: PackedStore,
        experiment: Experiment,
        *,
        step: Step,
        workers: WorkerGroup,
        condition: Condition | None = None,
    ) -> None:
        self._stream = TrainingStream(images, seed=experiment.seed, horizontal_flip=experiment.data.horizontal_flip)
        self._step, self._device = step, numbered(workers.device)
        self._count = step.real_images(experiment.training.batch_size)
        self._shard = workers.shard(self._count)
        self._codes = None if condition is None else codes_of(images, condition)

    def batches(self, *, step: int, position: int) -> Prefetcher[Batch]:
        """The batches starting at a step, as a context manager (see `Prefetcher`).

        Args:
            step: The index of the first step.
            position: The position of its first real image in the training order.
        """
        return Prefetcher(lambda k: self._batch(step + k, position + k * self._count))

    def _batch(self, step: int, position: int) -> Batch:
        place = position + self._shard.start, self._shard.count
        pixels, mirrored = self._stream.batch(*place)
        numbers = self._step.draw(step)
        if self._codes is not None:
            numbers = numbers.with_codes("real", self._step.typed(self._codes[self._stream.indices(*place)]))
        batch = Batch(
            torch.from_numpy(pixels),
            None if mirrored is None else torch.from_numpy(mirrored),
            numbers,
        )
        if self._device.type != "cuda":
            return batch
        torch.cuda.set_device(self._device)  # per thread; otherwise pinning would create a context on the first GPU
        return batch.pinned()
