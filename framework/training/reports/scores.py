"""Scores that are made while the training goes on: at most one at a time, and none is forgotten."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.checkpoint.snapshot import Writing
from framework.metrics import cost
from framework.training.reports.report import Scored, ScoreHandle


@dataclass(frozen=True)
class _Pending:
    checkpoint: Checkpoint
    handle: ScoreHandle
    began: float


class PendingScores:
    """Rank 0's: begins the score of a checkpoint, and hands it out when it has come.

    Args:
        begin: Starts the making of a score.
        store: Keeps a checkpoint as long as its score is awaited.
    """

    def __init__(self, begin: Callable[[Checkpoint], ScoreHandle], store: CheckpointStore) -> None:
        self._begin, self._store = begin, store
        self._pending: _Pending | None = None
        self._queue: list[tuple[Checkpoint, Writing | None]] = []

    def add(self, checkpoint: Checkpoint, writing: Writing | None = None) -> None:
        """A checkpoint to score; it waits until it is written, and the one before it has its score."""
        self._store.await_score(checkpoint)
        self._queue.append((checkpoint, writing))
        self._begin_next()

    def take(self, *, images_seen: int, leave: int | None = None) -> list[Scored]:
        """The scores that have come.

        Args:
            images_seen: Where the training stands.
            leave: Waits until at most so many are still in the making; None waits for none.
        """
        found: list[Scored] = []
        while self._pending is not None or self._queue:
            left = (self._pending is not None) + len(self._queue)
            may_wait = leave is not None and left > leave
            self._begin_next(may_wait=may_wait)
            if self._pending is None or not (self._pending.handle.done() or may_wait):
                break
            started, one = time.perf_counter(), self._pending
            document = one.handle.result()
            now = time.perf_counter()
            found.append(
                Scored(
                    one.checkpoint.name,
                    one.checkpoint.images_seen,
                    document,
                    seconds=round(now - one.began, 3),
                    waited_seconds=round(now - started, 3),
                    arrived_at_images_seen=images_seen,
                )
            )
            self._pending = None
            self._begin_next()
        return found

    def note(self, scores: list[Scored]) -> None:
        """Into best.json, when they have been reported: who is killed before that owes them still."""
        for one in scores:
            checkpoint = Checkpoint(self._store.folder / one.checkpoint)
            self._store.record_score(checkpoint, one.document, cost(one.document["metric"], one.document["value"]))

    def _begin_next(self, *, may_wait: bool = False) -> None:
        """Begins the first in the queue where none is in the making, once it is written."""
        if self._pending is not None or not self._queue:
            return
        checkpoint, writing = self._queue[0]
        if writing is not None:
            if not (may_wait or writing.done()):
                return
            writing.wait()
        del self._queue[0]
        self._pending = _Pending(checkpoint, self._begin(checkpoint), time.perf_counter())
