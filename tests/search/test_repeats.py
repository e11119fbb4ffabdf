"""Repeats: which are due, how they rank, and what is noise; by hand, and against scipy's t test."""

import pytest
from scipy import stats

from framework.config import Experiment, with_overrides
from framework.search.registry import TrialRecord, TrialRegistry
from framework.search.repeats import Spread, rank, repeats_due, within_noise


def experiment(**search):
    return with_overrides(Experiment(), {f"search.{key}": value for key, value in search.items()} | {"seed": 5})


def ended(trial, score, **about):
    return TrialRecord(trial, {"model.width": 8}, "finished", [(10, score)], images_seen=16, **about)


def test_the_best_settings_are_repeated_with_the_seeds_after_the_searchs_own():
    registry = TrialRegistry([ended("a", 3.0), ended("b", 1.0), ended("c", 2.0), TrialRecord("d", {}, "failed")])
    due = repeats_due(experiment(seeds=3, repeat_best=2), registry)
    assert [record.trial for record in due] == ["b-seed6", "b-seed7", "c-seed6", "c-seed7"]
    assert due[0].parameters == {"model.width": 8, "seed": 6}
    assert (due[0].repeat_of, due[0].total_images) == ("b", 16)
    assert repeats_due(experiment(seeds=1, repeat_best=2), registry) == []


def test_after_a_restart_only_what_is_open_is_due():
    known = [ended("b-seed6", 1.5, repeat_of="b"), TrialRecord("b-seed7", {"seed": 7}, "running", repeat_of="b")]
    registry = TrialRegistry([ended("a", 3.0), ended("b", 1.0), *known])
    due = repeats_due(experiment(seeds=3, repeat_best=1), registry)
    assert [(record.trial, record.state) for record in due] == [("b-seed7", "running")]


def test_mean_and_standard_deviation():
    spread = Spread((1.0, 2.0, 6.0))
    assert (spread.mean, spread.sd) == (3.0, pytest.approx(7**0.5))
    assert Spread((1.0,)).sd is None


def test_two_settings_are_told_apart_as_by_students_t_test():
    for shift in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0):
        one, other = (1.0, 1.4, 2.1), tuple(score + shift for score in (1.2, 1.1, 1.9))
        told = stats.ttest_ind(one, other).pvalue < 0.05
        spreads = {"one": Spread(one), "other": Spread(other)}
        assert within_noise(spreads["one"], spreads) == {"one": True, "other": not told}


def test_a_setting_with_one_seed_is_held_to_the_noise_of_the_others():
    spreads = {"a": Spread((1.0, 2.0)), "b": Spread((3.0,)), "c": Spread((30.0,))}
    # one degree of freedom: the pooled sd is 0.7071, the critical t 12.706, so the least difference is 11.0
    assert within_noise(spreads["a"], spreads) == {"a": True, "b": True, "c": False}
    assert within_noise(Spread((1.0,)), {"a": Spread((1.0,))}) == {}


def rows(**scores):
    return [{"trial": trial.replace("_", "-"), "score": score} for trial, score in scores.items()]


def test_without_repeats_trials_rank_by_their_score_and_get_no_further_columns():
    found = rank(rows(a=2.0, b=1.0, c=None), {}, metric="fid5k_768")
    assert [(row["trial"], row["rank"]) for row in found] == [("b", 1), ("a", 2), ("c", 3)]
    assert all(set(row) == {"trial", "score", "rank"} for row in found)


def test_where_more_is_better_the_most_ranks_first():
    found = rank(rows(a=0.5, b=0.9, b_seed1=0.1, c=None), {"b-seed1": "b"}, metric="recall5k_768")
    assert [row["trial"] for row in found] == ["b", "b-seed1", "a", "c"]
    assert [row["trial"] for row in rank(rows(a=0.5, b=0.9), {}, metric="recall5k_768")] == ["b", "a"]


def test_repeated_settings_rank_first_by_their_mean_with_their_repeats_under_them():
    found = rank(
        rows(a=1.0, a_seed1=5.0, b=2.0, b_seed1=2.2, c=0.5, d=None),
        {"a-seed1": "a", "b-seed1": "b"},
        metric="fid5k_768",
    )
    assert [(row["trial"], row["rank"]) for row in found] == [
        ("b", 1),
        ("b-seed1", 1),
        ("a", 2),
        ("a-seed1", 2),
        ("c", 3),
        ("d", 4),
    ]
    b, _, a, _, c, d = found
    assert (b["seeds"], b["score_mean"], b["within_noise"]) == (2, pytest.approx(2.1), "yes")
    assert a["score_sd"] == pytest.approx(8**0.5)
    assert (a["within_noise"], c["within_noise"], d["within_noise"]) == ("yes", "yes", None)


def test_a_repeat_that_has_no_score_yet_counts_for_nothing():
    found = rank(rows(a=1.0, a_seed1=None, b=0.5), {"a-seed1": "a"}, metric="fid5k_768")
    assert [(row["trial"], row["rank"]) for row in found] == [("b", 1), ("a", 2), ("a-seed1", 2)]
    assert "seeds" not in found[0]
