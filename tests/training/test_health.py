"""Warnings come when they should, once, and over restarts too."""

import numpy as np
import pytest

from framework.training.reports.health import Health, mutual_distance
from framework.training.steps.objectives import OBJECTIVES
from tests.conftest import missing


def row(clock, real, fake):
    return {"images_seen": clock, "accuracy_real": real, "accuracy_fake": fake}


def test_a_discriminator_that_wins_for_long_is_said_once():
    notes = {}
    health = Health(total_images=1_000_000, notes=notes)
    said = [health.after_report(row(clock, 1.0, 0.995)) for clock in range(0, 200_000, 10_000)]
    (first,) = [text for texts in said for text in texts]
    assert said.index([first]) == 5  # 50,000 images after the first of those reports
    assert notes["said"] == ["won"]
    assert missing(first, "0 images", "optimizer.discriminator_lr", "objective.r1_gamma") == []


@pytest.mark.parametrize("accuracies", [(1.0, 0.9), (0.5, 1.0), (0.99, 0.99)])
def test_no_warning_while_either_accuracy_is_in_play(accuracies):
    health = Health(total_images=1_000_000, notes={})
    assert not any(health.after_report(row(clock, *accuracies)) for clock in range(0, 400_000, 10_000))


def test_one_good_report_starts_the_wait_anew():
    health = Health(total_images=1_000_000, notes={})
    said = [
        health.after_report(row(clock, 1.0, 0.5 if clock == 40_000 else 1.0)) for clock in range(0, 150_000, 10_000)
    ]
    assert [k for k, texts in enumerate(said) if texts] == [10]


def test_collapse_is_not_said_of_a_generator_that_has_just_begun():
    health = Health(total_images=1_000_000, notes={})
    assert health.after_samples(0.01, images_seen=0) == []
    assert health.after_samples(0.1, images_seen=20_000) == []
    assert "collapsed" in health.after_samples(0.1, images_seen=60_000)[0]
    assert health.after_samples(0.1, images_seen=70_000) == []


def test_collapse_after_samples_were_varied_is_said_at_once_and_thinness_before_it():
    notes = {}
    health = Health(total_images=1_000_000, notes=notes)
    assert health.after_samples(0.8, images_seen=5_000) == []
    (thin,) = health.after_samples(0.4, images_seen=6_000)
    assert notes["said"] == ["thin"]
    assert missing(thin, "6,000 images", "0.40") == []
    restarted = Health(total_images=1_000_000, notes=notes)
    assert restarted.after_samples(0.4, images_seen=7_000) == []
    assert "collapsed" in restarted.after_samples(0.1, images_seen=8_000)[0]


def balance(loss, penalty, *, objective="hinge", notes=None, clocks=range(10_000, 400_000, 10_000)):
    """All warnings of reports with these means; a loss and a penalty may be functions of the clock."""
    health = Health(total_images=1_000_000, notes={} if notes is None else notes, objective=OBJECTIVES[objective])
    said = []
    for clock in clocks:
        values = {"discriminator_loss": loss, "r1_penalty": penalty}
        values = {name: value(clock) if callable(value) else value for name, value in values.items()}
        said += [(clock, text) for text in health.after_report(row(clock, 0.7, 0.7) | values)]
    return said


def test_a_penalty_larger_than_loss_and_gain_dominates():
    """Hinge, half of which is reported: a constant costs 2. A loss of 0.8 and a penalty of 1.3 are more."""
    ((clock, text),) = balance(0.4, 1.3)
    assert clock == 60_000  # 50,000 images after the first report
    wanted = ("dominates", "from 10,000 to 60,000 images it is 1.3 and the loss 0.8", "loss of 2", "objective.r1_gamma")
    assert missing(text, *wanted) == []
    assert balance(0.4, 1.1) == []  # together less than the constant
    assert balance(0.8, 1.5) == []  # smaller than the loss of 1.6, which is bad by itself
    assert len(balance(0.4, 1.3, objective="relativistic")) == 1  # a constant costs log 2


def test_lazy_penalties_are_judged_by_their_mean():
    """Reports between two penalties have 0, and the one with it several times its mean."""
    seldom = lambda factor: lambda clock: 4 * factor if clock % 40_000 == 0 else 0.0  # noqa: E731
    assert len(balance(0.4, seldom(2.0))) == 1
    assert balance(0.4, seldom(0.5)) == []


def test_a_penalty_below_a_thousandth_of_the_gain_has_no_effect():
    (found,) = balance(0.4, 0.001)  # the gain is 1.2
    assert missing(found[1], "no effect", "0.001", "objective.r1_gamma") == []
    assert balance(0.4, 0.002) == []
    assert balance(0.999, 1e-3) == []  # a discriminator that gains nothing, as one that is held too much
    assert balance(0.4, 0.0) == []  # a schedule that has ended at 0


def test_the_balance_is_kept_over_restarts():
    notes, clocks = {}, list(range(10_000, 400_000, 10_000))
    assert balance(0.4, 1.3, notes=notes, clocks=clocks[:4]) == []
    assert [clock for clock, _ in balance(0.4, 1.3, notes=notes, clocks=clocks[4:])] == [60_000]
    assert notes["said"] == ["dominated"]


def test_mutual_distance_by_hand():
    images = np.zeros((3, 2, 2, 1), np.uint8)
    images[1] = 30
    images[2, 0, 0] = 40
    first, second, third = 30.0, 20.0, np.sqrt((3 * 30**2 + 10**2) / 4)
    assert mutual_distance(images) == pytest.approx((first + second + third) / 3)
    assert mutual_distance(np.full((5, 4, 4, 3), 77, np.uint8)) == 0.0
