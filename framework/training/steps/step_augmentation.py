"""The augmentation of a training's steps, with a probability that is fixed, scheduled or adapted to overfitting."""

import torch
from torch import Tensor

from framework.config import Experiment, ObjectiveConfig
from framework.config.schedule import highest, value_at
from framework.training.state import TrainState
from framework.training.steps.augment import build_augmentation
from framework.training.steps.draws import Numbers
from framework.training.workers import Shard, WorkerGroup

INTERVAL_STEPS = 4


class AdaptiveProbability:
    """The adaptive augmentation of ADA (Karras et al. 2020): more where the discriminator overfits.

    Its measure of overfitting is the mean sign of the margins of real images (`Objective.margins`: logits, or their
    differences in a loss of pairs), over all workers and the steps of an interval. Above the target the probability
    rises, below it falls, always at the same speed.

    Args:
        state: [3] float64 on the device: the probability, and the sum of signs and the number of margins since it last
            changed. Equal on all workers after each step, since sums of signs are exact.
        config: Provides target and speed.
        batch_size: Images seen per step.
        workers: The group of workers that share a batch.
    """

    def __init__(self, state: Tensor, config: ObjectiveConfig, *, batch_size: int, workers: WorkerGroup) -> None:
        self._state, self._target, self._workers = state, config.augmentation_target, workers
        self._change = INTERVAL_STEPS * batch_size / config.augmentation_speed_images

    def value(self) -> Tensor:
        """The current probability, a number on the device."""
        return self._state[0]

    def after_step(self, margins: Tensor, step: int) -> None:
        """Counts the margins of a step, and changes the probability at the end of an interval; waits for no device.

        Args:
            margins: [n] or, of a discriminator with several heads, [n, heads], of this worker's real images.
            step: The index of the step.
        """
        signs = margins.sign().sum(dtype=torch.float64)
        self._state[1:] += self._workers.sum_on_device(torch.stack([signs, torch.full_like(signs, margins.numel())]))
        if (step + 1) % INTERVAL_STEPS == 0:
            probability, signs, count = self._state.clone().unbind()
            change = self._change * (signs / count - self._target).sign()
            self._state.zero_()[0] = (probability + change).clamp(0.0, 1.0)


class StepAugmentation:
    """What a training augments its images with, in each step.

    Args:
        experiment: Provides the operations and their probability.
        state: Provides the number of images seen, and the state of an adaptive probability.
        workers: The group of workers that share a batch.

    Attributes:
        is_on: Whether images are augmented at all.
        more_numbers: See `Augmentation.more_numbers`.
        noise_numbers: See `Augmentation.noise_numbers`.
        adaptive: What adapts the probability; None if nothing does.
    """

    def __init__(self, experiment: Experiment, state: TrainState, *, workers: WorkerGroup) -> None:
        config = experiment.objective
        self._probability, self._state = config.augmentation_probability, state
        is_off = not isinstance(self._probability, str) and highest(self._probability) == 0.0
        augment = build_augmentation([] if is_off else config.augmentations, gated=self._probability != 1.0)
        self._augment, self.is_on = augment, augment is not None
        sizes = {"resolution": state.resolution, "channels": state.channels}
        self.more_numbers = 0 if augment is None else augment.more_numbers
        self.noise_numbers = 0 if augment is None else augment.noise_numbers(**sizes)
        self.adaptive = None
        if state.augmentation is not None:
            batch_size = experiment.training.batch_size
            self.adaptive = AdaptiveProbability(state.augmentation, config, batch_size=batch_size, workers=workers)

    def __call__(self, images: Tensor, purpose: str, numbers: Numbers, part: Shard) -> Tensor:
        """Augments a part of the images of a purpose."""
        if self._augment is None:
            return images
        return self._augment(images, numbers.augmentation(purpose, part), self.probability())

    def probability(self) -> float | Tensor:
        """The probability in the current step."""
        if isinstance(self._probability, str):
            return 1.0 if self.adaptive is None else self.adaptive.value()
        return value_at(self._probability, self._state.images_seen)
