"""Batches ahead: in order, in time, with their errors, and gone when they should be."""

import threading
import time

import numpy as np
import pytest

from framework.config import DataConfig
from framework.data import Prefetcher, TrainingStream, prepare


def threads() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def test_batches_come_in_order():
    with Prefetcher(lambda k: np.full(3, k)) as batches:
        assert [int(next(batches)[0][0]) for _ in range(20)] == list(range(20))
    assert threads() == 0
    with pytest.raises(StopIteration):
        next(batches)


def test_an_error_of_the_thread_is_raised_where_the_batch_is_asked_for():
    def make(k):
        if k == 2:
            raise OSError("the disk is gone")
        return np.zeros(1)

    with Prefetcher(make) as batches:
        next(batches)
        next(batches)
        with pytest.raises(OSError, match="the disk is gone"):
            next(batches)
    assert threads() == 0


def test_it_ends_while_its_thread_waits_for_room():
    batches = Prefetcher(lambda k: np.zeros(1), ahead=1)
    time.sleep(0.05)
    batches.close()
    batches.close()
    assert threads() == 0


def test_no_more_is_made_than_asked():
    made = []
    with Prefetcher(lambda k: made.append(k) or np.zeros(1), ahead=2) as batches:
        next(batches)
        time.sleep(0.05)
        assert len(made) <= 4


def test_waiting_is_measured():
    def slow(k):
        time.sleep(0.05)
        return np.zeros(1)

    with Prefetcher(slow) as batches:
        assert 0.02 < next(batches)[1] < 5
        time.sleep(0.3)
        assert next(batches)[1] < 0.02


def test_a_step_hardly_waits_for_its_data(tmp_path):
    """Steps of 20 ms, far shorter than any real one, over the real stream: under 1% is spent waiting."""
    store = prepare(DataConfig(source="drawn_faces", resolution=32, limit=300), cache=tmp_path)
    stream = TrainingStream(store, seed=0, horizontal_flip=True)
    with Prefetcher(lambda k: stream.batch(k * 128, 128)) as batches:
        next(batches)
        waited = []
        for _ in range(40):
            time.sleep(0.02)
            waited.append(next(batches)[1])
    assert np.median(waited) < 0.01 * 0.02
