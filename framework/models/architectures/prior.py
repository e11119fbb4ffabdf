"""Random numbers that depend only on seed, purpose, step and sample, so that there is no generator state to save."""

import numpy as np

BLOCK_SAMPLES = 32


def derive_seed(seed: int, *path: int | str) -> int:
    """A 64-bit seed for one purpose, for example `derive_seed(seed, "latents", step)`."""
    words = [seed, *(int.from_bytes(part.encode(), "little") if isinstance(part, str) else part for part in path)]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0])


def sample_latents(count: int, latent_size: int, *, seed: int, start: int = 0) -> np.ndarray:
    """Latents `start` … `start + count - 1` of an endless standard normal series.

    Sample k depends only on seed and k, so that shards of any size give the same series.

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
    # The block's index is the highest word of the counter, so that blocks cannot overlap.
    bits = np.random.Philox(key=seed, counter=[0, 0, 0, index])
    return np.random.Generator(bits).standard_normal((BLOCK_SAMPLES, latent_size), np.float32)


def random_words(count: int, words: int, *, seed: int, start: int = 0) -> np.ndarray:
    """Uniform random 64-bit words for samples `start` … `start + count - 1`; sample k depends only on seed and k.

    Returns:
        [count, words] uint64.
    """
    blocks = -(-words // 4)  # Philox returns 4 words per counter value
    position = start * blocks
    bits = np.random.Philox(key=seed, counter=[position % 2**64, position >> 64, 0, 0])
    return bits.random_raw(count * blocks * 4).reshape(count, blocks * 4)[:, :words]


def keep_mask(count: int, features: int, *, dropout: float, seed: int, start: int = 0) -> np.ndarray:
    """Dropout mask for samples `start` … `start + count - 1`, True where a feature is kept.

    Each feature uses 16 random bits, so the probability is within 1/65536 of `dropout`.

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
