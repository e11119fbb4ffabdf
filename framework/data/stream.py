"""The endless order of training images: seeded permutations, epoch by epoch, as a function of the position."""

import hashlib

import numpy as np

from framework.data.store import PackedStore


class TrainingStream:
    """Training images by their position since the start of the training.

    Any worker can read any part, and a resumed training continues at its position. Held-out images are never included.

    Args:
        seed: The seed of the order and of the flips.
        horizontal_flip: Whether to mirror each image with probability 0.5, decided separately in each epoch.
    """

    def __init__(self, store: PackedStore, *, seed: int, horizontal_flip: bool) -> None:
        self._images, self._indices = store.images, store.training_indices
        self._seed, self._horizontal_flip = seed, horizontal_flip
        self._epochs: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        """Number of images per epoch."""
        return len(self._indices)

    def indices(self, start: int, count: int) -> np.ndarray:
        """int64 [count] indices in the store of the images at positions `start` … `start + count - 1`."""
        return self._taken(start, count)[0]

    def batch(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The images at positions `start` … `start + count - 1`, and which of them to mirror.

        The training step mirrors them on its device; NumPy would take ten times as long for that as for reading them.

        Returns:
            uint8 [count, h, w, c] as stored, and bool [count], True for images to mirror; None without flips.
        """
        indices, mirrored = self._taken(start, count)
        return np.ascontiguousarray(self._images[indices]), mirrored if self._horizontal_flip else None

    def _taken(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        size, stop = len(self), start + count
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        for number in range(start // size, -(-stop // size)):
            part = slice(max(start - number * size, 0), stop - number * size)
            order, mirrored = self._epoch(number)
            parts.append((order[part], mirrored[part]))
        if not parts:
            return np.empty(0, np.int64), np.empty(0, bool)
        return np.concatenate([order for order, _ in parts]), np.concatenate([mirrored for _, mirrored in parts])

    def _epoch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The order and the flips of an epoch, from raw bits, which NumPy guarantees to keep unlike its shuffles."""
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
