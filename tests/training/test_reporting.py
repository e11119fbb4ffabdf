"""Figures between two reports, on a device that is not looked at after each step."""

import pytest
import torch

from framework.config import Experiment, with_overrides
from framework.errors import TrainingError
from framework.training import WorkerGroup
from framework.training.budget import ComputeMeter
from framework.training.reports.report import MetricAccumulator
from framework.training.state import TrainState

METRIC_NAMES = ("discriminator_loss", "discriminator_gradient_norm", "generator_gradient_norm")


@pytest.fixture
def state():
    experiment = with_overrides(Experiment(), {"data.resolution": 32, "model.width": 4})
    return TrainState.fresh(experiment, resolution=32, channels=3, precision="float32", device="cpu")


@pytest.fixture
def meter(state):
    return ComputeMeter(state.experiment, notes=state.notes, workers=WorkerGroup())


@pytest.fixture
def tally():
    # "meta" is no CPU: figures wait for the report there, as they do on a GPU.
    return MetricAccumulator(WorkerGroup(device="meta"), figures=METRIC_NAMES, advice="lower the rates")


def test_the_first_report_comes_before_the_first_step(tally, state, meter):
    row = tally.row(state, meter)
    assert (row["images_seen"], row["step"]) == (0, 0)
    assert not row.keys() & {*METRIC_NAMES, "images_per_second"}
    assert row["generator_lr"] == 2e-4


def test_figures_wait_for_the_report_which_names_the_step_that_went_wrong(tally, state, meter):
    values = [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [float("nan"), float("inf"), 1.0], [0.0, 0.0, 0.0]]

    def add(figures):
        state.steps, state.images_seen = state.steps + 1, state.images_seen + 8
        tally.add(torch.tensor(figures, dtype=torch.float64), state=state, images=8, waited=0.0)

    for figures in values[:2]:
        add(figures)
    row = tally.row(state, meter)
    assert [row[name] for name in METRIC_NAMES] == [2.0, 3.0, 4.0]
    for figures in values:
        add(figures)
    named = "step 5, 40 images seen: discriminator loss is nan, discriminator gradient norm is inf; .* was 5; lower the"
    with pytest.raises(TrainingError, match=named):
        tally.row(state, meter)
