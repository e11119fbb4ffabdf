import numpy as np
import pytest
import torch

from framework.config import AssessorConfig
from framework.errors import ConfigError, DataError
from framework.models.assessor.assessor import AttributeSpec
from framework.training.assessor.fit import loss_of
from framework.training.assessor.labels import Label, usable_labels
from framework.training.assessor.train import split
from tests.conftest import missing


def learnable(store, **settings):
    return usable_labels(store, AssessorConfig(**settings), halves=split(store, seed=0)[0])


def test_doubtful_values_are_masked_and_the_bounds_count_as_sure(make):
    written = np.tile(np.array([0, 0.1, 0.1001, 0.5, 0.8999, 0.9, 1, np.nan], np.float32), 100)
    labels, left_out = learnable(make(800, labels={"glasses": written}))
    assert left_out == {}
    expected = np.array([0, 0, np.nan, np.nan, np.nan, 1, 1, np.nan], np.float32)
    np.testing.assert_array_equal(labels[0].values[:8], expected)
    wider, _ = learnable(make(800, labels={"glasses": written}), low=0.5, high=0.5)
    np.testing.assert_array_equal(wider[0].values[:8], np.array([0, 0, 0, 0, 1, 1, 1, np.nan], np.float32))


def test_binary_and_class_labels_are_learned_and_plain_numbers_are_not(make):
    store = make()
    store.labels["age"] = np.random.default_rng(0).integers(1, 90, len(store)).astype(np.float32)
    labels, left_out = learnable(store)
    assert [label.spec for label in labels] == [AttributeSpec("bar"), AttributeSpec("tint", ["red", "green", "blue"])]
    assert list(left_out) == ["age"]
    assert missing(left_out["age"], "0 to 1", "classes") == []


def test_labels_with_too_few_on_a_side_are_left_out_and_named(make):
    rare = np.zeros(600, np.float32)
    rare[:30] = 1
    unknown = np.full(600, np.nan, np.float32)
    common = (np.arange(600) % 2).astype(np.float32)
    labels, left_out = learnable(make(labels={"rare": rare, "unknown": unknown, "common": common}))
    assert [label.spec.name for label in labels] == ["common"]
    assert set(left_out) == {"rare", "unknown"}
    assert missing(left_out["rare"], "at least 20") == []


def test_only_the_named_labels_are_learned(store):
    assert [label.spec.name for label in learnable(store, attributes=["tint"])[0]] == ["tint"]
    with pytest.raises(ConfigError, match=r"assessor\.attributes: the data has no label 'hat'; its labels: bar, tint"):
        learnable(store, attributes=["hat"])


@pytest.mark.parametrize("labels", [{}, {"age": np.arange(600, dtype=np.float32)}])
def test_without_labels_one_line_says_what_can_be_done(make, labels):
    with pytest.raises(DataError) as caught:
        learnable(make(labels=labels))
    line = str(caught.value)
    assert "data.labels" in line
    assert "evaluation.features=efficientnet" in line
    assert "\n" not in line


def test_the_halves_are_disjoint_and_never_held_out(make):
    store = make()
    (first, second), held_out = split(store, seed=0)
    assert sorted([*first, *second, *held_out]) == list(range(len(store)))
    assert np.array_equal(held_out, store.held_out_indices)
    assert 0.8 < len(first) / len(second) < 1.25
    assert set(split(store, seed=1)[0][0]) != set(first)


def test_copies_of_a_picture_are_on_one_side(make):
    store = make()
    store.hashes[:] = store.hashes[: len(store) // 2] * 2
    (first, second), _ = split(store, seed=0)
    assert not {store.hashes[k] for k in first} & {store.hashes[k] for k in second}


def test_where_the_data_holds_none_out_a_tenth_is_set_apart(make):
    store = make(held_out=0.0)
    (first, second), held_out = split(store, seed=0)
    assert sorted([*first, *second, *held_out]) == list(range(len(store)))
    assert 30 < len(held_out) < 90


def test_the_loss_counts_known_labels_alone():
    nan = np.nan
    labels = [
        Label(AttributeSpec("a"), np.array([0, 1, nan, nan], np.float32)),
        Label(AttributeSpec("b", ["x", "y", "z"]), np.array([nan, nan, nan, 2], np.float32)),
    ]
    logits = torch.zeros(4, 4, requires_grad=True)
    loss = loss_of(logits, labels, np.arange(4))
    torch.testing.assert_close(loss.item(), np.log(2) + np.log(3))
    loss.backward()
    expected = [[0.25, 0, 0, 0], [-0.25, 0, 0, 0], [0, 0, 0, 0], [0, 1 / 3, 1 / 3, -2 / 3]]
    torch.testing.assert_close(logits.grad, torch.tensor(expected))
    assert loss_of(logits, labels, np.array([2])).item() == 0
