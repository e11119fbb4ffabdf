"""Random numbers as a pure function of where they are used: (seed, purpose, step, sample). No state to save."""

import numpy as np

BLOCK_SAMPLES = 32


def derive_seed(seed: int, *path: int | str) -> int:
    """A seed of its own for each use, e.g. `derive_seed(seed, "latents", step)`; 64 bits."""
    words = [seed, *(int.from_bytes(part.encode(), "little") if isinstance(part, str) else part for part in path)]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0])


def sample_latents(count: int, latent_size: int, *, seed: int, start: int = 0) -> np.ndarray:
    """Latents `start` … `start + count - 1` of an endless standard normal series.

    Sample k depends on (seed, k) alone, whatever is asked for beside it, so that any sharding gives the same series.

    Returns:
        [count, latent_size] float32.
    """
    first, last = start // BLOCK_SAMPLES, -(-(start + count) // BLOCK_SAMPLES)
    if count == 0:
        return np.empty((0, latent_size), np.float32)
    blocks = [_block(index, latent_size, seed=seed) for index in range(first, last)]
    offset = start - first * BLOCK_SAMPLES
    return np.concatenate(blocks)[offset : offset + count]


def _block(index: int, latent_size: int, *, seed: int) -> np.ndarray:
    # The block's number is the counter's highest word: blocks can never run into each other.
    bits = np.random.Philox(key=seed, counter=[0, 0, 0, index])
    return np.random.Generator(bits).standard_normal((BLOCK_SAMPLES, latent_size), np.float32)


def random_words(count: int, words: int, *, seed: int, start: int = 0) -> np.ndarray:
    """Uniform random 64-bit words for samples `start` … `start + count - 1`; sample k depends on (seed, k) alone.

    Returns:
        [count, words] uint64.
    """
    blocks = -(-words // 4)  # Philox gives 4 words a count
    position = start * blocks
    bits = np.random.Philox(key=seed, counter=[position % 2**64, position >> 64, 0, 0])
    return bits.random_raw(count * blocks * 4).reshape(count, blocks * 4)[:, :words]


def keep_mask(count: int, features: int, *, dropout: float, seed: int, start: int = 0) -> np.ndarray:
    """Dropout's mask for samples `start` … `start + count - 1`: True where a feature stays.

    16 bits decide for each feature, so the probability is within 1/65536 of `dropout`.

    Returns:
        [count, features] bool.
    """
    words = random_words(count, -(-features // 4), seed=seed, start=start)
    return words.view(np.uint16)[:, :features] >= round(dropout * 65536)


def uniforms(count: int, numbers: int, *, seed: int, start: int = 0) -> np.ndarray:
    """Uniform numbers for samples `start` … `start + count - 1`.

    Returns:
        [count, numbers] float64 in [0, 1).
    """
    return (random_words(count, numbers, seed=seed, start=start) >> np.uint64(11)) * 2.0**-53
