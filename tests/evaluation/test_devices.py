"""On which kind of device a score was made: in its protocol, in the names of what is kept, and nowhere for CPUs."""

import json

import numpy as np
import pytest
import torch

from framework.evaluation import FeatureSpec, ImageSetSpec, Protocol
from framework.evaluation.features.extractor import Extractor
from framework.evaluation.features.resizing import _resized_clean, resize_clean
from framework.evaluation.protocols.protocol import same_but_device
from framework.evaluation.sources.shards import merge_in_order, shard_columns, shard_moments, spans
from framework.evaluation.values.reference import features_name, statistics_name
from framework.models.arithmetic.blocks import shards

SPEC = FeatureSpec("inception", "weights.pth", "a" * 64, 64)
REAL = ImageSetSpec(count=600, split="training", height=32, width=32, channels=3, digest="b" * 64)
FAKE = ImageSetSpec(count=500, split="generated", height=32, width=32, channels=3, seed=0)
H100 = {"device": "NVIDIA H100 80GB HBM3"}


def document(real=REAL, fake=FAKE):
    return Protocol.of(SPEC, fake=fake, real=real).document()


def test_a_cpu_s_protocol_says_nothing_of_devices():
    assert "device" not in json.dumps(document())


def test_each_side_says_its_gpu_and_nothing_else_changes():
    found = document(REAL.model_copy(update=H100), FAKE.model_copy(update={"device": "NVIDIA L4"}))
    assert found["real"].pop("device") == "NVIDIA H100 80GB HBM3"
    assert found["fake"].pop("device") == "NVIDIA L4"
    assert found == document()


def test_a_score_is_known_whatever_it_was_made_on():
    on_gpu = document(fake=FAKE.model_copy(update=H100))
    assert on_gpu != document()
    assert same_but_device(on_gpu, document())
    assert not same_but_device(on_gpu, document(fake=FAKE.model_copy(update={"seed": 1})))


@pytest.mark.parametrize("name", [statistics_name, features_name])
def test_what_a_gpu_has_computed_is_no_cpu_s_file(name):
    names = {name(SPEC, REAL), *(name(SPEC, REAL.model_copy(update={"device": kind})) for kind in ("L4", "T4"))}
    assert len(names) == 3
    assert name(SPEC, REAL.model_copy(update={"device": None})) == name(SPEC, REAL)


@pytest.mark.parametrize("count", [1, 256, 1023, 1024, 1025, 50_000])
def test_a_gpu_sums_whole_shards_always_the_same_ones(count):
    assert spans(count, device=None) == shards(count)
    on_gpu = spans(count, device="NVIDIA L4")
    cut = [(at, min(at + 256, stop)) for start, stop in on_gpu for at in range(start, stop, 256)]
    assert cut == shards(count)
    # Fewer images are summed in the same spans but for the last: a pass over them alone gives the same bits.
    assert on_gpu[:-1] == spans(60_000, device="NVIDIA L4")[: len(on_gpu) - 1]


@pytest.fixture(scope="module")
def extractor():
    """Real arithmetic, small: 64 numbers of each image by a fixed matrix."""
    matrix = torch.from_numpy(np.random.default_rng(0).normal(size=(64, 4 * 4 * 3)).astype(np.float32))
    return Extractor(SPEC, lambda block: torch.from_numpy(np.stack([*block])).flatten(1).float() @ matrix.T)


def test_several_shards_summed_are_their_moments_merged(extractor):
    images = np.random.default_rng(1).integers(0, 256, size=(600, 4, 4, 3), dtype=np.uint8)

    def read(start, stop):
        return images[start:stop]

    one = shard_moments(read, extractor, start=0, stop=600, blocks=3)
    each = merge_in_order(shard_moments(read, extractor, start=start, stop=stop) for start, stop in shards(600))
    assert np.array_equal(one.mean, each.mean)
    assert np.array_equal(one.scatter, each.scatter)
    rows = shard_columns(read, extractor, start=0, stop=600).numpy().astype(np.float64)
    np.testing.assert_allclose(one.covariance, np.cov(rows.T), rtol=1e-9)


def test_moments_of_what_is_not_finite_are_refused(extractor):
    broken = Extractor(SPEC, lambda block: torch.full((len(block), 64), torch.nan))
    images = np.zeros((40, 4, 4, 3), np.uint8)
    with pytest.raises(Exception, match="not finite at tap 64"):
        shard_moments(lambda start, stop: images[start:stop], broken, start=0, stop=40)


def test_threads_move_no_bit_of_the_clean_resize():
    rng = np.random.default_rng(0)
    stacks = [
        rng.integers(0, 256, size=shape, dtype=np.uint8) for shape in ((5, 40, 30, 3), (1, 300, 300, 1), (3, 8, 8, 3))
    ]
    alone, shared = (_resized_clean(stacks, 299, threads=threads) for threads in (1, 4))
    for stack, one, other in zip(stacks, alone, shared, strict=True):
        assert one.shape == (len(stack), 299, 299, stack.shape[3])
        assert np.array_equal(one, other)
        assert np.array_equal(one, resize_clean(torch.from_numpy(stack)).numpy())
    assert alone[0].min() >= 0
    assert alone[0].max() <= 255
