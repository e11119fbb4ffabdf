"""Which trials end early: closed forms, Ray's own schedulers as the reference, and nothing forgotten by a restart."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule

from framework.orchestration.search.tune_scheduler import RuleScheduler
from framework.search.early_stopping import MedianStopping, SuccessiveHalving
from framework.search.registry import TrialRecord, TrialRegistry

EVERY = 10
TOTAL = 270
SCORES = st.floats(min_value=0.0, max_value=100.0, allow_nan=False)


def halving(grace_images=10, reduction_factor=3, total_images=TOTAL):
    return SuccessiveHalving(grace_images=grace_images, reduction_factor=reduction_factor, total_images=total_images)


def test_one_in_three_goes_on_past_the_first_rung():
    rule = halving()
    curves = {str(score): [(10, float(score))] for score in range(1, 10)}  # a third of 1..9 are 1, 2, 3
    # of the other eight scores, numpy's linear third percentile lies at 8/3 - 1/3 from the lowest
    assert [rule.ends(str(score), curves) for score in range(1, 10)] == [False] * 3 + [True] * 6


def test_the_first_to_come_goes_on_and_between_rungs_nobody_ends():
    rule = halving()
    assert not rule.ends("a", {"a": [(10, 9.0)], "b": []})
    assert not rule.ends("a", {"a": [(10, 1.0), (20, 9.0)], "b": [(10, 0.5), (20, 0.5)]})
    assert rule.ends("a", {"a": [(10, 1.0), (20, 9.0), (30, 9.0)], "b": [(10, 0.5), (20, 0.5), (30, 0.5)]})


def test_at_a_rung_a_trial_is_judged_by_its_best_until_there_and_others_by_theirs():
    rule = halving()
    # b is better at 30 now, but had 5.0 when it came to the rung at 10
    assert not rule.ends("a", {"a": [(12, 4.0)], "b": [(11, 5.0), (30, 1.0)]})


def test_a_tie_with_the_cutoff_is_rounded_as_ray_rounds_it():
    # a third of the way from 0 to 1.05 is 0.35, in floating point a little more or less
    scheduler, controller = asha(), SimpleNamespace(get_live_trials=list)
    trials = {name: _Trial(name) for name in "abc"}
    for trial in trials.values():
        scheduler.on_trial_add(controller, trial)
    curves = {"a": [(10, 0.0)], "b": [(10, 1.05)], "c": [(10, 0.35)]}
    decided = ""
    for name, [(seen, score)] in curves.items():
        decided = scheduler.on_trial_result(controller, trials[name], {"images_seen": seen, "best": score})
    assert halving().ends("c", curves) == (decided == "STOP")


def test_no_rung_lies_at_the_end():
    rule = halving(total_images=30)
    assert not rule.ends("a", {"a": [(10, 1.0), (30, 9.0)], "b": [(10, 0.5), (30, 0.5)]})


def test_the_median_rule_by_hand():
    rule = MedianStopping(grace_images=20)
    others = {"b": [(10, 99.0), (20, 2.0), (30, 4.0)], "c": [(20, 4.0), (30, 4.0)], "d": [(20, 8.0), (30, 2.0)]}
    # means from 20 on, until 30: 3, 4, 5; the median is 4; 99 came before the grace
    assert not rule.ends("a", {"a": [(20, 4.0), (30, 9.0)], **others})
    assert rule.ends("a", {"a": [(20, 4.1), (30, 9.0)], **others})
    assert not rule.ends("a", {"a": [(10, 9.0)], **others})
    two = {name: others[name] for name in ("b", "c")}
    assert not rule.ends("a", {"a": [(20, 9.0), (30, 9.0)], **two})


def asha():
    return ASHAScheduler(
        time_attr="images_seen", metric="best", mode="min", max_t=TOTAL - 1, grace_period=EVERY, reduction_factor=3
    )


def median():
    return MedianStoppingRule(time_attr="images_seen", metric="score", mode="min", grace_period=2 * EVERY)


@pytest.mark.long
@pytest.mark.parametrize(
    ("theirs", "ours"), [(asha, halving), (median, lambda: MedianStopping(grace_images=2 * EVERY))]
)
@settings(max_examples=40)  # each is a search of six trials
@given(data=st.data())
def test_the_decisions_are_rays(theirs, ours, data):
    scheduler, rule = theirs(), ours()
    controller = SimpleNamespace(get_live_trials=list)
    trials = [SimpleNamespace(trial_id=str(number)) for number in range(6)]
    hashable = {trial.trial_id: _Trial(trial.trial_id) for trial in trials}
    for trial in hashable.values():
        scheduler.on_trial_add(controller, trial)
    curves = {name: [] for name in hashable}
    alive = list(hashable)
    while alive:
        name = data.draw(st.sampled_from(alive))
        score = data.draw(SCORES)
        seen = EVERY * (len(curves[name]) + 1)
        if seen >= TOTAL or len(curves[name]) >= 12:
            alive.remove(name)
            continue
        curves[name].append((seen, score))
        best = min(value for _, value in curves[name])
        result = {"images_seen": seen, "score": score, "best": best}
        decided = scheduler.on_trial_result(controller, hashable[name], result)
        assert rule.ends(name, curves) == (decided == "STOP")
        if decided == "STOP":
            alive.remove(name)


class _Trial:
    """What Ray's schedulers look at of a trial."""

    def __init__(self, name):
        self.trial_id = name


def scored(images_seen, value, *, metric="fid", now=None):
    """What the driver reports at a clock, the score being of an earlier one where it came late."""
    score = {"images_seen": images_seen, "metric": metric, "value": value, "checkpoint": f"{images_seen:012d}"}
    return {"images_seen": now or images_seen, "scores": [score]}


def test_it_ends_the_trial_that_the_rule_ends_and_forgets_what_was_lost():
    registry = TrialRegistry(
        [TrialRecord("a", {}, curve=[(10, 1.0)]), TrialRecord("b", {}, curve=[(10, 5.0), (20, 0.1)])]
    )
    scheduler = RuleScheduler(registry, halving())
    lost = SimpleNamespace(config={"trial": "b"})
    assert scheduler.on_trial_result(None, lost, {"images_seen": 5}) == "CONTINUE"  # no score
    assert scheduler.on_trial_result(None, lost, scored(5, 9.0)) == "CONTINUE"
    assert registry["b"].curve == [(5, 9.0)]
    assert scheduler.on_trial_result(None, lost, scored(10, 7.0, now=17)) == "STOP"  # it came late
    assert RuleScheduler(registry, None).on_trial_result(None, lost, scored(30, 70.0)) == "CONTINUE"


def test_where_more_is_better_the_trial_with_less_ends():
    registry = TrialRegistry([TrialRecord("a", {}, curve=[(10, -0.9)]), TrialRecord("b", {}), TrialRecord("c", {})])
    scheduler = RuleScheduler(registry, halving())
    for name, recall, decision in (("b", 0.5, "STOP"), ("c", 0.95, "CONTINUE")):
        trial = SimpleNamespace(config={"trial": name})
        assert scheduler.on_trial_result(None, trial, scored(10, recall, metric="recall5k_768")) == decision


def test_a_repeat_is_no_part_of_the_search():
    registry = TrialRegistry([TrialRecord("a", {}, curve=[(10, 1.0)]), TrialRecord("a-seed1", {}, repeat_of="a")])
    scheduler = RuleScheduler(registry, halving())
    trial = SimpleNamespace(config={"trial": "a-seed1"})
    assert scheduler.on_trial_result(None, trial, scored(10, 99.0)) == "CONTINUE"
    assert list(registry.curves()) == ["a"]
