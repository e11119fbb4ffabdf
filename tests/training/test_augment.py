"""DiffAugment: exact on known pictures, decided by each image's own numbers, differentiable twice."""

import numpy as np
import pytest
import torch

from framework.training.steps.augment import NUMBERS, build_augmentation, color, cutout, translation

MIDDLE = 0.5


def numbers(count, **columns):
    """[count, 7] of one half: what leaves a picture as it is, but for the cutout."""
    rows = torch.full((count, NUMBERS), MIDDLE, dtype=torch.float64)
    for name, value in columns.items():
        rows[:, int(name[1:])] = value
    return rows


def pictures(count=2, side=16):
    return torch.rand(count, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_colour_in_the_middle_changes_nothing():
    images = pictures()
    torch.testing.assert_close(color(images, numbers(2)), images)


def test_brightness_saturation_contrast():
    images = pictures()
    torch.testing.assert_close(color(images, numbers(2, c0=0.75)), images + 0.25)
    grey = color(images, numbers(2, c1=0.0))
    torch.testing.assert_close(grey, images.mean(dim=1, keepdim=True).expand_as(images))
    flat = color(images, numbers(2, c2=0.0))
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(flat, level + 0.5 * (images - level))


@pytest.mark.parametrize(("number", "shift"), [(0.0, -2), (0.5, 0), (0.999, 2)])
def test_translation_is_a_shift_with_grey_coming_in(number, shift):
    images = pictures()  # 16 pixels: at most 2 each way
    moved = translation(images, numbers(2, c3=number)).numpy()
    expected = np.zeros_like(moved)
    for row in range(16):
        if 0 <= row - shift < 16:
            expected[:, :, row] = images.numpy()[:, :, row - shift]
    np.testing.assert_array_equal(moved, expected)
    sideways = translation(images.mT, numbers(2, c4=number)).mT
    np.testing.assert_array_equal(sideways.numpy(), expected)


def test_every_shift_is_as_likely():
    rows = torch.from_numpy(np.random.default_rng(0).random((5_000, NUMBERS)))
    line = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    line[:, :, 8] = 1.0
    found = translation(line.expand(5_000, 1, 16, 16), rows)[:, 0, :, 8].argmax(dim=1) - 8
    counts = torch.bincount(found + 2, minlength=5)
    assert len(counts) == 5
    assert counts.min() > 5_000 / 5 * 0.85


def test_cutout_takes_a_square_of_half_the_side():
    images = torch.ones(1, 3, 16, 16, dtype=torch.float64)
    middle = cutout(images, numbers(1))[0, 0]
    expected = torch.ones(16, 16, dtype=torch.float64)
    expected[4:12, 4:12] = 0.0
    torch.testing.assert_close(middle, expected)
    corner = cutout(images, numbers(1, c5=0.0, c6=0.0))[0, 0]
    assert corner[:4, :4].sum() == 0.0
    assert corner.sum() == 16 * 16 - 4 * 4


def test_an_image_is_changed_by_its_own_numbers_alone():
    augment = build_augmentation(["cutout", "color", "translation"])
    rows = torch.from_numpy(np.random.default_rng(1).random((6, NUMBERS)))
    images = pictures(6)
    torch.testing.assert_close(augment(images[2:4], rows[2:4]), augment(images, rows)[2:4], rtol=0, atol=0)
    assert build_augmentation([]) is None


@pytest.mark.long
def test_gradients():
    augment = build_augmentation(["color", "translation", "cutout"])
    rows = torch.from_numpy(np.random.default_rng(2).random((2, NUMBERS)))
    images = pictures(1, side=6).requires_grad_()
    rows = rows[:1]
    assert torch.autograd.gradcheck(lambda x: augment(x, rows), images)
    assert torch.autograd.gradgradcheck(lambda x: augment(x, rows) ** 2, images)
