"""A sheet that shows what the augmentations of an experiment do to its own training images."""

from collections.abc import Mapping

import numpy as np
import torch

from framework.config import Experiment
from framework.data import PackedStore
from framework.images import from_pixels, to_pixels
from framework.images.layout import Row, strips
from framework.training.steps.augment import ORDER, Augmentation, build_augmentation
from framework.training.steps.draws import augmentation_numbers

_COLUMNS = 8
_ADAPTIVE = (0.2, 0.5, 0.8)  # what an adaptive probability may come to


def augmentation_sheet(images: PackedStore, experiment: Experiment) -> np.ndarray:
    """Draws rows of the same training images: plain, by each operation alone, by all, and at the set probability.

    Args:
        images: The packed images.
        experiment: Provides the operations, of which there must be one at least, and their probability.

    Returns:
        [H, W, 3] uint8.
    """
    config, indices = experiment.objective, images.training_indices
    names = [name for name in ORDER if name in config.augmentations]
    chosen = images.images[indices[:: max(1, len(indices) // _COLUMNS)][:_COLUMNS]]
    plain = from_pixels(chosen)
    alone = [Row(_augmented(plain, build_augmentation([name]), experiment.seed), label=name) for name in names]
    rows = [Row(chosen, label="Training images"), *alone]
    every = f"All {len(names)} operations" if len(names) > 1 else names[0]
    if len(names) > 1:
        rows.append(Row(_augmented(plain, build_augmentation(names), experiment.seed), label=f"{every}, probability 1"))
    for words, probability in _probabilities(experiment):
        pictures = _augmented(plain, build_augmentation(names, gated=True), experiment.seed, probability)
        rows.append(Row(pictures, label=f"{every}, each with probability {probability:g}{words}"))
    return strips(rows, title=f"Augmentations of {experiment.name}")


def _probabilities(experiment: Experiment) -> list[tuple[str, float]]:
    """What to show of the probability, and what to say of it; nothing if it is 1, which is shown anyway."""
    probability = experiment.objective.augmentation_probability
    if isinstance(probability, str):
        return [(" (adaptive: it changes)", value) for value in _ADAPTIVE]
    if isinstance(probability, Mapping):
        words = {
            " (at the start)": probability["from"],
            f" (from {probability['over']:,} images on)": probability["to"],
        }
        return list(words.items())
    return [] if probability == 1.0 else [("", probability)]


def _augmented(images: torch.Tensor, augment: Augmentation | None, seed: int, probability: float = 1.0) -> np.ndarray:
    assert augment is not None
    shape = images.permute(0, 2, 3, 1).shape
    numbers = augmentation_numbers(augment, shape, seed=seed, purpose="sheet", step=0)
    return to_pixels(augment(images, numbers, probability))
