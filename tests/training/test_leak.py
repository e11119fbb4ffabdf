"""The leak of augmentations: about 0 for real images, nearly 1 for augmented ones."""

import numpy as np
import pytest

from framework.training.leak import augmented, leak_classifier, measured_leak, plain_images, traceable

OPERATIONS = ["color", "translation", "cutout"]


def test_plain_images_have_no_leak_and_augmented_ones_a_full_one(images):
    learned, judged = plain_images(images)
    assert len(learned) == 160  # nothing is held out of these 200
    assert not set(learned) & set(judged)
    network = leak_classifier(images, OPERATIONS)
    plain = measured_leak(network, images, OPERATIONS, images.images[np.sort(judged)])
    assert plain.value == 0.0
    assert plain.detail["plain"] < 0.1
    assert plain.detail["augmented"] > 0.85
    leaked = augmented(images.images[np.sort(judged)], OPERATIONS, step=10**6)
    found = measured_leak(network, images, OPERATIONS, leaked)
    assert found.value > 0.8
    assert found.detail["samples"] - found.detail["plain"] == found.value
    expected = sum(share * (1 - share) / 40 for share in (found.detail["samples"], found.detail["plain"]))
    assert found.sd == pytest.approx(expected**0.5)


def test_each_augmented_image_has_one_operation_at_least(images):
    pixels = np.array(images.images[:64])
    changed = (augmented(pixels, ["cutout", "color"], step=0) != pixels).reshape(64, -1).any(axis=1)
    assert changed.mean() > 0.95  # a square may lie outside for the most part, and be grey where the image is
    assert traceable(["flip"]) == []
