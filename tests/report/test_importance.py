"""Importance: agrees with scipy where scipy has it, finds what is there, and owns up to what is not."""

import numpy as np
import pytest
from scipy import stats

from framework.report.importance import FEWEST_TRIALS, explained, group_basis, importances, ranks, trend_basis


@pytest.mark.parametrize("seed", range(5))
def test_ranks_shares_and_groups_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    values, scores = rng.integers(0, 9, 40).astype(float), rng.integers(0, 12, 40) / 4
    np.testing.assert_allclose(ranks(scores), stats.rankdata(scores))
    centred = (ranks(scores) - ranks(scores).mean())[None]
    rho = stats.spearmanr(values, scores).statistic
    assert explained(trend_basis(values, degree=1), centred)[0] == pytest.approx(rho**2)
    groups = [scores[values == value] for value in np.unique(values)]
    assert explained(group_basis(values), centred)[0] == pytest.approx(stats.kruskal(*groups).statistic / 39)


def test_a_parabola_over_ranks_is_least_squares():
    rng = np.random.default_rng(1)
    values, scores = rng.normal(size=25), rng.normal(size=25)
    x, y = stats.rankdata(values), stats.rankdata(scores)
    residual = y - np.polyval(np.polyfit(x, y, 2), x)
    share = explained(trend_basis(values), (y - y.mean())[None])[0]
    assert share == pytest.approx(1 - residual.var() / y.var())


def test_p_values_are_those_of_scipy_up_to_the_shuffling():
    rng = np.random.default_rng(2)
    values = rng.choice(["a", "b"], 14).tolist()
    scores = (rng.normal(size=14) + [0.9 * (value == "a") for value in values]).tolist()
    (found,) = importances({"k": values}, scores)
    groups = [[score for score, value in zip(scores, values, strict=True) if value == name] for name in "ab"]
    exact = stats.mannwhitneyu(*groups, method="exact", alternative="two-sided").pvalue
    assert found.p == pytest.approx(exact, abs=0.01)


def test_what_decides_is_found_also_where_the_best_lies_in_the_middle():
    rng = np.random.default_rng(3)
    rate, size = np.exp(rng.uniform(-9, -6, 40)), rng.choice(["32", "64", "128"], 40)
    scores = (np.log(rate) + 7.5) ** 2 + rng.normal(0, 0.1, 40)
    assert abs(stats.spearmanr(rate, scores).statistic) < 0.4  # no trend, yet it is all that matters
    first, second = importances({"size": size.tolist(), "rate": rate.tolist()}, scores.tolist())
    assert (first.key, second.key) == ("rate", "size")
    assert first.share > 0.8
    assert not first.could_be_chance
    assert second.could_be_chance


def test_a_score_that_does_not_depend_on_a_key_is_called_so_nearly_always():
    rng = np.random.default_rng(4)
    called = 0
    for _ in range(60):
        columns = {str(key): rng.uniform(size=12).tolist() for key in range(4)}
        found = importances(columns, rng.uniform(size=12).tolist())
        called += any(not one.could_be_chance for one in found)
    assert called <= 7  # one in 20 of the runs, all four keys together


def test_too_little_is_not_judged():
    rng = np.random.default_rng(5)
    scores = rng.uniform(size=FEWEST_TRIALS)
    assert importances({"k": list(range(FEWEST_TRIALS - 1))}, scores[1:].tolist()) == []
    assert importances({"k": list(range(FEWEST_TRIALS))}, [3.0] * FEWEST_TRIALS) == []
    each_its_own = [f"value {index}" for index in range(FEWEST_TRIALS)]
    assert importances({"k": each_its_own, "one": [64] * FEWEST_TRIALS}, scores.tolist()) == []
    assert importances({}, scores.tolist()) == []


def test_whether_more_or_less_is_better_changes_nothing():
    rng = np.random.default_rng(6)
    values, scores = rng.uniform(size=20), rng.uniform(size=20)
    there = importances({"k": values.tolist()}, scores.tolist())[0]
    back = importances({"k": values.tolist()}, (-scores).tolist())[0]
    assert (there.share, there.p) == (pytest.approx(back.share), pytest.approx(back.p, abs=0.02))
