"""Labels from the names of images: UTKFace's file names, MNIST's digits, and folders. NaN stands for unknown."""

import re

import numpy as np

from framework.data.labels import Labels
from framework.data.sources.labels.matching import steps_of
from framework.data.sources.mnist import digit_of

RACES = ["white", "black", "asian", "indian", "other"]
AGE_GROUPS = ["child", "young", "adult", "old"]
FOLDER_LABEL = "folder"
_AGE_GROUP_STARTS = [0, 13, 30, 55]
_UTKFACE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\D")
_SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation"}


def utkface_labels(names: list[str]) -> Labels:
    """Age in years, female (0 or 1), race and age group from names `<age>_<gender>_<race>_<date>`.

    All labels of a malformed name are unknown.

    >>> labels = utkface_labels(["UTKFace/61_1_3_20170109150557335.jpg.chip.jpg", "61_1_20170109.jpg"])
    >>> labels.values["age"].tolist(), labels.classes["race"][int(labels.values["race"][0])]
    ([61.0, nan], 'indian')
    """
    rows = np.full((len(names), 4), np.nan, np.float32)
    for row, name in zip(rows, names, strict=True):
        match = _UTKFACE_NAME.match(re.split(r"[/\\]", name)[-1])
        if match:
            age, female, race = map(int, match.groups())
            row[:] = age, female, race, np.searchsorted(_AGE_GROUP_STARTS, age, side="right") - 1
    age, female, race, age_group = np.ascontiguousarray(rows.T)
    values = {"age": age, "female": female, "race": race, "age_group": age_group}
    return Labels(values, {"race": RACES, "age_group": AGE_GROUPS})


def mnist_labels(names: list[str]) -> Labels:
    """The label `digit` with the classes 0 to 9.

    >>> mnist_labels(["train-00042-7"]).values["digit"].tolist()
    [7.0]
    """
    digits = np.array([digit_of(name) for name in names], np.float32)
    return Labels({"digit": digits}, {"digit": [str(digit) for digit in range(10)]})


def folders_of(names: list[str]) -> list[str]:
    """The class folder of each image: the first folder on its path in which images differ; empty if it has none.

    A level of splits alone, such as `train` and `valid`, is passed over.

    >>> folders_of(["faces/train/cat/1.png", "faces/valid/dog/1.png", "faces/train/dog/2.png"])
    ['cat', 'dog', 'dog']
    """
    paths = [steps_of(name)[:-1] for name in names]
    for level in range(max(map(len, paths), default=0)):
        found = {path[level] for path in paths if len(path) > level}
        if len(found) > 1 and not {name.lower() for name in found} <= _SPLITS:
            return [path[level] if len(path) > level else "" for path in paths]
    return [""] * len(names)
