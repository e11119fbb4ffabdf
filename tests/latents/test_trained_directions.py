"""Trained directions of known answers: a score that is linear in the latent, and a generator with a built-in shift."""

import numpy as np
import pytest
import torch

from framework.errors import LatentsError
from framework.latents.directions.direction import unit
from framework.latents.directions.edits import EDITS
from framework.latents.directions.methods.ganalyze import ganalyze, moved
from framework.latents.directions.methods.steerability import steer_linear, steer_nonlinear
from framework.models import sample_latents

SIZE = 16


def normal(seed=0):
    return unit(np.random.default_rng(seed).normal(size=SIZE))


def test_ganalyze_finds_the_normal_of_a_linear_score():
    """The image is the latent, the score 2 n·z of deviation 2: θ has to be n, but for what keeping the length takes."""
    n = torch.from_numpy(normal())
    latents = sample_latents(32 * 400, SIZE, seed=0)
    found = ganalyze(lambda z: z[:, :, None, None], lambda x: 2 * x[:, :, 0, 0] @ n, latents, most=0.5)
    assert found.vector @ n.numpy() >= 0.99
    assert found.natural_step == pytest.approx(1.0, rel=0.15)
    assert np.mean(found.losses[-20:]) < 0.1 * np.mean(found.losses[:5])


def test_a_moved_latent_keeps_its_length():
    z = torch.from_numpy(sample_latents(50, SIZE, seed=0))
    away = moved(z, torch.linspace(-3, 3, 50), torch.ones(SIZE))
    torch.testing.assert_close(away.norm(dim=1), z.norm(dim=1))
    assert torch.equal(moved(z, torch.zeros(50), torch.ones(SIZE)).round(decimals=5), z.round(decimals=5))


def test_a_score_that_hears_nothing_of_the_latent_is_one_line():
    with pytest.raises(LatentsError, match="does not change with the latent"):
        ganalyze(lambda z: z, lambda x: (x * 0).sum(dim=1), sample_latents(64, SIZE, seed=0))


def blob(u, v, *, side=24):
    """A generator whose images are one blob: along u it moves right, along v down, along a third it grows lighter."""
    places = (torch.arange(side) + 0.5) / side * 2 - 1
    w = torch.from_numpy(normal(9))

    def generate(z):
        x, y = 0.2 * (z @ u), 0.2 * (z @ v)
        columns = torch.exp(-(((places[None, :] - x[:, None]) / 0.4) ** 2))
        rows = torch.exp(-(((places[None, :] - y[:, None]) / 0.4) ** 2))
        light = 0.6 + 0.1 * torch.tanh(z @ w)
        return (light[:, None, None] * rows[:, :, None] * columns[:, None, :] * 2 - 1)[:, None].expand(-1, 3, -1, -1)

    return generate


@pytest.fixture(scope="module")
def axes():
    u, v = np.linalg.qr(np.random.default_rng(4).normal(size=(SIZE, 2)))[0].T
    return torch.from_numpy(u.astype(np.float32)), torch.from_numpy(v.astype(np.float32))


@pytest.mark.parametrize(("name", "axis"), [("shift_x", 0), ("shift_y", 1)])
def test_steerable_finds_a_built_in_shift(axes, name, axis):
    """An amount of 1 is a tenth of the width, 0.2 of the coordinates; so is 1 along the axis."""
    latents = sample_latents(32 * 300, SIZE, seed=0)
    found = steer_linear(blob(*axes), EDITS[name], latents)
    assert found.vector @ axes[axis].numpy() >= 0.95
    assert found.natural_step == pytest.approx(1.0, rel=0.15)
    assert np.mean(found.losses[-20:]) < 0.3 * np.mean(found.losses[:5])


@pytest.mark.long
def test_a_nonlinear_walk_goes_the_same_way(axes):
    latents = sample_latents(32 * 600, SIZE, seed=0)
    found = steer_nonlinear(blob(*axes), EDITS["shift_x"], latents)
    z = sample_latents(200, SIZE, seed=5)
    for walk, sense in ((found.forward, 1), (found.backward, -1)):
        steps = (z + walk.step(z)) @ axes[0].numpy() - z @ axes[0].numpy()
        assert sense * steps.mean() == pytest.approx(1.0, rel=0.3)
        assert abs((walk.step(z) @ axes[1].numpy()).mean()) < 0.1  # the other axis stays


@pytest.mark.parametrize("name", list(EDITS))
def test_an_edit_of_nothing_changes_nothing(name):
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    edited, mask = EDITS[name].apply(images, torch.zeros(4))
    torch.testing.assert_close(edited, images, atol=1e-5, rtol=0)
    assert bool((mask == 1).all())


def test_edits_by_hand():
    images = torch.zeros(1, 3, 20, 20) - 1
    images[:, :, 8:12, 8:12] = 1.0
    right, mask = EDITS["shift_x"].apply(images, torch.tensor([2.0]))  # two tenths of 20 columns
    torch.testing.assert_close(right[:, :, :, 4:], images[:, :, :, :16], atol=1e-4, rtol=0)
    assert mask[0, 0].sum(dim=0).tolist() == [0] * 4 + [20] * 16
    down, _ = EDITS["shift_y"].apply(images, torch.tensor([-1.0]))
    torch.testing.assert_close(down[:, :, :18], images[:, :, 2:], atol=1e-4, rtol=0)
    larger, mask = EDITS["zoom"].apply(images, torch.tensor([4.0]))  # twice as large
    assert float((larger > 0).sum()) == 3 * 8 * 8
    assert bool((mask == 1).all())
    smaller, mask = EDITS["zoom"].apply(images, torch.tensor([-4.0]))
    assert float((smaller > 0).sum()) == 3 * 2 * 2
    assert float(mask.sum()) == 10 * 10
    bright, _ = EDITS["brightness"].apply(images, torch.tensor([2.0]))
    torch.testing.assert_close(bright, (images + 0.4).clamp(-1, 1))
    red, _ = EDITS["red"].apply(images, torch.tensor([1.0]))
    assert bool((red[:, 1:] == images[:, 1:]).all())
    turned, _ = EDITS["rotate"].apply(images, torch.tensor([9.0]))  # a square turned by a quarter is itself
    torch.testing.assert_close(turned, images, atol=1e-3, rtol=0)
    bar = torch.zeros(1, 1, 21, 21)
    bar[:, :, 10, 14:] = 1.0  # to the right of the middle
    turned, _ = EDITS["rotate"].apply(bar, torch.tensor([9.0]))
    assert float(turned[0, 0, :7, 10].min()) > 0.9  # anticlockwise: now above it
