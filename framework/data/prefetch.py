"""Prepares batches in a thread, so that a training step does not wait for them."""

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
    """An endless iterator over `make(0)`, `make(1)`, …. Use it as a context manager, which ends the thread.

        with Prefetcher(lambda k: stream.batch(k * 64, 64)) as batches:
            (pixels, mirrored), waited_s = next(batches)

    Args:
        make: Returns batch k. It runs in the thread, one call at a time; `next` raises its exceptions.
        ahead: Number of batches that are kept ready.
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
        """The next batch, and the seconds spent waiting for it."""
        if self._ended.is_set():
            raise StopIteration
        began = time.perf_counter()
        batch = self._ready.get()
        if isinstance(batch, _Failed):
            self._ended.set()
            raise batch.fault
        return batch, time.perf_counter() - began

    def close(self) -> None:
        """Ends the thread; may be called twice."""
        self._ended.set()
        while self._thread.is_alive():
            try:
                self._ready.get_nowait()  # the thread may be waiting for a free place in the queue
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
