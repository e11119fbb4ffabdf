import json
import math

import pytest
from pydantic import ValidationError

from framework.errors import EvaluationError
from framework.evaluation.features import FeatureSpec
from framework.evaluation.protocol import ImageSide, Protocol, make_score

SPEC = FeatureSpec("inception", "/somewhere/weights.pth", "a" * 64, 768)
REAL = ImageSide(count=4500, split="training", height=64, width=64, channels=3, digest="b" * 64)


def fake(count=5000, channels=3):
    return ImageSide(count=count, split="generated", height=64, width=64, channels=channels, seed=0)


def test_a_protocol_says_all_and_no_path():
    document = Protocol.of(SPEC, real=REAL, fake=fake()).document()
    assert document == {
        "name": "fid5k_768",
        "features": {"name": "inception-2015-12-05", "sha256": "a" * 64},
        "tap": 768,
        "resize": "299x299, bilinear as TensorFlow did it in 2015, no antialias",
        "real": {
            "count": 4500,
            "split": "training",
            "height": 64,
            "width": 64,
            "channels": 3,
            "digest": "b" * 64,
        },
        "fake": {"count": 5000, "split": "generated", "height": 64, "width": 64, "channels": 3, "seed": 0},
        "pixels": "uint8, generated ones rounded and clipped",
        "precision": "features float32, moments float64",
    }
    assert "somewhere" not in json.dumps(document)
    assert Protocol.model_validate(json.loads(json.dumps(document))).document() == document


def test_grey_says_that_it_was_repeated():
    assert "grey repeated to 3 channels" in Protocol.of(SPEC, real=REAL, fake=fake(channels=1)).pixels


def test_trial_and_final_scores_have_different_names():
    assert Protocol.of(SPEC, real=REAL, fake=fake(1000)).name == "fid1k_768"


def test_a_score_is_its_three_parts():
    protocol = Protocol.of(SPEC, real=REAL, fake=fake())
    assert make_score("fid5k_768", 12.5, protocol) == {
        "metric": "fid5k_768", "value": 12.5, "protocol": protocol.document(),
    }  # fmt: skip


def test_no_score_without_its_protocol():
    protocol = Protocol.of(SPEC, real=REAL, fake=fake())
    with pytest.raises(EvaluationError, match="needs its protocol, not dict"):
        make_score("fid5k_768", 1.0, protocol.document())
    with pytest.raises(EvaluationError, match="needs its protocol, not NoneType"):
        make_score("fid5k_768", 1.0, None)
    with pytest.raises(EvaluationError, match="is that of fid5k_768"):
        make_score("fid5k_2048", 1.0, protocol)
    with pytest.raises(EvaluationError, match="nan is no score"):
        make_score("fid5k_768", math.nan, protocol)


def test_protocols_are_frozen_and_strict():
    protocol = Protocol.of(SPEC, real=REAL, fake=fake())
    with pytest.raises(ValidationError):
        protocol.tap = 64
    with pytest.raises(ValidationError):
        ImageSide(count=1, split="all", height=1, width=1, channels=3)
    with pytest.raises(ValidationError):
        ImageSide(count=9, split="all", height=1, width=1, channels=3, digest="no digest")
