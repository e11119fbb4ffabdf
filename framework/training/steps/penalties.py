"""The gradient penalties R1 and R2 of the discriminator, and the gamma that `auto` stands for."""

from collections.abc import Mapping

import torch
from torch import Tensor

from framework.config import Experiment
from framework.config.schedule import highest, value_at
from framework.training.steps.base_step import joined

_NAMES = {"real": "r1", "fake": "r2"}
"""Which images a penalty is on, and its name: R1 on real, R2 on generated images."""


def gamma_lines(experiment: Experiment) -> list[str]:
    """A line for each gamma that is `auto`, with its value."""
    keys = [name for name in ("r1_gamma", "r2_gamma") if getattr(experiment.objective, name) == "auto"]
    side, batch = experiment.data.resolution, experiment.training.batch_size
    return [f"objective.{name}: auto is {experiment.gamma(name):.4g} (0.0002 · {side}² / {batch})" for name in keys]


class GradientPenalties:
    """Lazily, once in `objective.r1_every_steps` steps and as many times as heavy then (Karras et al. 2020).

    The penalty of an image is gamma / 2 times the squared norm of the gradient of its logit by its pixels before
    augmentation (Mescheder et al. 2018): R1 on real images, R2 on generated ones. Only a penalty whose gamma is ever
    above 0 is computed.
    """

    def __init__(self, experiment: Experiment) -> None:
        gammas = {"real": experiment.gamma("r1_gamma"), "fake": experiment.gamma("r2_gamma")}
        self._gammas = {purpose: gamma for purpose, gamma in gammas.items() if highest(gamma)}
        self._every_steps = experiment.objective.r1_every_steps
        self._found: dict[str, list[Tensor]] = {purpose: [] for purpose in self._gammas}

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the values of `shares`."""
        return tuple(f"{_NAMES[purpose]}_penalty" for purpose in self._gammas)

    def watched(self, images: Tensor, purpose: str, *, step: int) -> Tensor:
        """The images [n, c, h, w]; in steps with their penalty they require gradients."""
        return images.requires_grad_(purpose in self._gammas and step % self._every_steps == 0)

    def of(self, pairs: Mapping[str, tuple[Tensor, Tensor]], *, images_seen: int) -> Tensor | None:
        """The weighted penalties [n], summed over the kinds of images; None in a step without.

        Args:
            pairs: Purpose -> the logits [n] of watched images and the images.
            images_seen: Images seen before this step, by which gamma may follow a schedule.
        """
        due = {purpose: pair for purpose, pair in pairs.items() if pair[1].requires_grad}
        if not due:
            return None
        # One backward for all, because it goes through the graph of the whole batch.
        weighted = []
        for purpose, slopes in zip(due, squared_slopes(*due.values()), strict=True):
            losses = value_at(self._gammas[purpose], images_seen) / 2 * self._every_steps * slopes
            self._found[purpose].append(losses.detach())
            weighted.append(losses)
        return weighted[0] if len(weighted) == 1 else weighted[0] + weighted[1]

    def shares(self, images: int, *, like: Tensor) -> list[Tensor]:
        """This worker's share of each penalty's mean over the batch since the last call; 0 in a step without.

        Args:
            images: Number of images in the batch over all workers.
            like: Gives the device.
        """
        values = []
        for purpose, found in self._found.items():
            values.append(joined(found).double().sum() / images if found else like.new_zeros((), dtype=torch.float64))
            self._found[purpose] = []
        return values


def squared_slopes(*pairs: tuple[Tensor, Tensor]) -> list[Tensor]:
    """The squared norms of logits' gradients by their images; gamma / 2 times their mean is R1 or R2.

    Args:
        pairs: Logits [n] and the images [n, c, h, w], requiring gradients, that they were computed from.

    Returns:
        [n] each, differentiable with respect to the discriminator's weights.
    """
    totals, images = [logits.sum() for logits, _ in pairs], [images for _, images in pairs]
    slopes = torch.autograd.grad(totals, images, create_graph=True)
    # The last bias does not affect the slopes. The term gives it a zero gradient, because DDP waits for every weight.
    return [slope.square().sum(dim=(1, 2, 3)) + 0.0 * logits for slope, (logits, _) in zip(slopes, pairs, strict=True)]
