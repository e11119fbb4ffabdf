"""Random numbers by (seed, sample): any part of a series is the same part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from framework.models import sample_latents
from framework.models.architectures.prior import derive_seed, keep_mask, random_words, uniforms

SEEDS = st.integers(0, 2**64 - 1)


@settings(max_examples=30)
@given(seed=SEEDS, start=st.integers(0, 200), count=st.integers(0, 100), size=st.integers(1, 9))
def test_any_part_is_the_same_part(seed, start, count, size):
    draws = {
        "latents": lambda count, start: sample_latents(count, size, seed=seed, start=start),
        "words": lambda count, start: random_words(count, size, seed=seed, start=start),
        "mask": lambda count, start: keep_mask(count, size, dropout=0.4, seed=seed, start=start),
        "uniforms": lambda count, start: uniforms(count, size, seed=seed, start=start),
    }
    for name, draw in draws.items():
        whole = draw(start + count, 0)
        assert whole.shape == (start + count, size), name
        np.testing.assert_array_equal(draw(count, start), whole[start:], err_msg=name)


def test_latents_are_standard_normal_and_independent():
    latents = sample_latents(4_000, 50, seed=7)
    assert latents.dtype == np.float32
    assert stats.kstest(latents.ravel(), "norm").pvalue > 0.001
    correlation = np.corrcoef(latents.T) - np.eye(50)
    assert np.abs(correlation).max() < 5 / np.sqrt(4_000)


def test_latents_of_far_samples_differ():
    first = sample_latents(32, 4, seed=0)
    assert not np.isin(sample_latents(32, 4, seed=0, start=32), first).any()
    assert not np.isin(sample_latents(32, 4, seed=1), first).any()


@pytest.mark.parametrize("dropout", [0.1, 0.4, 0.75])
def test_a_mask_keeps_its_share(dropout):
    kept = keep_mask(1_000, 512, dropout=dropout, seed=3).mean()
    assert abs(kept - (1 - dropout)) < 5 * np.sqrt(dropout * (1 - dropout) / 512_000) + 2**-16


def test_uniforms_are_uniform():
    numbers = uniforms(20_000, 3, seed=5)
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 0.001


def test_every_purpose_and_step_has_its_own_seed():
    seeds = {derive_seed(0, purpose, step) for purpose in ("real", "fake", "generator") for step in range(1_000)}
    assert len(seeds) == 3_000
