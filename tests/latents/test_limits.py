"""What a walk reaches of an edit: images moved by known amounts, and a walk that stops."""

import numpy as np
import pytest
import torch

from framework.latents.directions.edits import EDITS
from framework.latents.steering.reach import nearest_amounts, reach_of, spread_of


@pytest.fixture
def blobs():
    """Soft bright spots of their own places and widths, on grey: [24,3,32,32]."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:32, 0:32]
    found = []
    for _ in range(24):
        y, x, wide, high = random.uniform((12, 12, 3, 5), (20, 20, 5, 8))
        spot = np.exp(-(((columns - x) / wide) ** 2) - ((rows - y) / high) ** 2)
        found.append(np.stack([0.8 * spot - 0.4, 0.5 * spot - 0.3, 0.9 * spot - 0.5]))
    return torch.tensor(np.stack(found), dtype=torch.float32)


@pytest.mark.parametrize("name", list(EDITS))
def test_the_amount_of_an_edit_is_found_back(blobs, name):
    edit = EDITS[name]
    amounts = torch.linspace(-0.9 * edit.most, 0.9 * edit.most, len(blobs))
    shown, _ = edit.apply(blobs, amounts)
    assert nearest_amounts(blobs, shown, edit) == pytest.approx(amounts.numpy(), abs=0.05 * edit.most)


def test_what_did_not_move_is_an_amount_of_nothing(blobs):
    for edit in EDITS.values():
        assert np.abs(nearest_amounts(blobs, blobs, edit)).max() < 0.05


def test_a_walk_that_stops_saturates_where_it_does():
    strengths = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
    steady = np.array([strengths] * 5).T * 0.8
    assert reach_of(steady, strengths, data_spread=None).saturates_at is None
    stops = np.clip(steady, -9, 0.8 * 2)
    found = reach_of(stops, strengths, data_spread=0.4)
    assert found.saturates_at == 2.0
    assert found.reached == pytest.approx([-2.4, -1.6, -0.8, 0, 0.8, 1.6, 1.6])
    assert reach_of(stops[::-1], strengths[::-1], data_spread=None).saturates_at == 2.0


def test_the_spread_of_images_is_that_of_their_edits(blobs):
    edit = EDITS["shift_x"]
    amounts = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    shown, _ = edit.apply(blobs[:1].expand(5, -1, -1, -1), amounts)
    # Their mean is the spot smeared to both sides: its middle is where the spot was.
    assert spread_of(shown, edit) == pytest.approx(float(amounts.std()), rel=0.15)
