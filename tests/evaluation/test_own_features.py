"""Features by a function of the user: what it gets, what its scores are called, and every way it can be wrong."""

import sys

import numpy as np
import pytest

from framework.config import EvaluationConfig, Experiment, with_overrides
from framework.config.code import allow, gate_shut
from framework.errors import ConfigError, LatentscapeError
from framework.evaluation.features.extractor import FeatureSpec, build_extractor
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.protocols.protocol import ImageSetSpec, Protocol
from framework.evaluation.requests.passes import passes
from framework.evaluation.requests.requested import requested
from framework.metrics import higher_is_better
from tests.conftest import missing

MINE = """
import numpy as np
import torch

def colours(images):
    return images.reshape(len(images), -1, 3).mean(axis=1)

def tensors(images):
    return torch.from_numpy(images).float().mean(dim=(1, 2))

def Recall_2(images):
    return colours(images)

def whole(images):
    return images.mean(axis=(1, 2, 3))

def pixels(images):
    return images.reshape(len(images), -1).astype(np.float32)

def counts(images):
    return images.sum(axis=(1, 2))

def batch(images):
    return colours(images) - colours(images).mean(axis=0)

def noise(images):
    return np.random.rand(len(images), 3)

def few(images):
    return colours(images)[:1]

def endless(images):
    return colours(images) / 0.0

def fails(images):
    raise OSError("no weights")

nothing = None
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Writes the module under a name of its own; gives the entry of a function in it."""
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield lambda function: f"{name}:{function}"
    sys.modules.pop(name, None)


def spec_of(entry, **keys):
    return resolve_features(EvaluationConfig.model_validate({"features": entry, **keys}), assessor_folder=None)


@pytest.mark.parametrize("function", ["colours", "tensors"])
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_what_the_function_returns(mine, function, channels):
    spec = spec_of(mine(function))
    images = np.random.default_rng(0).integers(0, 256, size=(41, 12, 12, channels)).astype(np.uint8)
    features = build_extractor(spec)(images)
    expected = np.broadcast_to(images, (41, 12, 12, 3)).mean(axis=(1, 2))
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    assert (spec.kind, spec.tap, spec.name, spec.files) == ("function", 3, mine(function), ())


def test_its_scores_bear_its_name_and_are_never_taken_for_others(mine):
    spec = spec_of(mine("Recall_2"))
    fake = ImageSetSpec(count=50, split="generated", height=12, width=12, channels=3, seed=0)
    real = fake.model_copy(update={"split": "training", "seed": None, "digest": "d" * 64})
    config = EvaluationConfig(features=mine("Recall_2"), samples=50)
    names = {}
    for request in requested(config, features=spec):
        protocol = request.protocol(spec, fake=fake, real=real)
        names[request.metric] = protocol.name
        assert protocol.document()["features"] == {"name": mine("Recall_2"), "sha256": spec.digest}
    assert all(name.startswith("function_recall2_") for name in names.values())
    assert names["fid"] == "function_recall2_frechet_distance"
    assert not higher_is_better(names["fid"])
    assert higher_is_better(names["recall"])
    named = requested(config.model_copy(update={"metrics": ["fid", "kid", "recall"]}), features=spec)
    (one,) = passes(named)
    assert one.features(config, assessor_folder=None) == spec


def test_the_digest_is_that_of_the_source_and_of_what_comes_out(mine, tmp_path):
    first = spec_of(mine("colours"))
    assert spec_of(mine("colours")) == first
    assert spec_of(mine("tensors")).digest == first.digest  # the same file and the same numbers
    (file,) = tmp_path.glob("mine_*.py")
    file.write_text(MINE.replace(".mean(axis=1)", ".mean(axis=1) * 2"))
    sys.modules.pop(file.stem)
    scaled = spec_of(mine("colours"))
    assert scaled.digest != first.digest
    file.write_text(f"{MINE}\ncolours.digest = 'weights of May'\n")
    sys.modules.pop(file.stem)
    named = spec_of(mine("colours")).digest
    file.write_text(f"{MINE}\ncolours.digest = 'weights of June'\n")
    sys.modules.pop(file.stem)
    assert len({first.digest, scaled.digest, named, spec_of(mine("colours")).digest}) == 4


@pytest.mark.parametrize(
    ("function", "facts"),
    [
        ("whole", ("[8]", "[8, d]")),
        ("pixels", ("[8, 27648]", "[8, 12288]")),
        ("counts", ("uint64",)),
        ("batch", ("batch",)),
        ("noise", ("random",)),
        ("few", ("[1, 3]",)),
        ("endless", ("finite",)),
        ("fails", ("OSError", "no weights", "[8, 64, 64, 3]")),
        ("nothing", ("nothing",)),
        ("absent", ("absent",)),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_what_is_wrong_with_a_function_is_one_line(mine, function, facts):
    with pytest.raises(LatentscapeError) as caught:
        spec_of(mine(function))
    assert missing(str(caught.value), "evaluation.features", mine(function)) == []
    assert all(fact in str(caught.value) for fact in facts), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "keys", [{"tap": 64}, {"resize": "clean"}, {"precision": "bfloat16"}, {"metrics": ["inception_score"]}]
)
def test_what_only_inception_has_is_refused(mine, keys):
    with pytest.raises(LatentscapeError) as caught:
        spec_of(mine("colours"), **keys)
    assert f"evaluation.{next(iter(keys))}" in str(caught.value)


def test_the_gate_is_asked_before_the_module_is_imported(mine, tmp_path):
    (file,) = tmp_path.glob("mine_*.py")
    file.write_text("open('RAN', 'w').close()\n" + MINE)
    spec = FeatureSpec("function", mine("colours"), "0" * 64, 3, "none")
    with gate_shut():
        for call in (lambda: spec_of(mine("colours")), lambda: build_extractor(spec)(np.zeros((1, 8, 8, 3), np.uint8))):
            with pytest.raises(ConfigError) as caught:
                call()
            assert f"evaluation.features={mine('colours')}" in str(caught.value)
        assert not (tmp_path / "RAN").exists()
        allow([mine("colours")])
        assert spec_of(mine("colours")).tap == 3
    assert (tmp_path / "RAN").exists()


@pytest.mark.parametrize("value", ["incepton", "a.b", "a:b:c", "mine:", ""])
def test_what_names_no_features_is_refused(value):
    with pytest.raises(ConfigError) as caught:
        with_overrides(Experiment(), {"evaluation.features": value})
    assert missing(str(caught.value), "evaluation.features", "inception", "efficientnet", "assessor", "auto") == []


def test_no_features_but_inceptions_make_a_fid(mine):
    with pytest.raises(LatentscapeError):
        Protocol.of(
            spec_of(mine("colours")),
            fake=ImageSetSpec(count=50, split="generated", height=12, width=12, channels=3, seed=0),
            metric="inception_score",
        )
