import multiprocessing
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from framework.errors import EvaluationError
from framework.evaluation.features.extractor import build_extractor
from framework.evaluation.sources.shards import merge_in_order, moments_of, shard_moments
from framework.evaluation.sources.source import find_source, source_shard_moments
from framework.metrics import Moments
from framework.models.arithmetic.blocks import shards

SEED = 3


def same_bits(a, b):
    return a.count == b.count and np.array_equal(a.mean, b.mean) and np.array_equal(a.scatter, b.scatter)


def samples(generator):
    """(start, stop) -> a seed's samples of these numbers."""
    return lambda start, stop: generator.images(generator.sample_latents(stop - start, SEED, start=start))


def test_shards_cover_all_once():
    assert shards(600) == [(0, 256), (256, 512), (512, 600)]
    assert shards(256) == [(0, 256)]
    assert shards(0) == []


@pytest.mark.long
def test_blocks_at_a_time_move_no_bit(generator, inception_spec):
    extractor = build_extractor(inception_spec)
    one, two = (shard_moments(samples(generator), extractor, start=0, stop=70, blocks=blocks) for blocks in (1, 2))
    assert same_bits(one, two)


@pytest.mark.long
def test_one_process_or_two_move_no_bit(pictures, inception_spec, tmp_path):
    """Real Inception, 64 images in two parts: here on one thread, and in two fresh processes."""
    for number, image in enumerate(pictures(64)):
        Image.fromarray(image[:, :, 0]).save(tmp_path / f"{number:03}.png")
    source = find_source(str(tmp_path), samples=0, seed=0)
    parts = [{"start": 0, "stop": 32}, {"start": 32, "stop": 64}]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here = merge_in_order(source_shard_moments(source, inception_spec, **part, blocks=2) for part in parts)
    finally:
        torch.set_num_threads(threads)
    with multiprocessing.get_context("spawn").Pool(2, torch.set_num_threads, (1,)) as pool:
        tasks = [pool.apply_async(source_shard_moments, (source, inception_spec), part) for part in parts]
        there = merge_in_order(task.get(timeout=200) for task in tasks)
    assert same_bits(here, there)


def test_shards_merge_to_the_whole(pictures, assessor_spec):
    images, extractor = pictures(600), build_extractor(assessor_spec)
    merged = moments_of(lambda a, b: images[a:b], 600, extractor, blocks=4)
    whole = Moments.of(extractor(images))
    np.testing.assert_allclose(merged.scatter, whole.scatter, rtol=1e-9, atol=1e-9 * np.abs(whole.scatter).max())
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-9, atol=1e-12)


@pytest.mark.long
def test_samples_are_those_of_the_seed(generator, inception_spec):
    """A shard's samples are the seed's samples of those numbers, whoever makes them."""
    extractor = build_extractor(inception_spec)
    images = generator.images(generator.sample_latents(320, SEED))
    shard = shard_moments(samples(generator), extractor, start=256, stop=320)
    assert same_bits(shard, Moments.of(extractor(images[256:])))


def test_memory_does_not_grow_with_the_samples(pictures, assessor_spec):
    """Peak of Python and NumPy memory for 512 and for 4,096 images, made as they are asked for."""
    extractor = build_extractor(assessor_spec)
    peaks = []
    for count in (512, 512, 4096):
        tracemalloc.start()
        moments_of(lambda a, b: pictures(b - a, seed=a), count, extractor, blocks=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 0.1 * 4096 * 16 * 16  # a tenth of the images


def test_nothing_to_score():
    with pytest.raises(EvaluationError, match="no images to score"):
        merge_in_order([])


def test_a_shard_begins_at_a_block(pictures, assessor_spec):
    with pytest.raises(ValueError, match="multiple of 32"):
        shard_moments(lambda a, b: pictures(40)[a:b], build_extractor(assessor_spec), start=5, stop=40)
