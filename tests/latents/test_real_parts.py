"""The same study on a real generator and real assessors (both untrained): shared out or not, it is the same."""

import numpy as np
import pytest
import torch

from framework.checkpoint import LoadedGenerator
from framework.config import ModelConfig
from framework.config.schema import LatentsConfig
from framework.latents.arithmetic.run import run_arithmetic
from framework.latents.protocols import assess_latents, merge_assessed
from framework.latents.walks.interpolate import lerp, slerp
from framework.latents.walks.smoothness import PathMeter, measured
from framework.models import build_generator
from framework.models.assessor.assessor import Assessor, AssessorNetwork, AttributeSpec

LABELS = [AttributeSpec("glasses"), AttributeSpec("smiling"), AttributeSpec("age_group", ["young", "old"])]


class Pair:
    def __init__(self):
        self.finder, self.measurer = assessor(1), assessor(2)


def assessor(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AssessorNetwork(outputs=4, resolution=32, channels=3, width=8)
    network.fold()
    return Assessor(network, attributes=LABELS, resolution=32, channels=3, width=8, accuracy={})


@pytest.fixture
def generator():
    network = build_generator(ModelConfig(width=8, latent_size=16), resolution=32, channels=3, seed=0)
    config = {"architecture": "dcgan", "latent_size": 16, "resolution": 32, "channels": 3}
    return LoadedGenerator(network, config=config, digest="0", source="", device="cpu")


@pytest.mark.long
def test_a_study_shared_out_over_a_cluster_is_the_same(generator):
    assessors = Pair()
    config = LatentsConfig(arithmetic={"candidates": 600})

    def in_parts(latents):
        starts = range(0, len(latents), 256)
        return merge_assessed(
            [assess_latents(generator, assessors, latents[k : k + 256]) for k in reversed(starts)][::-1]
        )

    alone = run_arithmetic(generator, config, assessors=assessors)
    shared = run_arithmetic(generator, config, assessors=assessors, assess=in_parts)
    assert shared.document == alone.document
    assert np.array_equal(shared.picture, alone.picture)
    assert alone.document["measured"][0]["repeats"] == 100
    assert alone.document["protocol"]["finder"] != alone.document["protocol"]["measurer"]


def test_ways_are_measured_in_what_the_assessor_sees(generator):
    measurer = assessor(2)
    ends = 20 * generator.sample_latents(2, 0)  # an untrained one has little to show nearer by
    walks = {"lerp": lerp(*ends, 65), "slerp": slerp(*ends, 65)}
    found = measured(PathMeter(generator.network, lambda images: measurer.network(images)[1]), walks)
    seen = measurer.features(generator.images(ends)).astype(float)  # of images rounded to levels
    assert found["straight"] == pytest.approx(np.linalg.norm(seen[1] - seen[0]), rel=0.02)
    in_pixels = measured(PathMeter(generator.network), walks)
    levels = generator.images(ends).astype(float)
    assert in_pixels["straight"] == pytest.approx(np.sqrt(((levels[1] - levels[0]) ** 2).mean()), rel=0.02)
    for lengths in (found, in_pixels):
        assert min(lengths["lerp"], lengths["slerp"]) >= lengths["straight"]
