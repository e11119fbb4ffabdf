from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import LatentsError
from framework.latents.arithmetic.selection import (
    SURE,
    Candidates,
    choose,
    deal,
    gather,
    require_candidates,
    sure_count,
)
from framework.latents.attributes.groups import Condition
from framework.latents.protocols import Assessed, assess_latents, merge_assessed

A, B = Condition("a", "high"), Condition("b", "high")


def candidates(count: int, seed: int = 0, **scores) -> Candidates:
    found = {
        "a": np.random.default_rng(seed).random(count),
        "b": np.random.default_rng(seed + 1).random(count),
    } | scores
    return Candidates(np.arange(count, dtype=np.float32)[:, None], Assessed(found, {}))


def test_the_surest_are_chosen_and_no_sample_twice():
    found = candidates(400)
    chosen = choose(found, {"x": A, "y": B}, size=5)
    rare = min(chosen, key=lambda name: sure_count(found, {"x": A, "y": B}[name]))
    scores = found.assessed.finder
    best = {name: np.argsort(-scores[key], kind="stable")[:5].tolist() for name, key in (("x", "a"), ("y", "b"))}
    assert chosen[rare] == best[rare]
    assert len(set(chosen["x"]) | set(chosen["y"])) == 10
    same = choose(candidates(400, b=scores["a"]), {"x": A, "y": B}, size=5)
    assert sorted(same["x"] + same["y"]) == sorted(np.argsort(-scores["a"], kind="stable")[:10].tolist())


def test_repeats_share_no_sample_while_there_are_enough():
    found = candidates(12_000)
    hands = deal(found, {"x": A, "y": B}, size=3, repeats=100, without=[0, 1, 2], seed=5)
    for name, key in (("x", "a"), ("y", "b")):
        drawn = hands[name].drawn
        assert drawn.shape == (100, 3)
        assert len(np.unique(drawn)) == 300
        assert hands[name].most_uses == 1
        assert (found.assessed.finder[key][drawn] >= SURE).all()
        assert hands[name].least_sureness >= SURE
        assert not np.isin(drawn, [0, 1, 2]).any()
    for x, y in zip(hands["x"].drawn, hands["y"].drawn, strict=True):
        assert not set(x) & set(y)


@settings(max_examples=25)
@given(size=st.integers(1, 6), repeats=st.integers(1, 60), sure=st.integers(0, 80), seed=st.integers(0, 99))
def test_few_samples_are_shared_as_evenly_as_can_be(size, repeats, sure, seed):
    scores = np.linspace(0, 0.8, 200)
    scores[:sure] = np.linspace(0.95, 1, sure)
    found = candidates(200, a=scores)
    hands = deal(found, {"x": A}, size=size, repeats=repeats, without=[0], seed=seed)["x"]
    assert len(hands.pool) == max(sure - 1, size + 3)
    assert (np.diff(scores[hands.pool]) <= 0).all()
    assert all(len(set(hand)) == size for hand in hands.drawn.tolist())
    uses = Counter(hands.drawn.reshape(-1).tolist())
    assert set(uses) <= set(hands.pool.tolist())
    assert max(uses.values()) == hands.most_uses == -(-size * repeats // len(hands.pool))
    assert hands.least_sureness == pytest.approx(scores[hands.pool].min())


def test_dealing_follows_its_seed():
    found = candidates(2000)
    one, same, other = (deal(found, {"x": A}, size=3, repeats=20, without=[], seed=s)["x"].drawn for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_no_sample_in_two_groups_of_a_repeat_even_where_both_want_the_same():
    found = candidates(400, b=candidates(400).assessed.finder["a"])
    hands = deal(found, {"x": A, "y": B}, size=4, repeats=50, without=[], seed=0)
    assert np.array_equal(hands["x"].pool, hands["y"].pool)
    for x, y in zip(hands["x"].drawn, hands["y"].drawn, strict=True):
        assert not set(x) & set(y)


def test_too_large_groups_are_refused():
    require_candidates(39, groups=3, group_size=9)
    with pytest.raises(
        LatentsError,
        match=r"latents.arithmetic.candidates: 38 samples .* use at least 39, .*latents.arithmetic.group_size",
    ):
        require_candidates(38, groups=3, group_size=9)


def test_as_many_candidates_as_are_needed(toy, make_judges):
    assessors = make_judges()
    sizes = []

    def assess(latents):
        sizes.append(len(latents))
        return assess_latents(toy, assessors, latents)

    female, glasses = Condition("female", "high"), Condition("glasses", "high")
    few = gather(toy, assess, [female], seed=0, needed=100, most=5000)
    assert sizes == [512]
    more = gather(toy, assess, [female, glasses], seed=0, needed=200, most=5000)
    assert sizes[1:] == [512, 512, 1024]
    assert sure_count(more, glasses) >= 200
    all_there_are = gather(toy, assess, [glasses], seed=0, needed=5000, most=1300)
    assert len(all_there_are) == 1300
    for found in (few, more, all_there_are):
        assert np.array_equal(found.latents, toy.sample_latents(len(found), 0))
        whole = assess_latents(toy, assessors, found.latents)
        assert all(np.array_equal(whole.finder[k], found.assessed.finder[k]) for k in whole.finder)


def test_assessing_in_parts_is_assessing_at_once(toy, make_judges):
    assessors = make_judges()
    latents = toy.sample_latents(1000, 0)
    whole = assess_latents(toy, assessors, latents)
    assert max(assessors.finder.images_seen) == 256
    for cut in (256, 512, 96):
        parts = [assess_latents(toy, assessors, latents[k : k + cut]) for k in range(0, 1000, cut)]
        merged = merge_assessed(parts)
        for one, other in ((whole.finder, merged.finder), (whole.measurer, merged.measurer)):
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[name], other[name]) for name in one)
