"""The checkpoints of one training: which it goes on from, which it writes, and which still owe a score."""

import contextlib
from collections.abc import Callable

import torch

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.checkpoint.saved import name_at
from framework.checkpoint.snapshot import Writing
from framework.data import PackedStore
from framework.training.state import State
from framework.training.workers import WorkerGroup


class Keeper:
    """Rank 0 writes, all ranks know of it. On a GPU a thread writes what was copied from it; the training goes on.

    Args:
        store: Where they lie.
        workers: Who shares the training.
        log: Told in a line what should be known.

    Attributes:
        newest: The newest; None before the first.
        writing: Rank 0's: the writing of the newest, where a thread has it.
    """

    def __init__(self, store: CheckpointStore, workers: WorkerGroup, *, log: Callable[[str], None]) -> None:
        self._store, self._workers = store, workers
        self._on_gpu = torch.device(workers.device).type != "cpu"
        self.writing: Writing | None = None
        self.newest = self._found(log)

    def save(self, state: State, images: PackedStore) -> None:
        """A checkpoint of this clock, unless there is one.

        Raises:
            TrainingError: A weight is not finite.
            StorageError: It cannot be written; on a GPU this may be said of the one before.
        """
        if self.newest is None or self.newest.images_seen != state.images_seen:
            self.newest = self._workers.from_first(lambda: self._save(state, images))

    def wait(self) -> None:
        """Until the newest is written, and all ranks know; StorageError where it cannot be."""
        if self._on_gpu:
            self._workers.from_first(self._wait)

    def close(self) -> None:
        """Lets what is on its way come to the disk, when the training has failed: its own fault is said, not this."""
        with contextlib.suppress(Exception):
            self._wait()

    def owed(self, is_due: Callable[[int], bool]) -> list[Checkpoint]:
        """Up to the newest, oldest first, those without a score for whose clock one was due."""
        newest = self.newest
        if newest is None:
            return []

        def names() -> list[str]:
            due = [
                one for one in self._store.all() if one.images_seen <= newest.images_seen and is_due(one.images_seen)
            ]
            return [one.name for one in due if not self._store.has_score(one) and one.fault() is None]

        return [Checkpoint(self._store.folder / name) for name in self._workers.from_first(names)]

    def _found(self, log: Callable[[str], None]) -> Checkpoint | None:
        """The checkpoint to go on from; rank 0 chooses, so that all take the same."""

        def name() -> str | None:
            newest = self._store.newest(warn=log)
            return None if newest is None else newest.name

        chosen = self._workers.from_first(name)
        return None if chosen is None else Checkpoint(self._store.folder / chosen)

    def _save(self, state: State, images: PackedStore) -> Checkpoint:
        self._wait()
        state.prepare_for_sampling(images)
        write = state.snapshot()
        if not self._on_gpu:
            return write(self._store)
        self.writing = Writing(lambda: write(self._store))
        return Checkpoint(self._store.folder / name_at(state.images_seen))

    def _wait(self) -> None:
        if self.writing is not None:
            self.writing.wait()
