import dataclasses
import itertools
import json
import math

import pytest
from pydantic import ValidationError

from framework.config.metrics import METRICS
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.protocols.protocol import ImageSetSpec, Protocol, make_score

SPEC = FeatureSpec("inception", "/somewhere/weights.pth", "a" * 64, 768)
REAL = ImageSetSpec(count=4500, split="training", height=64, width=64, channels=3, digest="b" * 64)


def fake(count=5000, channels=3):
    return ImageSetSpec(count=count, split="generated", height=64, width=64, channels=channels, seed=0)


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


def test_nothing_of_an_older_protocol_has_changed():
    """A score that was kept before protocols could say more is still known by its protocol."""
    document = Protocol.of(SPEC, real=REAL, fake=fake()).document()
    assert document.keys() == {"name", "features", "tap", "resize", "real", "fake", "pixels", "precision"}
    assert document["real"].keys() == {"count", "split", "height", "width", "channels", "digest"}


@pytest.mark.parametrize(
    ("metric", "name", "settings"),
    [
        ("kid", "kid5k_768", {"subsets": 100, "subset_size": 1000, "subset_seed": 2020}),
        ("recall", "recall5k_768", {"k": 3}),
        ("coverage", "coverage5k_768", {"k": 5}),
        ("diversity", "diversity5k_768", None),
    ],
)
def test_each_family_says_what_it_is_made_with(metric, name, settings):
    document = Protocol.of(SPEC, real=REAL, fake=fake(), metric=metric).document()
    assert (document["name"], document["family"], document.get("settings")) == (name, metric, settings)
    assert Protocol.model_validate(json.loads(json.dumps(document))).document() == document


def test_a_kernel_distance_of_few_images_draws_smaller_subsets():
    protocol = Protocol.of(SPEC, real=REAL.model_copy(update={"count": 300}), fake=fake(400), metric="kid")
    assert (protocol.name, protocol.settings["subset_size"]) == ("kid400_768", 300)


def test_an_extrapolation_says_its_counts():
    counts = Protocol.of(SPEC, real=REAL, fake=fake(50_000), metric="fid_infinity").settings["counts"]
    assert (counts[0], counts[-1], len(counts)) == (5_000, 50_000, 15)
    steps = [b - a for a, b in itertools.pairwise(counts)]
    assert max(steps) - min(steps) <= 1


@pytest.mark.parametrize("metric", [metric for metric in METRICS.values() if not metric.has_held_out])
def test_the_least_number_of_images_is_enough_and_no_fewer(metric):
    real = REAL.model_copy(update={"count": metric.least_images}) if metric.has_real else None
    few = fake(metric.least_images)
    assert Protocol.of(SPEC, real=real, fake=few, metric=metric.name).fake.count == metric.least_images
    if metric.least_images > 2:
        fewer = few.model_copy(update={"count": metric.least_images - 1})
        wanted = f"{metric.name}: needs at least {metric.least_images} images on each side, but the scored side has"
        with pytest.raises(EvaluationError, match=wanted):
            Protocol.of(SPEC, real=real, fake=fewer, metric=metric.name)


def test_names_say_tap_resize_and_assessor():
    clean = dataclasses.replace(SPEC, resize_name="clean")
    assessor = FeatureSpec("assessor", "", "a" * 64, 80, "none")
    assert Protocol.of(clean, real=REAL, fake=fake(50_000), metric="kid").name == "clean_kid50k_768"
    assert Protocol.of(SPEC, fake=fake(50_000), metric="inception_score").name == "inception_score50k"
    names = [Protocol.of(assessor, real=REAL, fake=fake(), metric=metric).name for metric in ("fid", "kid", "recall")]
    assert names == ["assessor_frechet_distance", "assessor_kernel_distance", "assessor_recall"]


def test_seeds_engine_precision_and_held_out_images_make_another_protocol():
    plain = Protocol.of(SPEC, real=REAL, fake=fake()).document()
    held_out = REAL.model_copy(update={"split": "held_out", "count": 500})
    seeds = Protocol.of(SPEC, real=REAL, fake=fake(), seeds=3).document()
    engine = Protocol.of(SPEC, real=REAL, fake=fake(), engine="torchmetrics").document()
    rounded = Protocol.of(dataclasses.replace(SPEC, precision="bfloat16"), real=REAL, fake=fake()).document()
    copied = Protocol.of(SPEC, real=REAL, fake=fake(), held_out=held_out, metric="memorisation").document()
    assert seeds == {**plain, "seeds": 3}
    assert engine == {**plain, "engine": "torchmetrics"}
    assert rounded == {**plain, "precision": "features bfloat16, moments float64"}
    assert (copied["held_out"]["split"], copied["held_out"]["count"]) == ("held_out", 500)


