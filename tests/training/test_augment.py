"""Augmentation: exact on known pictures, decided by each image's own numbers, differentiable twice."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.spatial.transform import Rotation

from framework.config.schema import AUGMENTATIONS
from framework.training.steps.augment import (
    MORE_NUMBERS,
    NUMBERS,
    build_augmentation,
    color,
    cutout,
    flip,
    hue,
    noise,
    saturation,
    translation,
)
from framework.training.steps.draws import StepRandom
from framework.training.steps.geometry import moved, shifted
from framework.training.workers import Shard

MIDDLE = 0.5
FLIP, SCALE, ROTATION, HUE, SATURATION, NOISE = (f"c{column}" for column in range(NUMBERS, NUMBERS + 6))


def numbers(count, **columns):
    """[count, 22] of one half: what leaves a picture as it is, but for the cutout."""
    rows = torch.full((count, NUMBERS + MORE_NUMBERS), MIDDLE, dtype=torch.float64)
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


def drawn(augment, count, *, side=16, seed=3):
    """The numbers that a training would draw."""
    noise_numbers = augment.noise_numbers(resolution=side, channels=3)
    draws = StepRandom(
        seed=seed,
        latent_size=1,
        features=1,
        dropout=0.0,
        dtype=torch.float64,
        more_numbers=augment.more_numbers,
        noise_numbers=noise_numbers,
    )
    return draws.augmentation("real", 0, Shard(0, count, count))


def test_a_quarter_turn_a_half_turn_and_whole_pixels():
    images, one, none = pictures(3, side=7), torch.ones(3).double(), torch.zeros(3, dtype=torch.int64)
    for turns in range(4):
        turned = moved(images, zoom=one, angle=one * turns * math.pi / 2, rows=none, columns=none)
        torch.testing.assert_close(turned, images.rot90(turns, (2, 3)), rtol=0, atol=1e-12)
    rows, columns = torch.tensor([0, 2, -3]), torch.tensor([1, 0, -6])
    exact = moved(images, zoom=one, angle=one * 0, rows=rows, columns=columns)
    assert torch.equal(exact, shifted(images, rows, columns))


def test_scale_rotation_and_translation_are_those_of_grid_sample():
    side, images = 9, pictures(4, side=9)
    zoom, angle = torch.tensor([0.8, 1.25, 1.1, 1.0]).double(), torch.tensor([0.0, 0.1, -0.17, 0.05]).double()
    rows, columns = torch.tensor([0, 1, -1, 2]), torch.tensor([0, -1, 1, 0])
    cosine, sine = angle.cos() / zoom, angle.sin() / zoom
    turn = torch.stack([cosine, -sine, sine, cosine], 1).view(4, 2, 2)
    shift = torch.stack([columns, rows], 1).double() * 2 / side  # in halves of the side
    theta = torch.cat([turn, -(turn @ shift.unsqueeze(2))], 2)
    expected = F.grid_sample(images, F.affine_grid(theta, [4, 3, side, side], align_corners=False), align_corners=False)
    torch.testing.assert_close(moved(images, zoom=zoom, angle=angle, rows=rows, columns=columns), expected)


@pytest.mark.parametrize(("number", "zoom", "degrees"), [(0.0, 0.8, -10.0), (0.5, 1.0, 0.0), (1.0, 1.25, 10.0)])
def test_the_ranges_of_scale_and_rotation(number, zoom, degrees):
    augment, none = build_augmentation(["scale", "rotation", "translation"]), torch.zeros(2, dtype=torch.int64)
    images, one = pictures(), torch.ones(2).double()
    expected = moved(images, zoom=one * zoom, angle=one * math.radians(degrees), rows=none, columns=none)
    torch.testing.assert_close(augment(images, numbers(2, **{SCALE: number, ROTATION: number})), expected)
    alone = build_augmentation(["scale"])(images, numbers(2, **{SCALE: number, ROTATION: 0.9, "c3": 0.9}))
    torch.testing.assert_close(alone, moved(images, zoom=one * zoom, angle=one * 0, rows=none, columns=none))


@pytest.mark.parametrize(("number", "degrees"), [(0.0, -36.0), (0.5, 0.0), (0.75, 18.0)])
def test_hue_turns_colours_around_grey_and_keeps_the_brightness_of_each_pixel(number, degrees):
    images = pictures()
    turned = hue(images, numbers(2, **{HUE: number}))
    turn = Rotation.from_rotvec(np.radians(degrees) * np.ones(3) / math.sqrt(3)).as_matrix()
    expected = torch.einsum("ij,njhw->nihw", torch.from_numpy(turn), images)
    torch.testing.assert_close(turned, expected)
    torch.testing.assert_close(turned.mean(dim=1), images.mean(dim=1))


def test_flip_saturation_noise():
    images = pictures()
    assert torch.equal(flip(images, numbers(2, **{FLIP: 0.49})), images.flip(3))
    assert torch.equal(flip(images, numbers(2)), images)
    torch.testing.assert_close(saturation(images, numbers(2, **{SATURATION: 0.2})), color(images, numbers(2, c1=0.2)))
    normal = torch.arange(2.0 * 3 * 16 * 16).double().view(2, -1)
    noisy = noise(images, torch.cat([numbers(2, **{NOISE: 0.25}), normal], 1))
    torch.testing.assert_close(noisy, images + 0.025 * normal.view(2, 3, 16, 16))


def test_an_image_gets_all_operations_none_or_a_share_of_them():
    every = build_augmentation(AUGMENTATIONS, gated=True)
    images, rows = pictures(8), drawn(every, 8)
    assert torch.equal(every(images, rows, 0.0), images)
    assert torch.equal(every(images, rows, torch.tensor(0.0)), images)
    assert torch.equal(every(images, rows, 1.0), build_augmentation(AUGMENTATIONS)(images, rows))
    old = build_augmentation(["color", "translation", "cutout"], gated=True)
    ungated = build_augmentation(["color", "translation", "cutout"])
    assert ungated.more_numbers == 0
    plain = cutout(translation(color(images, rows), rows), rows)
    assert torch.equal(ungated(images, drawn(ungated, 8)), plain)
    assert torch.equal(old(images, drawn(old, 8), 1.0), plain)


@pytest.mark.parametrize("names", [["color"], ["noise"], ["scale"], ["rotation"], ["rotation", "translation"]])
def test_the_probability_is_the_share_of_images_that_an_operation_changes(names):
    augment, count = build_augmentation(names, gated=True), 2_000
    images = pictures(1).expand(count, -1, -1, -1)
    changed = (augment(images, drawn(augment, count), 0.3) != images).flatten(1).any(1)
    # A translation by 0 pixels, of 5 x 5, changes nothing.
    share = 0.3 if len(names) == 1 else 1 - 0.7 * (0.7 + 0.3 / 25)
    assert changed.double().mean().item() == pytest.approx(share, abs=4 * math.sqrt(0.25 / count))


def test_new_numbers_are_drawn_beside_the_old_ones_and_by_image():
    every, old = build_augmentation(AUGMENTATIONS), build_augmentation(["color"])
    rows = drawn(every, 40)
    assert rows.shape == (40, NUMBERS + MORE_NUMBERS + 3 * 16 * 16)
    assert torch.equal(rows[:, :NUMBERS], drawn(old, 40))
    assert torch.equal(rows[:7], drawn(every, 7))
    assert rows[:, NUMBERS + MORE_NUMBERS :].std().item() == pytest.approx(1.0, abs=0.02)
    # Made by 0.1.0 at ecdd2f6: what the trainings of that version drew.
    assert rows[1, :3].tolist() == [0.10355521737181261, 0.8949975635225051, 0.8612039532143116]


@pytest.mark.long
@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_gradients(probability):
    augment = build_augmentation(AUGMENTATIONS, gated=True)
    rows = drawn(augment, 2, side=4)
    images = pictures(2, side=4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, rows, probability), images, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: augment(x, rows, probability) ** 2, images, fast_mode=True)
