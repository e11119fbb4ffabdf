"""The endless training order: epoch after epoch, each a seeded permutation, all a pure function of the position."""

import hashlib

import numpy as np

from framework.data.store import PackedStore


class TrainingStream:
    """Real images by position since training began, so that any worker can take any part, and a restart goes on.

    Args:
        store: Where the images lie; those held out never come.
        seed: Of the order and of the flips.
        horizontal_flip: Mirrors each image with probability 0.5, decided anew each epoch.
    """

    def __init__(self, store: PackedStore, *, seed: int, horizontal_flip: bool) -> None:
        self._images, self._indices = store.images, store.training_indices
        self._seed, self._horizontal_flip = seed, horizontal_flip
        self._epochs: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        """Images an epoch."""
        return len(self._indices)

    def indices(self, start: int, count: int) -> np.ndarray:
        """int64 [count] into the store of the images at positions `start` to `start + count`."""
        return self._taken(start, count)[0]

    def batch(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The images at positions `start` to `start + count`, and which of them are to be mirrored.

        Whoever trains mirrors them, on its device: NumPy takes ten times as long for that as for the images.

        Returns:
            uint8 [count, h, w, c] as they lie in the store, and bool [count]; None where none is ever mirrored.
        """
        indices, mirrored = self._taken(start, count)
        return np.ascontiguousarray(self._images[indices]), mirrored if self._horizontal_flip else None

    def _taken(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        size, stop = len(self), start + count
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for number in range(start // size, -(-stop // size)):
            part = slice(max(start - number * size, 0), stop - number * size)
            order, mirrored = self._epoch(number)
            found.append((order[part], mirrored[part]))
        if not found:
            return np.empty(0, np.int64), np.empty(0, bool)
        return np.concatenate([order for order, _ in found]), np.concatenate([mirrored for _, mirrored in found])

    def _epoch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """An epoch's order and its flips. From raw bits: NumPy keeps those the same for ever, not its shuffles."""
        known = self._epochs.get(number)
        if known is None:
            order = self._indices[np.argsort(self._bits(number, "order"), kind="stable")]
            mirrored = (self._bits(number, "flips") >> np.uint64(63)).astype(bool)
            known = order, mirrored
            self._epochs = {kept: value for kept, value in self._epochs.items() if abs(kept - number) <= 1}
            self._epochs[number] = known
        return known

    def _bits(self, epoch: int, purpose: str) -> np.ndarray:
        key = hashlib.sha256(f"{self._seed} {epoch} {purpose}".encode()).digest()[:16]
        return np.random.Philox(key=np.frombuffer(key, "<u8")).random_raw(len(self))
