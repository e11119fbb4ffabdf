"""Losses and gradient penalties against their closed forms."""

import math

import pytest
import torch
from torch import nn

from framework.config import Experiment, ObjectiveConfig, with_overrides
from framework.errors import ConfigError
from framework.training.steps.objectives import OBJECTIVES, build_objective
from framework.training.steps.penalties import GradientPenalties, squared_slopes

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


def test_least_squares():
    objective = build_objective(ObjectiveConfig(loss="least_squares"))
    assert objective.real(LOGITS).tolist() == [840.5, 4.5, 0.5, 0.125, 2.0, 760.5]
    assert objective.fake(LOGITS).tolist() == [800.0, 2.0, 0.0, 0.125, 4.5, 800.0]
    torch.testing.assert_close(objective.generator(LOGITS), objective.real(LOGITS))
    above, below = objective.margins(LOGITS, LOGITS)
    assert above.sign().tolist() == below.sign().tolist() == [-1, -1, -1, 0, 1, 1]  # halfway between 0 and 1


def test_the_relativistic_loss_and_its_gradient():
    """L = log(1 + exp(f - r)) has dL/dr = -p and dL/df = p with p = 1 / (1 + exp(r - f)); G has r and f exchanged."""
    objective = build_objective(ObjectiveConfig(loss="relativistic"))
    real, fake = LOGITS.clone().requires_grad_(), LOGITS.flip(0).clone().requires_grad_()
    wrong = 1 / (1 + torch.exp(real.detach() - fake.detach()))
    losses = objective.discriminator(real, fake)
    torch.testing.assert_close(losses, torch.log1p(torch.exp(fake - real)))
    losses.sum().backward()
    torch.testing.assert_close(real.grad, -wrong)
    torch.testing.assert_close(fake.grad, wrong)
    fake.grad = None
    objective.generator(fake - real.detach()).sum().backward()
    torch.testing.assert_close(fake.grad, wrong - 1)
    shifted = objective.discriminator(real + 7, fake + 7)
    torch.testing.assert_close(shifted, losses)  # only the difference matters
    assert objective.margins(real, fake)[0].sign().tolist() == [-1, -1, -1, 1, 1, 1]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_of_the_best_constant_logit(name):
    objective = OBJECTIVES[name]
    same = torch.linspace(-3, 3, 6_001, dtype=torch.float64)
    losses = objective.discriminator(same, same)
    assert losses.min().item() == pytest.approx(objective.constant_loss, abs=1e-12)
    assert objective.total(objective.reported(same[:1], same[:1], images=1).item()) == pytest.approx(losses[0].item())


def test_the_relativistic_loss_needs_the_joint_schedule():
    line = "objective.loss: relativistic compares real with generated images; it needs training.schedule=joint"
    with pytest.raises(ConfigError, match=line):
        with_overrides(Experiment(), {"objective.loss": "relativistic"})
    with_overrides(Experiment(), {"objective.loss": "relativistic", "training.schedule": "joint"})


@pytest.mark.parametrize("names", [("r1",), ("r2",), ("r1", "r2")])
def test_penalties_of_a_linear_discriminator(names):
    """The slope of w·x is w: the penalty is gamma / 2 · every · |w|², its gradient gamma · every · w."""
    gammas = {"r1": 3.0, "r2": 0.5}
    overrides = {f"objective.{name}_gamma": gammas[name] for name in names} | {"objective.r1_every_steps": 4}
    penalties = GradientPenalties(with_overrides(Experiment(), overrides))
    assert penalties.metric_names == tuple(f"{name}_penalty" for name in names)
    weights = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    for step, factor in enumerate((4, 0, 0, 0, 4)):
        pairs = {}
        for purpose in ("real", "fake"):
            images = penalties.watched(torch.randn(3, 2, 1, 1, dtype=torch.float64), purpose, step=step)
            pairs[purpose] = ((weights.view(2, 1, 1) * images).sum(dim=(1, 2, 3)), images)
        found = penalties.of(pairs, images_seen=0)
        shares = penalties.shares(3, like=weights)
        assert [share.item() for share in shares] == pytest.approx([gammas[name] / 2 * factor * 5.0 for name in names])
        if factor == 0:
            assert found is None
            continue
        weights.grad = None
        found.mean().backward()
        expected = sum(gammas[name] for name in names) * factor * weights.detach()
        torch.testing.assert_close(weights.grad, expected)


def test_gamma_by_size_and_batch():
    """StyleGAN2-ADA's rule at 256 px and batch 64: 0.0002 · 65536 / 64."""
    overrides = {"data.resolution": 256, "training.batch_size": 64, "objective.r1_gamma": "auto"}
    experiment = with_overrides(Experiment(), overrides)
    assert experiment.gamma("r1_gamma") == pytest.approx(0.2048)
    assert experiment.gamma("r2_gamma") == 0.0
    assert experiment.learned()["objective.r1_gamma"] == "auto"


def test_slopes_of_a_quadratic():
    weights = nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
    bias = nn.Parameter(torch.zeros((), dtype=torch.float64))
    images = torch.tensor([[3.0, 1.0], [0.5, -2.0]], dtype=torch.float64).view(2, 2, 1, 1).requires_grad_()
    logits = (weights.view(2, 1, 1) * images**2).sum(dim=(1, 2, 3)) + bias
    slopes = squared_slopes((logits, images))[0]  # sum of (2 w x)²
    assert slopes.tolist() == [36.0 + 16.0, 1.0 + 64.0]
    slopes.sum().backward()
    assert weights.grad.tolist() == [8 * 1.0 * (9 + 0.25), 8 * 2.0 * (1 + 4)]
    assert bias.grad.item() == 0.0  # but not None, which DDP would wait for
