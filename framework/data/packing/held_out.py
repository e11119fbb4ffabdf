"""Which images training never sees."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from framework.config import DataConfig
from framework.data.sources.mnist import is_test_name
from framework.data.store import is_held_out
from framework.errors import DataError

SPLIT_NAMES = "valid, val, validation, test or testing"
_SMALL_GROUP = 3
_SPLIT = re.compile(r"(?:valid|val|validation|test|testing)[AB]?", re.IGNORECASE)


def held_out_marks(
    config: DataConfig,
    names: list[str],
    hashes: list[str],
    *,
    groups: list[np.ndarray],
    copies: Mapping[str, list[str]],
) -> np.ndarray:
    """Which images are held out, bool [n].

    They are MNIST's test split, those in folders of a split, or by content the share `data.held_out`.

    Args:
        names: [n] names of the images.
        hashes: [n] sha256 of each image's content.
        groups: Indices of near-copies, which are never on both sides. By content, a group is marked as its first
            member, or in training if it is larger than the share; by folders, it is held out if a member is.
        copies: Name of an image -> names of its exact copies, of which one in a folder of a split is enough.

    Raises:
        DataError: `data.held_out` is folders, and there is no folder of a split.
    """
    if config.source == "mnist":
        return np.array([is_test_name(name) for name in names], bool)
    if config.held_out == "folders":
        marks = np.array([any(map(split_folder, (name, *copies.get(name, ())))) for name in names], bool)
        if not marks.any():
            raise DataError(f"data.held_out: folders, but no image lies in a folder named {SPLIT_NAMES}")
        for group in groups:
            marks[group] = marks[group].any()
        return marks
    marks = np.array([is_held_out(content, config.held_out) for content in hashes], bool)
    for group in groups:
        # A group that is larger than the share would make the held-out images mostly one picture.
        fits = len(group) <= max(config.held_out * len(names), _SMALL_GROUP)
        marks[group] = fits and marks[min(group, key=lambda place: hashes[place])]
    return marks


def split_folder(name: str) -> str | None:
    """The folder in a file's path that is named like the held-out part of a data set; None if there is none.

    >>> split_folder("faces/Val/1.jpg"), split_folder("testA/1.jpg"), split_folder("train/test.jpg")
    ('Val', 'testA', None)
    """
    steps = name.replace("\\", "/").split("/")[:-1]
    return next((step for step in steps if _SPLIT.fullmatch(step)), None)


def split_folders(names: Iterable[str]) -> dict[str, int]:
    """Folder of a split -> number of files in it."""
    found: dict[str, int] = {}
    for folder in filter(None, map(split_folder, names)):
        found[folder] = found.get(folder, 0) + 1
    return found
