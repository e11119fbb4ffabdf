"""The checkpoints of one training: the one it resumes from, those it writes, and those that still need a score."""

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
    """Writes checkpoints on rank 0 and keeps all ranks informed.

    On a GPU the state is copied to the CPU and a thread writes it, while the training continues.

    Args:
        log: Called with one-line messages for the user.

    Attributes:
        newest: The newest checkpoint; None before the first.
        writing: On rank 0, the thread's writing of the newest checkpoint; None on a CPU.
    """

    def __init__(self, store: CheckpointStore, workers: WorkerGroup, *, log: Callable[[str], None]) -> None:
        self._store, self._workers = store, workers
        self._on_gpu = torch.device(workers.device).type != "cpu"
        self.writing: Writing | None = None
        self.newest = self._found(log)

    def save(self, state: State, images: PackedStore) -> None:
        """Saves a checkpoint, unless there is one for this number of images.

        Raises:
            TrainingError: A weight is not finite.
            StorageError: The checkpoint cannot be written; on a GPU it may be the previous checkpoint.
        """
        if self.newest is None or self.newest.images_seen != state.images_seen:
            self.newest = self._workers.from_first(lambda: self._save(state, images))

    def wait(self) -> None:
        """Waits on all ranks until the newest checkpoint is written.

        Raises:
            StorageError: It cannot be written.
        """
        if self._on_gpu:
            self._workers.from_first(self._wait)

    def close(self) -> None:
        """Finishes writing after the training has failed; errors are suppressed in favour of the training's error."""
        with contextlib.suppress(Exception):
            self._wait()

    def owed(self, is_due: Callable[[int], bool]) -> list[Checkpoint]:
        """The checkpoints that should have a score and do not, oldest first, up to the newest checkpoint.

        Args:
            is_due: Whether a score is due at this number of images.
        """
        newest = self.newest
        if newest is None:
            return []

        def names() -> list[str]:
            due = [
                checkpoint
                for checkpoint in self._store.all()
                if checkpoint.images_seen <= newest.images_seen and is_due(checkpoint.images_seen)
            ]
            unscored = [checkpoint for checkpoint in due if not self._store.has_score(checkpoint)]
            return [checkpoint.name for checkpoint in unscored if checkpoint.fault() is None]

        return [Checkpoint(self._store.folder / name) for name in self._workers.from_first(names)]

    def scores(self, upto: int) -> list[tuple[int, str, float | None]]:
        """(images seen, metric, value) of recorded scores of checkpoints up to these images seen, on every rank."""
        return self._workers.from_first(lambda: [each for each in self._store.scores() if each[0] <= upto])

    def at(self, images_seen: int) -> Checkpoint | None:
        """The checkpoint at these images seen; None on every rank if it is gone or damaged."""
        checkpoint = Checkpoint(self._store.folder / name_at(images_seen))
        return checkpoint if self._workers.from_first(lambda: checkpoint.fault() is None) else None

    def _found(self, log: Callable[[str], None]) -> Checkpoint | None:
        """The checkpoint to resume from, chosen by rank 0, so that all ranks use the same."""

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
