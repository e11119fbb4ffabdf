"""Losses and the R1 penalty against their closed forms."""

import math

import pytest
import torch
from torch import nn

from framework.config import ObjectiveConfig
from framework.training.steps.objectives import build_objective, squared_slopes

LOGITS = torch.tensor([-40.0, -2.0, 0.0, 0.5, 3.0, 40.0], dtype=torch.float64)


def test_cross_entropy_is_that_of_probabilities():
    objective = build_objective(ObjectiveConfig(loss="binary_cross_entropy"))
    real = [math.log1p(math.exp(-x)) for x in LOGITS.tolist()]
    fake = [math.log1p(math.exp(x)) for x in LOGITS.tolist()]
    torch.testing.assert_close(objective.real(LOGITS), torch.tensor(real, dtype=torch.float64))
    torch.testing.assert_close(objective.fake(LOGITS), torch.tensor(fake, dtype=torch.float64))
    torch.testing.assert_close(objective.generator(LOGITS), objective.real(LOGITS))  # non-saturating
    assert objective.real(torch.zeros(1)).item() == pytest.approx(math.log(2))


def test_hinge():
    objective = build_objective(ObjectiveConfig(loss="hinge"))
    assert objective.real(LOGITS).tolist() == [41.0, 3.0, 1.0, 0.5, 0.0, 0.0]
    assert objective.fake(LOGITS).tolist() == [0.0, 0.0, 1.0, 1.5, 4.0, 41.0]
    assert objective.generator(LOGITS).tolist() == (-LOGITS).tolist()


def test_slopes_of_a_quadratic():
    weights = nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
    bias = nn.Parameter(torch.zeros((), dtype=torch.float64))
    images = torch.tensor([[3.0, 1.0], [0.5, -2.0]], dtype=torch.float64).view(2, 2, 1, 1).requires_grad_()
    logits = (weights.view(2, 1, 1) * images**2).sum(dim=(1, 2, 3)) + bias
    slopes = squared_slopes(logits, images)  # sum of (2 w x)²
    assert slopes.tolist() == [36.0 + 16.0, 1.0 + 64.0]
    slopes.sum().backward()
    assert weights.grad.tolist() == [8 * 1.0 * (9 + 0.25), 8 * 2.0 * (1 + 4)]
    assert bias.grad.item() == 0.0  # but not None, which DDP would wait for
