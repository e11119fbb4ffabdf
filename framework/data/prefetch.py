"""Batches made ahead by a thread, so that a step need not wait for them."""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class _Failed:
    fault: BaseException


class Prefetcher(Generic[Batch]):
    """An endless iterator over `make(0)`, `make(1)`, …; a context, at whose end the thread ends.

        with Prefetcher(lambda k: stream.batch(k * 64, 64)) as batches:
            (pixels, mirrored), waited_s = next(batches)

    Args:
        make: Batch k. Runs in the thread, one at a time; what it raises is raised by `next`.
        ahead: Batches kept ready.
    """

    def __init__(self, make: Callable[[int], Batch], *, ahead: int = 2) -> None:
        self._make = make
        self._ready: queue.Queue[Batch | _Failed] = queue.Queue(maxsize=ahead)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[Batch, float]]:
        return self

    def __next__(self) -> tuple[Batch, float]:
        """The next batch and the seconds that it was waited for."""
        if self._ended.is_set():
            raise StopIteration
        began = time.perf_counter()
        batch = self._ready.get()
        if isinstance(batch, _Failed):
            self._ended.set()
            raise batch.fault
        return batch, time.perf_counter() - began

    def close(self) -> None:
        """Ends the thread; it is safe to call it twice."""
        self._ended.set()
        while self._thread.is_alive():
            try:
                self._ready.get_nowait()  # the thread may wait for room
            except queue.Empty:
                self._thread.join(timeout=0.01)

    def _work(self) -> None:
        for number in itertools.count():
            if self._ended.is_set():
                return
            try:
                batch: Batch | _Failed = self._make(number)
            except BaseException as fault:
                batch = _Failed(fault)
            self._ready.put(batch)
            if isinstance(batch, _Failed):
                return
