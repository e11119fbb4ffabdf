"""Scores that are computed in the background during the training, one at a time, until all are completed."""

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
    """Starts scores of checkpoints, on rank 0, and returns them when they are completed.

    Args:
        begin: Starts the computation of a score.
        store: Keeps a checkpoint until it is scored.
    """

    def __init__(self, begin: Callable[[Checkpoint], ScoreHandle], store: CheckpointStore) -> None:
        self._begin, self._store = begin, store
        self._pending: _Pending | None = None
        self._queue: list[tuple[Checkpoint, Writing | None]] = []

    def add(self, checkpoint: Checkpoint, writing: Writing | None = None) -> None:
        """Queues a checkpoint, which is scored once it is written and the previous score is completed."""
        self._store.await_score(checkpoint)
        self._queue.append((checkpoint, writing))
        self._begin_next()

    def take(self, *, images_seen: int, leave: int | None = None) -> list[Scored]:
        """Returns the scores that were completed since the last call.

        Args:
            images_seen: Images seen by the training.
            leave: Waits until at most this many scores are open; None does not wait.
        """
        scores: list[Scored] = []
        while self._pending is not None or self._queue:
            remaining = (self._pending is not None) + len(self._queue)
            may_wait = leave is not None and remaining > leave
            self._begin_next(may_wait=may_wait)
            if self._pending is None or not (self._pending.handle.done() or may_wait):
                break
            started, pending = time.perf_counter(), self._pending
            document = pending.handle.result()
            now = time.perf_counter()
            scores.append(
                Scored(
                    pending.checkpoint.name,
                    pending.checkpoint.images_seen,
                    document,
                    seconds=round(now - pending.began, 3),
                    waited_seconds=round(now - started, 3),
                    arrived_at_images_seen=images_seen,
                )
            )
            self._pending = None
            self._begin_next()
        return scores

    def note(self, scores: list[Scored]) -> None:
        """Records scores in best.json after they were reported; if the process dies earlier, they are recomputed."""
        for scored in scores:
            checkpoint, document = Checkpoint(self._store.folder / scored.checkpoint), scored.document
            self._store.record_score(checkpoint, document, cost(document["metric"], document["value"]))

    def _begin_next(self, *, may_wait: bool = False) -> None:
        """Starts the first queued score if none is being computed and its checkpoint is written."""
        if self._pending is not None or not self._queue:
            return
        checkpoint, writing = self._queue[0]
        if writing is not None:
            if not (may_wait or writing.done()):
                return
            writing.wait()
        del self._queue[0]
        self._pending = _Pending(checkpoint, self._begin(checkpoint), time.perf_counter())
