"""The sheet of augmentations: its rows, and that they are those of the experiment."""

import numpy as np
import pytest

from framework.config import Experiment, with_overrides
from framework.training.reports.augmentation_sheet import augmentation_sheet


def sheet(images, names, probability):
    settings = {"objective.augmentations": names, "objective.augmentation_probability": probability}
    return augmentation_sheet(images, with_overrides(Experiment(), settings))


@pytest.mark.parametrize(
    ("names", "probability", "rows"),
    [
        (["color"], 1.0, 2),
        (["color"], 0.5, 3),
        (["noise", "scale"], 1.0, 4),
        (["noise", "scale"], {"from": 0, "to": 0.3, "over": 1_000}, 6),
        (["noise", "scale"], "adaptive", 7),
    ],
)
def test_a_row_for_each_operation_for_all_and_for_each_probability(images, names, probability, rows):
    one, more = sheet(images, ["color"], 1.0), sheet(images, names, probability)
    row = sheet(images, ["color"], 0.5).shape[0] - one.shape[0]
    assert (more.shape[0] - one.shape[0]) / row == rows - 2
    assert more.shape[1] == one.shape[1]
    np.testing.assert_array_equal(sheet(images, names, probability), more)
