import dataclasses

import numpy as np
import pytest

from framework.errors import EvaluationError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.protocols.protocol import ImageSetSpec
from framework.evaluation.values.reference import (
    features_name,
    kept_features,
    load_moments,
    real_statistics,
    save_moments,
    statistics_name,
)
from framework.metrics import Moments
from framework.models.arithmetic.blocks import shards

SPEC = FeatureSpec("inception", "/here/weights.pth", "a" * 64, 5)
SIDE = ImageSetSpec(count=12, split="training", height=32, width=32, channels=3, digest="b" * 64)


class Maker:
    def __init__(self, count=12):
        self.calls, self.count = 0, count

    def __call__(self):
        self.calls += 1
        return Moments.of(np.random.default_rng(0).normal(size=(self.count, 5)))


def test_computed_once_and_kept(tmp_path):
    maker = Maker()
    first, path = real_statistics(SPEC, SIDE, compute=maker, cache=tmp_path)
    second, again = real_statistics(SPEC, SIDE, compute=maker, cache=tmp_path)
    assert (maker.calls, path, path.parent) == (1, again, tmp_path / "statistics")
    assert first.count == second.count == load_moments(path).count
    assert np.array_equal(first.mean, second.mean)
    assert np.array_equal(first.scatter, second.scatter)


def test_what_is_kept_from_earlier_is_still_found():
    """The name that files of these images had before sides could be drawn and features rounded."""
    assert statistics_name(SPEC, SIDE) == "559c08fdd484f2c0cbd326a03039f48d.safetensors"


def test_found_by_content_never_by_path():
    moved = FeatureSpec("inception", "/there/weights.pth", "a" * 64, 5)
    assert statistics_name(moved, SIDE) == statistics_name(SPEC, SIDE)
    others = [
        statistics_name(FeatureSpec("inception", "", "c" * 64, 5), SIDE),
        statistics_name(FeatureSpec("inception", "", "a" * 64, 6), SIDE),
        statistics_name(FeatureSpec("assessor", "", "a" * 64, 5), SIDE),
        statistics_name(dataclasses.replace(SPEC, resize_name="clean"), SIDE),
        statistics_name(dataclasses.replace(SPEC, precision="bfloat16"), SIDE),
        *(
            statistics_name(SPEC, SIDE.model_copy(update=change))
            for change in (
                *({"digest": "d" * 64}, {"count": 13}, {"split": "all"}, {"height": 64}, {"channels": 1}),
                *({"sampled_from": 20}, {"sample_seed": 1}),
            )
        ),
    ]
    assert len({statistics_name(SPEC, SIDE), *others}) == len(others) + 1


@pytest.mark.parametrize("damage", [b"", b"no safetensors", None])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    maker = Maker()
    _, path = real_statistics(SPEC, SIDE, compute=maker, cache=tmp_path)
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    with pytest.raises(EvaluationError, match="holds no readable moments"):
        load_moments(path)
    real_statistics(SPEC, SIDE, compute=maker, cache=tmp_path)
    assert maker.calls == 2
    assert load_moments(path).count == 12


def test_moments_that_are_not_finite_are_not_trusted(tmp_path):
    maker = Maker()
    _, path = real_statistics(SPEC, SIDE, compute=maker, cache=tmp_path)
    save_moments(Moments(12, np.full(5, np.nan), np.eye(5)), path)
    assert np.isfinite(real_statistics(SPEC, SIDE, compute=maker, cache=tmp_path)[0].mean).all()


def test_moments_of_something_else_are_not_kept(tmp_path):
    with pytest.raises(EvaluationError, match="of 11 images, but expected 12"):
        real_statistics(SPEC, SIDE, compute=Maker(11), cache=tmp_path)
    assert not (tmp_path / "statistics").exists()
    with pytest.raises(EvaluationError, match="these images have none"):
        real_statistics(SPEC, SIDE.model_copy(update={"digest": None}), compute=Maker(), cache=tmp_path)


MANY = SIDE.model_copy(update={"count": 600})


class ShardMaker:
    """Gives up after so many shards."""

    def __init__(self, until=9, size=5):
        self.asked, self.until = [], until
        self.features = np.random.default_rng(0).normal(size=(600, size)).astype(np.float32)

    def __call__(self, wanted):
        for start, stop in wanted[::-1]:  # in any order
            if len(self.asked) == self.until:
                raise KeyboardInterrupt
            self.asked.append((start, stop))
            yield start, self.features[start:stop]


def test_features_are_computed_once_and_kept(tmp_path):
    maker = ShardMaker()
    path, _ = kept_features(SPEC, MANY, compute=maker, cache=tmp_path)
    again, logits = kept_features(SPEC, MANY, compute=maker, cache=tmp_path)
    assert (len(maker.asked), path, path.parent, logits) == (3, again, tmp_path / "features", None)
    assert np.array_equal(np.load(path), maker.features)


def test_features_go_on_where_they_were_interrupted(tmp_path):
    maker = ShardMaker(until=1)
    with pytest.raises(KeyboardInterrupt):
        kept_features(SPEC, MANY, compute=maker, cache=tmp_path)
    maker.until = 9
    path, _ = kept_features(SPEC, MANY, compute=maker, cache=tmp_path)
    assert sorted(maker.asked) == shards(600)
    assert np.array_equal(np.load(path), maker.features)


def test_damaged_features_are_made_again(tmp_path):
    maker = ShardMaker()
    path, _ = kept_features(SPEC, MANY, compute=maker, cache=tmp_path)
    path.write_bytes(path.read_bytes()[:-4])
    kept_features(SPEC, MANY, compute=maker, cache=tmp_path)
    assert len(maker.asked) == 6
    assert np.array_equal(np.load(path), maker.features)


def test_features_that_are_not_finite_are_not_kept(tmp_path):
    maker = ShardMaker()
    maker.features[300] = np.inf
    with pytest.raises(EvaluationError, match="not finite"):
        kept_features(SPEC, MANY, compute=maker, cache=tmp_path)
    assert not list((tmp_path / "features").glob("*.npy"))
    with pytest.raises(EvaluationError, match="shards are missing"):
        kept_features(SPEC, MANY, compute=lambda _: [], cache=tmp_path)


def test_logits_are_kept_beside_features(tmp_path):
    maker = ShardMaker(size=5 + 1008)
    path, beside = kept_features(dataclasses.replace(SPEC, logits=True), MANY, compute=maker, cache=tmp_path)
    assert np.array_equal(np.hstack([np.load(path), np.load(beside)]), maker.features)
    assert (path.name, beside.name) == (features_name(SPEC, MANY), features_name(SPEC, MANY, part="logits"))
    assert np.load(path).shape == (600, 5)


def test_nothing_is_kept_of_what_has_no_digest_or_no_images(tmp_path):
    nameless = MANY.model_copy(update={"digest": None})
    with pytest.raises(EvaluationError, match="these images have none"):
        kept_features(SPEC, nameless, compute=ShardMaker(), cache=tmp_path)
    statistics = MANY.model_copy(update={"split": "statistics", "count": None, "height": None, "width": None})
    with pytest.raises(EvaluationError, match="a file of statistics does not contain the features of each image"):
        kept_features(SPEC, statistics, compute=ShardMaker(), cache=tmp_path)