FEW = REAL.model_copy(update={"count": 3})


def test_sides_that_a_family_cannot_be_made_of_are_one_line():
    statistics = REAL.model_copy(update={"split": "statistics", "count": None, "height": None, "width": None})
    assessor = FeatureSpec("assessor", "", "a" * 64, 80, "none")
    for metric, spec, sides, words in (
        ("kid", SPEC, {}, "kid: needs real images"),
        ("inception_score", SPEC, {"real": REAL}, "inception_score: does not use real images"),
        ("memorisation", SPEC, {"real": REAL}, "memorisation: needs held-out images"),
        ("kid", SPEC, {"real": REAL, "held_out": REAL}, "kid: does not use held-out images"),
        ("recall", SPEC, {"real": statistics}, "recall: needs images on both sides; only fid can be computed"),
        (
            "inception_score",
            assessor,
            {},
            "inception_score: needs Inception's classes, not features of assessor",
        ),
        ("recall", SPEC, {"real": FEW}, "recall: needs at least 4 images on each side, but the reference has 3"),
    ):
        with pytest.raises(EvaluationError, match=words):
            Protocol.of(spec, fake=fake(), metric=metric, **sides)
    assert Protocol.of(SPEC, real=statistics, fake=fake()).name == "fid5k_768"
    assert Protocol.of(SPEC, real=REAL, fake=statistics).name == "fid_768"


def test_grey_says_that_it_was_repeated():
    assert "3 channels" in Protocol.of(SPEC, real=REAL, fake=fake(channels=1)).pixels


def test_trial_and_final_scores_have_different_names():
    assert Protocol.of(SPEC, real=REAL, fake=fake(1000)).name == "fid1k_768"


def test_a_score_is_its_three_parts():
    protocol = Protocol.of(SPEC, real=REAL, fake=fake())
    assert make_score("fid5k_768", 12.5, protocol) == {
        "metric": "fid5k_768", "value": 12.5, "protocol": protocol.document(),
    }  # fmt: skip


def test_a_spread_and_what_stands_behind_a_score_are_beside_it():
    protocol = Protocol.of(SPEC, real=REAL, fake=fake())
    score = make_score("fid5k_768", 12.5, protocol, sd=0.5, detail={"points": [1, 2]})
    assert list(score) == ["metric", "value", "sd", "detail", "protocol"]
    assert (score["sd"], score["detail"]) == (0.5, {"points": [1, 2]})
    with pytest.raises(EvaluationError, match="inf is not a valid score"):
        make_score("fid5k_768", 12.5, protocol, sd=math.inf)


def test_no_score_without_its_protocol():
    protocol = Protocol.of(SPEC, real=REAL, fake=fake())
    with pytest.raises(EvaluationError, match="needs its protocol, not dict"):
        make_score("fid5k_768", 1.0, protocol.document())
    with pytest.raises(EvaluationError, match="needs its protocol, not NoneType"):
        make_score("fid5k_768", 1.0, None)
    with pytest.raises(EvaluationError, match="got the protocol of fid5k_768"):
        make_score("fid5k_2048", 1.0, protocol)
    with pytest.raises(EvaluationError, match="nan is not a valid score"):
        make_score("fid5k_768", math.nan, protocol)


def test_protocols_are_frozen_and_strict():
    protocol = Protocol.of(SPEC, real=REAL, fake=fake())
    with pytest.raises(ValidationError):
        protocol.tap = 64
    with pytest.raises(ValidationError):
        ImageSetSpec(count=1, split="all", height=1, width=1, channels=3)
    with pytest.raises(ValidationError):
        ImageSetSpec(count=9, split="all", height=1, width=1, channels=3, digest="no digest")
    with pytest.raises(ValidationError, match="needs the number of all images"):
        ImageSetSpec(count=None, split="all", height=1, width=1, channels=3)
    with pytest.raises(ValidationError, match="give both, or neither"):
        ImageSetSpec(count=9, split="all", height=1, width=None, channels=3)
