"""Differentiable augmentation of real and generated images.

`color`, `translation` and `cutout` are DiffAugment's (Zhao et al. 2020); the others are in the manner of ADA (Karras et
al. 2020). Each image is augmented by its own row of numbers, so the result does not depend on sharding. All operations
are differentiable twice with respect to the images, as R1 requires.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from framework.config.schema import AUGMENTATIONS
from framework.training.steps.geometry import moved, shifted

# Uniform numbers per image: 3 for color, 2 for translation, 2 for cutout.
NUMBERS = 7
_MORE = ("flip", "scale", "rotation", "hue", "saturation", "noise")
_GATE = NUMBERS + len(_MORE)  # column of the number that decides on the first operation
MORE_NUMBERS = len(_MORE) + len(AUGMENTATIONS)
"""Uniform numbers per image, after the first 7, where another operation or a probability needs them: one for each other
operation, then one for each operation that decides whether it is applied."""
_PIXELS = NUMBERS + MORE_NUMBERS  # column of the first number of the noise

_LARGEST_SHIFT = 1 / 8
_CUTOUT_SIDE = 1 / 2
_LARGEST_ZOOM = 1.25
_LARGEST_ANGLE = math.radians(10.0)
_LARGEST_HUE = math.radians(36.0)
_LARGEST_NOISE = 0.1

Operation = Callable[[Tensor, Tensor], Tensor]


def color(images: Tensor, numbers: Tensor) -> Tensor:
    """Changes brightness by -0.5 … 0.5, saturation by a factor 0 … 2, and contrast by a factor 0.5 … 1.5.

    Args:
        images: [n, c, h, w] in [-1, 1].
        numbers: [n, 7 or more] in [0, 1).

    Returns:
        [n, c, h, w], not limited to [-1, 1].
    """
    brightness, saturation, contrast = (column.view(-1, 1, 1, 1) for column in numbers[:, :3].unbind(1))
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = (images - grey) * (2.0 * saturation) + grey
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - level) * (contrast + 0.5) + level


def hue(images: Tensor, numbers: Tensor) -> Tensor:
    """Turns colours around the grey axis by -36 … 36 degrees; the mean of the channels of a pixel is kept."""
    angle = ((2.0 * _more(numbers, "hue") - 1.0) * _LARGEST_HUE).view(-1, 1, 1, 1)
    grey = images.mean(dim=1, keepdim=True)
    colour = images - grey
    # Rodrigues' formula; the difference of the rolled channels is sqrt(3) times the product of the axis and the colour.
    across = (colour.roll(1, dims=1) - colour.roll(-1, dims=1)) / math.sqrt(3.0)
    return grey + colour * angle.cos() + across * angle.sin()


def saturation(images: Tensor, numbers: Tensor) -> Tensor:
    """Changes saturation by a factor 0 … 2, as `color` does."""
    grey = images.mean(dim=1, keepdim=True)
    return (images - grey) * (2.0 * _more(numbers, "saturation").view(-1, 1, 1, 1)) + grey


def noise(images: Tensor, numbers: Tensor) -> Tensor:
    """Adds Gaussian noise with a standard deviation of 0 … 0.1 of an image, whose pixels are -1 … 1."""
    deviation = (_LARGEST_NOISE * _more(numbers, "noise")).view(-1, 1, 1, 1)
    return images + deviation * numbers[:, _PIXELS:].reshape(images.shape)


def flip(images: Tensor, numbers: Tensor) -> Tensor:
    """Mirrors half of the images left to right."""
    return torch.where(_more(numbers, "flip").view(-1, 1, 1, 1) < 0.5, images.flip(3), images)


def translation(images: Tensor, numbers: Tensor) -> Tensor:
    """Shifts images by up to an eighth of the side in each direction; the border is filled with grey (0)."""
    return shifted(images, *_shifts(images, numbers))


def cutout(images: Tensor, numbers: Tensor) -> Tensor:
    """Replaces a square of half the side, with its centre anywhere in the image, by grey (0)."""
    outside = [
        _outside(numbers[:, 5], images.shape[2], like=images).unsqueeze(2),
        _outside(numbers[:, 6], images.shape[3], like=images).unsqueeze(1),
    ]
    return images * torch.maximum(*outside).unsqueeze(1)


# In the order in which they are applied; between the two, what moves the picture.
_BEFORE: dict[str, Operation] = {"flip": flip, "hue": hue, "saturation": saturation, "color": color}
_MOVES = ("scale", "rotation", "translation")
_AFTER: dict[str, Operation] = {"noise": noise, "cutout": cutout}
ORDER = (*_BEFORE, *_MOVES, *_AFTER)
"""All operations, in the order in which they are applied."""


@dataclass(frozen=True)
class Augmentation:
    """The chosen operations, always in the same order.

    Scale, rotation and translation are done by one resampling, so that the picture is interpolated once.

    Attributes:
        names: The operations.
        gated: Whether each image gets each operation with a probability, independently; else it gets all of them.
    """

    names: frozenset[str]
    gated: bool

    @property
    def more_numbers(self) -> int:
        """How many uniform numbers per image are needed after the first 7."""
        return MORE_NUMBERS if self.gated or self.names & {*_MORE} else 0

    def noise_numbers(self, *, resolution: int, channels: int) -> int:
        """How many standard normal numbers per image are needed after the uniform ones."""
        return channels * resolution**2 if "noise" in self.names else 0

    def with_sure(self, numbers: Tensor, names: Sequence[str]) -> Tensor:
        """The numbers with which image k gets operation `names[k]` at any probability above 0, if `gated`."""
        columns = torch.tensor([_GATE + AUGMENTATIONS.index(name) for name in names]).unsqueeze(1)
        return numbers.scatter(1, columns, 0.0)

    def __call__(self, images: Tensor, numbers: Tensor, probability: float | Tensor = 1.0) -> Tensor:
        """Augments images.

        Args:
            images: [n, c, h, w] in [-1, 1].
            numbers: [n, 7 + `more_numbers` + `noise_numbers`]; all but the noise's in [0, 1).
            probability: That of each operation, if `gated`.

        Returns:
            [n, c, h, w], not limited to [-1, 1]; an image that gets no operation is returned exactly.
        """
        for name, operation in _BEFORE.items():
            images = self._applied(name, operation, images, numbers, probability)
        if self.names & {"scale", "rotation"}:
            images = self._moved(images, numbers, probability)
        else:
            images = self._applied("translation", translation, images, numbers, probability)
        for name, operation in _AFTER.items():
            images = self._applied(name, operation, images, numbers, probability)
        return images

    def _applied(
        self, name: str, operation: Operation, images: Tensor, numbers: Tensor, probability: float | Tensor
    ) -> Tensor:
        if name not in self.names:
            return images
        changed = operation(images, numbers)
        if not self.gated:
            return changed
        return torch.where(self._chosen(name, numbers, probability).view(-1, 1, 1, 1), changed, images)

    def _moved(self, images: Tensor, numbers: Tensor, probability: float | Tensor) -> Tensor:
        """Scale by a factor 0.8 … 1.25 (log-uniform), rotation by -10 … 10 degrees, and translation, in this order."""
        zoom = _LARGEST_ZOOM ** (2.0 * _more(numbers, "scale") - 1.0)
        angle = (2.0 * _more(numbers, "rotation") - 1.0) * _LARGEST_ANGLE
        rows, columns = _shifts(images, numbers)
        scales, turns, shifts = (self._chosen(name, numbers, probability) for name in _MOVES)
        changed = moved(
            images,
            zoom=torch.where(scales, zoom, 1.0),
            angle=torch.where(turns, angle, 0.0),
            rows=torch.where(shifts, rows, 0),
            columns=torch.where(shifts, columns, 0),
        )
        return torch.where((scales | turns | shifts).view(-1, 1, 1, 1), changed, images)

    def _chosen(self, name: str, numbers: Tensor, probability: float | Tensor) -> Tensor:
        """[n] bool, True for the images that get an operation."""
        if self.gated and name in self.names:
            return numbers[:, _GATE + AUGMENTATIONS.index(name)] < probability
        return torch.full_like(numbers[:, 0], name in self.names, dtype=torch.bool)


def build_augmentation(names: Sequence[str], *, gated: bool = False) -> Augmentation | None:
    """The augmentation by the named operations; None if no name is given.

    Args:
        names: Of `objective.augmentations`.
        gated: See `Augmentation`.
    """
    return Augmentation(frozenset(names), gated) if names else None


def _more(numbers: Tensor, name: str) -> Tensor:
    return numbers[:, NUMBERS + _MORE.index(name)]


def _shifts(images: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """[n] int64, by how many pixels images are moved down and right."""
    sides = zip((3, 4), images.shape[2:], strict=True)
    down, right = (_shift(numbers[:, column], round(side * _LARGEST_SHIFT)) for column, side in sides)
    return down, right


def _shift(numbers: Tensor, most: int) -> Tensor:
    return (numbers * (2 * most + 1)).floor().long() - most


def _outside(numbers: Tensor, side: int, *, like: Tensor) -> Tensor:
    """[n, side] with 0 inside the interval of the square and 1 outside."""
    size = round(side * _CUTOUT_SIDE)
    first = (numbers * (side + 1)).floor().long().view(-1, 1) - size // 2
    index = torch.arange(side, device=like.device).view(1, -1)
    return ((index < first) | (index >= first + size)).to(like.dtype)
