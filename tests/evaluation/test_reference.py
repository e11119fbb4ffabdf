import numpy as np
import pytest

from framework.errors import EvaluationError
from framework.evaluation.features import FeatureSpec
from framework.evaluation.protocol import ImageSide
from framework.evaluation.reference import load_moments, real_statistics, save_moments, statistics_name
from framework.metrics import Moments

SPEC = FeatureSpec("inception", "/here/weights.pth", "a" * 64, 5)
SIDE = ImageSide(count=12, split="training", height=32, width=32, channels=3, digest="b" * 64)


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


def test_found_by_content_never_by_path():
    moved = FeatureSpec("inception", "/there/weights.pth", "a" * 64, 5)
    assert statistics_name(moved, SIDE) == statistics_name(SPEC, SIDE)
    others = [
        statistics_name(FeatureSpec("inception", "", "c" * 64, 5), SIDE),
        statistics_name(FeatureSpec("inception", "", "a" * 64, 6), SIDE),
        statistics_name(FeatureSpec("assessor", "", "a" * 64, 5), SIDE),
        *(
            statistics_name(SPEC, SIDE.model_copy(update=change))
            for change in ({"digest": "d" * 64}, {"count": 13}, {"split": "all"}, {"height": 64}, {"channels": 1})
        ),
    ]
    assert len({statistics_name(SPEC, SIDE), *others}) == len(others) + 1


@pytest.mark.parametrize("damage", [b"", b"no safetensors", None])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    maker = Maker()
    _, path = real_statistics(SPEC, SIDE, compute=maker, cache=tmp_path)
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    with pytest.raises(EvaluationError, match="holds no moments"):
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
    with pytest.raises(EvaluationError, match="of 11 images were made where 12 were wanted"):
        real_statistics(SPEC, SIDE, compute=Maker(11), cache=tmp_path)
    assert not (tmp_path / "statistics").exists()
    with pytest.raises(EvaluationError, match="these have none"):
        real_statistics(SPEC, SIDE.model_copy(update={"digest": None}), compute=Maker(), cache=tmp_path)
