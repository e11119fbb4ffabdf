"""What each step takes, made ahead by a thread and laid where a GPU copies it from without a wait."""

from dataclasses import dataclass

import torch
from torch import Tensor

from framework.config import Experiment
from framework.data import PackedStore, Prefetcher, TrainingStream
from framework.training.steps.base_step import Step
from framework.training.steps.draws import Numbers
from framework.training.workers import WorkerGroup, numbered


@dataclass(frozen=True)
class Batch:
    """One worker's part of what a step takes.

    Attributes:
        pixels: [n, h, w, c] uint8, real images.
        mirrored: [n] bool, which of them are turned left to right first; None where none ever is.
        numbers: The step's random numbers.
    """

    pixels: Tensor
    mirrored: Tensor | None
    numbers: Numbers

    def pinned(self) -> "Batch":
        """In memory that a GPU copies from while the CPU goes on."""
        mirrored = None if self.mirrored is None else self.mirrored.pin_memory()
        return Batch(self.pixels.pin_memory(), mirrored, self.numbers.pinned())


class Feed:
    """Batches for the steps of one worker.

    Args:
        images: The store of training images.
        experiment: Its seed, its flips and its batch size.
        step: Draws the numbers.
        workers: Who shares a batch.
    """

    def __init__(self, images: PackedStore, experiment: Experiment, *, step: Step, workers: WorkerGroup) -> None:
        self._stream = TrainingStream(images, seed=experiment.seed, horizontal_flip=experiment.data.horizontal_flip)
        self._step, self._device = step, numbered(workers.device)
        self._count = step.real_images(experiment.training.batch_size)
        self._shard = workers.shard(self._count)

    def batches(self, *, step: int, position: int) -> Prefetcher[Batch]:
        """The batches from a step on; a context (see Prefetcher).

        Args:
            step: The number of the first.
            position: Of its first real image in the training order.
        """
        return Prefetcher(lambda k: self._batch(step + k, position + k * self._count))

    def _batch(self, step: int, position: int) -> Batch:
        pixels, mirrored = self._stream.batch(position + self._shard.start, self._shard.count)
        batch = Batch(
            torch.from_numpy(pixels),
            None if mirrored is None else torch.from_numpy(mirrored),
            self._step.draw(step),
        )
        if self._device.type != "cuda":
            return batch
        torch.cuda.set_device(self._device)  # of this thread; else it would open the first GPU beside its own
        return batch.pinned()
