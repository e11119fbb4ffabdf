"""Near-copies: images that show the same picture: a photograph saved again or resized, or the next frame of a film.

Candidates are pairs whose 64-bit perceptual hashes differ in at most 6 bits. On aligned faces that is not enough, so a
pair counts only if its 32x32 grey pictures correlate above 0.97. Drawings of one layout may do so as well, so 32x32
pictures in colour must correlate above 0.95 too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from PIL import Image

MOST_DIFFERENT_BITS = 6
LEAST_CORRELATION = 0.97
_LEAST_IN_COLOUR = 0.95
MOST_IMAGES = 300_000  # above, only exact copies are looked for
_MOST_CANDIDATES = 20_000_000
_SIDE = 32
_LEAST_DEVIATION = 2.0  # grey levels; the correlation of pictures of one colour says nothing
_BLOCK = 2048
# Of two hashes that differ in at most 6 bits, at least one of 7 parts is equal.
_PARTS = [sum(1 << bit for bit in range(part, 64, MOST_DIFFERENT_BITS + 1)) for part in range(MOST_DIFFERENT_BITS + 1)]


class TooManyError(Exception):
    """So many images look alike that comparing all pairs would take hours."""


@dataclass(frozen=True)
class NearCopies:
    """Pairs of images that look alike.

    Attributes:
        pairs: int64 [k, 2] indices of images, the smaller first. Of many images with one hash, each is paired with one.
        distances: int64 [k] different bits of their hashes.
        correlations: float32 [k].
        candidates: Number of pairs that were compared.
    """

    pairs: np.ndarray
    distances: np.ndarray
    correlations: np.ndarray
    candidates: int

    @classmethod
    def none(cls) -> Self:
        """No pairs."""
        return cls(np.empty((0, 2), np.int64), np.empty(0, np.int64), np.empty(0, np.float32), 0)

    def without(self, images: np.ndarray) -> Self:
        """Without the pairs of these images."""
        kept = ~np.isin(self.pairs[:, 0], images)
        return replace(
            self, pairs=self.pairs[kept], distances=self.distances[kept], correlations=self.correlations[kept]
        )

    def groups(self) -> list[np.ndarray]:
        """Indices of images that are connected by pairs, a sorted array for each group."""
        if not len(self.pairs):
            return []
        from scipy.sparse import coo_matrix  # takes a while to import, and few sources have near-copies
        from scipy.sparse.csgraph import connected_components

        members, ends = np.unique(self.pairs, return_inverse=True)
        ends = ends.reshape(-1, 2)
        links = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(members), len(members)))
        count, group = connected_components(links, directed=False)
        return [members[group == number] for number in range(count)]


def find_near_copies(images: np.ndarray) -> NearCopies:
    """Finds pairs of images that look alike.

    Args:
        images: uint8 [n, h, w, c].

    Raises:
        TooManyError: There are more than 20 million candidates.
    """
    small = _small_grey(images)
    shown = np.flatnonzero(_deviations(small) >= _LEAST_DEVIATION)
    hashes = perceptual_hashes(small[shown])
    comparison = _Comparison(images, small, shown, hashes)
    rest = comparison.with_equal_hashes()
    for first, second in _close_hashes(hashes[rest]):
        comparison.compare(rest[first], rest[second])
    return comparison.result()


def perceptual_hashes(small: np.ndarray) -> np.ndarray:
    """uint64 [n]: which of the 8x8 lowest coefficients of the discrete cosine transform are above their median.

    Args:
        small: uint8 [n, 32, 32].
    """
    waves = np.cos(np.pi / _SIDE * np.outer(np.arange(8), np.arange(_SIDE) + 0.5)).astype(np.float32)
    waves[0] /= np.sqrt(2)  # of an orthonormal transform
    hashes = np.empty(len(small), np.uint64)
    for start in range(0, len(small), _BLOCK):
        low = (waves @ small[start : start + _BLOCK].astype(np.float32) @ waves.T).reshape(-1, 64)
        bits = low > np.median(low, axis=1, keepdims=True)
        hashes[start : start + _BLOCK] = np.packbits(bits, axis=1).view(">u8")[:, 0]
    return hashes


class _Comparison:
    """Compares pairs by the correlation of their small pictures, and keeps those that are alike."""

    def __init__(self, images: np.ndarray, small: np.ndarray, shown: np.ndarray, hashes: np.ndarray) -> None:
        self._images = images
        self._small, self._shown, self._hashes = small.reshape(len(small), -1), shown, hashes
        self._found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._candidates = 0

    def compare(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Compares pairs of positions in `shown`; gives which of them are alike."""
        self._candidates += len(first)
        if self._candidates > _MOST_CANDIDATES:
            raise TooManyError
        correlations = np.empty(len(first), np.float32)
        for start in range(0, len(first), _BLOCK):
            block = slice(start, start + _BLOCK)
            one, other = (_standardised(self._small[self._shown[ends[block]]]) for ends in (first, second))
            correlations[block] = np.einsum("ij,ij->i", one, other)
        alike = correlations > LEAST_CORRELATION
        if self._images.shape[3] > 1:
            alike[alike] = self._alike_in_colour(first[alike], second[alike])
        self._found.append((first[alike], second[alike], correlations[alike]))
        return alike

    def _alike_in_colour(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        alike = np.empty(len(first), bool)
        for start in range(0, len(first), _BLOCK):
            block = slice(start, start + _BLOCK)
            one, other = (
                _standardised(np.stack([_small(self._images[place]).reshape(-1) for place in self._shown[ends[block]]]))
                for ends in (first, second)
            )
            alike[block] = np.einsum("ij,ij->i", one, other) > _LEAST_IN_COLOUR
        return alike

    def with_equal_hashes(self) -> np.ndarray:
        """Compares images that have the same hash; gives the positions of one of each lot that is alike.

        Of a film of thousands of equal frames, each is compared with the first one only.
        """
        order = np.argsort(self._hashes, kind="stable")
        lots = np.split(order, np.flatnonzero(np.diff(self._hashes[order])) + 1)
        kept: list[int] = []
        for lot in lots:
            left = lot
            while len(left):
                first, left = left[:1], left[1:]
                kept.append(int(first[0]))
                if len(left):
                    left = left[~self.compare(np.repeat(first, len(left)), left)]
        return np.array(sorted(kept), np.int64)

    def result(self) -> NearCopies:
        if not self._found:
            return NearCopies.none()
        first, second, correlations = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        distances = np.bitwise_count(self._hashes[first] ^ self._hashes[second]).astype(np.int64)
        pairs = np.sort(self._shown[np.stack([first, second], axis=1)], axis=1)
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        return NearCopies(pairs[order], distances[order], correlations[order], self._candidates)


def _close_hashes(hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of positions whose hashes differ in at most 6 bits, each pair once."""
    for part, mask in enumerate(_PARTS):
        earlier = [np.uint64(other) for other in _PARTS[:part]]
        values = hashes & np.uint64(mask)
        order = np.argsort(values, kind="stable")
        for lot in np.split(order, np.flatnonzero(np.diff(values[order])) + 1):
            for start in range(0, len(lot), _BLOCK) if len(lot) > 1 else ():
                rows, columns = lot[start : start + _BLOCK], lot[start:]
                different = hashes[rows][:, None] ^ hashes[columns][None, :]
                close = np.triu(np.bitwise_count(different) <= MOST_DIFFERENT_BITS, k=1)
                first, second = np.nonzero(close)
                bits = different[first, second]
                new = np.all([(bits & other) != 0 for other in earlier], axis=0) if earlier else slice(None)
                yield rows[first[new]], columns[second[new]]


def _small(image: np.ndarray) -> np.ndarray:
    """Of an image, uint8 [32, 32, c]."""
    return np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX))


def _small_grey(images: np.ndarray) -> np.ndarray:
    """uint8 [n, 32, 32]."""
    small = np.empty((len(images), _SIDE, _SIDE), np.uint8)
    for place, image in enumerate(images):
        picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).convert("L")
        small[place] = np.asarray(picture.resize((_SIDE, _SIDE), Image.Resampling.BOX))
    return small


def _deviations(small: np.ndarray) -> np.ndarray:
    """float32 [n] standard deviation of each picture in grey levels."""
    blocks = (small[start : start + _BLOCK].astype(np.float32) for start in range(0, len(small), _BLOCK))
    return np.concatenate([block.std(axis=(1, 2)) for block in blocks])


def _standardised(rows: np.ndarray) -> np.ndarray:
    """float32 [k, m] of mean 0 and length 1 each."""
    values = rows.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return values / np.linalg.norm(values, axis=1, keepdims=True)
