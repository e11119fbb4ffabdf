"""Batches ahead: in order, with their errors, and gone when they should be."""

import threading
import time

import numpy as np
import pytest

from framework.data import Prefetcher


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


class Ahead:
    """Makes batches, notes their numbers, and lets others wait until there are so many."""

    def __init__(self):
        self.made, self._more = [], threading.Condition()

    def __call__(self, number):
        with self._more:
            self.made.append(number)
            self._more.notify_all()
        return np.full(3, number)

    def wait_for(self, count):
        with self._more:
            self._more.wait_for(lambda: len(self.made) >= count)


def test_it_ends_while_its_thread_waits_for_room():
    make = Ahead()
    batches = Prefetcher(make, ahead=1)
    make.wait_for(2)  # one is ready, and for the other there is no room
    batches.close()
    batches.close()
    assert threads() == 0


def test_batches_are_made_before_they_are_asked_for_and_no_more_than_that():
    make = Ahead()
    with Prefetcher(make, ahead=2) as batches:
        make.wait_for(3)  # two are ready, and for the third there is no room
        next(batches)
        make.wait_for(4)
        time.sleep(0.05)
        assert make.made == [0, 1, 2, 3]


def test_what_is_measured_is_the_waiting_alone():
    make = Ahead()
    with Prefetcher(make) as batches:
        make.wait_for(3)
        time.sleep(0.05)  # by which it would be off if it counted from the beginning
        for _ in range(10):
            before = time.perf_counter()
            waited = next(batches)[1]
            assert 0 < waited <= time.perf_counter() - before
