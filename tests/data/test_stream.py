"""The training order: permutations, sharding, resuming, flips."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.config import DataConfig
from framework.data import TrainingStream, prepare


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return prepare(DataConfig(source="drawn_faces", resolution=32, limit=90), cache=tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="module")
def stream(store):
    return TrainingStream(store, seed=3, horizontal_flip=True)


def test_each_epoch_is_one_permutation_of_the_training_images(store, stream):
    size = len(stream)
    assert size == len(store.training_indices)
    epochs = [stream.indices(k * size, size) for k in range(3)]
    for epoch in epochs:
        assert epoch.dtype == np.int64
        assert sorted(epoch) == sorted(store.training_indices)
    assert (epochs[0] != epochs[1]).any()
    assert (epochs[1] != epochs[2]).any()


def test_it_depends_on_the_seed(store, stream):
    other = TrainingStream(store, seed=4, horizontal_flip=True)
    assert (other.indices(0, 50) != stream.indices(0, 50)).any()


@settings(max_examples=60)
@given(start=st.integers(0, 1000), count=st.integers(0, 300), workers=st.integers(1, 7))
def test_any_part_is_the_same_alone_and_in_shards(store, start, count, workers):
    """Also by a stream of its own, as after a restart."""
    fresh = TrainingStream(store, seed=3, horizontal_flip=True)
    whole = fresh.batch(start, count)
    assert [each.shape for each in whole] == [(count, 32, 32, 3), (count,)]
    bounds = [start + rank * count // workers for rank in range(workers + 1)]
    again = TrainingStream(store, seed=3, horizontal_flip=True)
    parts = [again.batch(low, high - low) for low, high in pairwise(bounds)]
    for number, expected in enumerate(whole):
        assert (np.concatenate([part[number] for part in parts]) == expected).all()
    single = [again.indices(position, 1)[0] for position in range(start, start + count, 37)]
    assert single == fresh.indices(start, count)[::37].tolist()


def test_flips_are_half_and_differ_between_epochs(store, stream):
    size = len(stream)
    plain = TrainingStream(store, seed=3, horizontal_flip=False)
    mirrored = []
    for position in range(0, 8 * size, size):
        (straight, never), (pixels, flipped) = plain.batch(position, size), stream.batch(position, size)
        assert never is None
        assert (pixels == straight).all()
        mirrored.append(flipped[np.argsort(plain.indices(position, size))])
    assert abs(np.mean(mirrored) - 0.5) < 0.08
    assert (mirrored[0] != mirrored[1]).any()


def test_batches_are_copies(store, stream):
    batch, _ = stream.batch(0, 4)
    batch[:] = 0
    assert stream.batch(0, 4)[0].any()


def test_the_order_is_golden():
    """Raw bits of NumPy's Philox, which are promised for ever: a changed order is a changed training."""

    class Store:
        images = np.zeros((8, 1, 1, 1), np.uint8)
        training_indices = np.arange(8)

    stream = TrainingStream(Store(), seed=0, horizontal_flip=False)
    assert stream.indices(0, 16).tolist() == GOLDEN


GOLDEN = [6, 2, 5, 4, 3, 0, 7, 1, 5, 6, 1, 3, 0, 2, 4, 7]
