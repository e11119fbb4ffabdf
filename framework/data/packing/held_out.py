"""Which images training never sees."""

import numpy as np

from framework.config import DataConfig
from framework.data.sources.mnist import is_test_name
from framework.data.store import is_held_out


def held_out_marks(config: DataConfig, names: list[str], hashes: list[str], groups: list[np.ndarray]) -> np.ndarray:
    """Which images are held out, bool [n]: MNIST's test split; of other sources the share `data.held_out`, by content.

    Args:
        names: [n] names of the images.
        hashes: [n] sha256 of each image's content.
        groups: Indices of near-copies. A group is marked as its first member by content, so that none is on both sides.
    """
    if config.source == "mnist":
        return np.array([is_test_name(name) for name in names], bool)
    marks = np.array([is_held_out(content, config.held_out) for content in hashes], bool)
    for group in groups:
        marks[group] = marks[min(group, key=lambda place: hashes[place])]
    return marks
