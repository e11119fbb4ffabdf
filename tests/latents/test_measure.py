import numpy as np
import pytest
from scipy.stats import binomtest

from framework.latents.attributes.expression import parse_expression
from framework.latents.attributes.groups import Condition
from framework.latents.attributes.shares import Share, combine, expected, measured_rows

GLASSES, BARE = Condition("glasses", "high"), Condition("glasses", "low")
SMILING = Condition("smiling", "high")


@pytest.mark.parametrize(("count", "of"), [(0, 10), (1, 10), (5, 10), (93, 100), (100, 100), (7, 2000)])
def test_the_interval_is_wilsons(count, of):
    reference = binomtest(count, of).proportion_ci(0.95, method="wilson")
    assert Share(count, of).interval == pytest.approx((reference.low, reference.high), abs=1e-12)
    assert Share(count, of).value == count / of


def test_means_are_added_raw_with_their_signs():
    means = {"a": np.array([1.0, 10.0]), "b": np.array([2.0, 20.0]), "c": np.array([4.0, 40.0])}
    assert combine(parse_expression("a - b + c"), means).tolist() == [3.0, 30.0]
    assert combine(parse_expression("-a - a + c"), means).tolist() == [2.0, 20.0]
    many = {name: np.stack([mean, 2 * mean]) for name, mean in means.items()}
    assert combine(parse_expression("a - b"), many).tolist() == [[-1, -10], [-2, -20]]
    assert means["a"].tolist() == [1.0, 10.0]


def test_what_a_result_should_have_are_the_groups_counted_with_plus():
    conditions = {"glasses": GLASSES, "no_glasses": BARE, "smiling": SMILING}
    assert expected(parse_expression("glasses - no_glasses + smiling"), conditions) == [GLASSES, SMILING]
    assert expected(parse_expression("smiling - glasses + smiling"), conditions) == [SMILING]
    assert expected(parse_expression("-glasses"), conditions) == []
    assert expected(parse_expression("mine + smiling"), conditions) == [SMILING]


def test_rows_count_all_together_and_each_apart():
    results = {"glasses": np.array([0.9, 0.9, 0.9, 0.1]), "smiling": np.array([0.8, 0.7, 0.2, 0.9])}
    random = {"glasses": np.array([0.9, 0.1, 0.1, 0.1, 0.1]), "smiling": np.array([0.9, 0.9, 0.1, 0.1, 0.1])}
    rows = measured_rows([GLASSES, SMILING], results, random)
    assert [row["attribute"] for row in rows] == ["glasses and smiling", "glasses", "smiling"]
    assert [(row["count"], row["repeats"], row["share"]) for row in rows] == [(2, 4, 0.5), (3, 4, 0.75), (3, 4, 0.75)]
    assert [(row["random_count"], row["random_samples"]) for row in rows] == [(1, 5), (1, 5), (2, 5)]
    assert rows[0]["random_share"] == 0.2
    assert rows[0]["interval"] == pytest.approx(Share(2, 4).interval, abs=1e-4)
    (alone,) = measured_rows([SMILING], results, random)
    assert alone["attribute"] == "smiling"
