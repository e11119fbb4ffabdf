import dataclasses
import itertools

import numpy as np
import pytest
from PIL import Image

from framework.config import EvaluationConfig
from framework.config.metrics import METRICS
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.protocols.named import PROTOCOLS, named_protocol
from framework.evaluation.protocols.protocol import ImageSetSpec
from framework.evaluation.requests.passes import pair_passes, passes
from framework.evaluation.requests.requested import requested
from framework.evaluation.sources.source import find_source, open_source

SPEC = FeatureSpec("inception", "/here/weights.pth", "a" * 64, 768)
ASSESSOR = FeatureSpec("assessor", "/here", "a" * 64, 80, "none")
UTKFACE = ImageSetSpec(count=4_476, split="training", height=128, width=128, channels=3, digest="b" * 64)
MANY = UTKFACE.model_copy(update={"count": 70_000})
HELD_OUT = UTKFACE.model_copy(update={"count": 524, "split": "held_out"})


def asked(*names, features=SPEC, held_out=True, **keys):
    config = EvaluationConfig.model_validate({"metrics": list(names) or "auto", **keys})
    return requested(config, features=features, has_held_out=held_out)


def samples(count, seed=0):
    return ImageSetSpec(count=count, split="generated", height=128, width=128, channels=3, seed=seed)


def names_of(requests):
    return [request.name for request in requests]


def test_every_combination_has_its_name():
    names = {
        f"{clean}{metric}{count}{tap}"
        for clean, metric, count, tap in itertools.product(
            ("", "clean_"), METRICS, ("50k", "10k", "5k", "1k"), ("", "_768", "_192", "_64")
        )
        if metric != "inception_score" or not tap
    }
    assert names == PROTOCOLS.keys()
    assert all(protocol.name == name for name, protocol in PROTOCOLS.items())


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        ("fid50k", ("fid", 2048, "tensorflow2015", 50_000, 10_000)),
        ("clean_fid10k", ("fid", 2048, "clean", 10_000, 10_000)),
        ("kid5k_768", ("kid", 768, "tensorflow2015", 5_000, 4_000)),
        ("fid1k_64", ("fid", 64, "tensorflow2015", 1_000, 1_000)),
        ("clean_inception_score50k", ("inception_score", 2048, "clean", 50_000, 10_000)),
        ("fid_infinity50k_2048", ("fid_infinity", 2048, "tensorflow2015", 50_000, 10_000)),
    ],
)
def test_a_protocol_is_data(name, fixed):
    protocol = named_protocol(name)
    assert (protocol.metric, protocol.tap, protocol.resize, protocol.samples, protocol.least_real) == fixed


def test_each_makes_a_score_that_bears_its_name():
    for request in asked(*PROTOCOLS):
        features = dataclasses.replace(SPEC, tap=request.tap, resize_name=request.resize)
        protocol = request.protocol(features, fake=samples(request.samples), real=MANY, held_out=HELD_OUT)
        assert protocol.name in (request.name, f"{request.name}_2048")
        assert named_protocol(protocol.name) == request.named


def test_auto_is_all_that_can_be_made():
    every = ["fid", "kid", "precision", "recall", "density", "coverage", "memorisation", "diversity"]
    assert names_of(asked()) == every
    assert names_of(asked(held_out=False)) == [name for name in every if name != "memorisation"]
    assert names_of(asked(features=ASSESSOR)) == every
    assert names_of(asked(engine="torchmetrics")) == ["fid", "kid"]
    config = EvaluationConfig()
    assert names_of(requested(config, features=SPEC, has_held_out=True, has_images=False)) == ["fid"]


def test_metrics_are_made_as_the_config_says_and_protocols_as_they_say():
    keys = {"samples": 2_000, "seed": 7, "seeds": 3, "tap": 64}
    metric, named = asked("kid", "kid5k", features=dataclasses.replace(SPEC, tap=64, precision="bfloat16"), **keys)
    assert (metric.tap, metric.samples, metric.seed, metric.seeds, metric.precision) == (64, 2_000, 7, 3, "bfloat16")
    assert (named.tap, named.samples, named.seed, named.seeds, named.precision) == (2048, 5_000, 0, 3, "float32")
    assert (metric.named, named.named.name) == (None, "kid5k")


def test_what_shares_its_samples_shares_a_pass():
    found = passes(asked("fid", "fid50k_768", "recall10k_768", "clean_fid5k_768", "kid5k", "fid1k_768"))
    assert [names_of(made.requests) for made in found] == [
        ["fid", "fid50k_768", "recall10k_768", "fid1k_768"],
        ["clean_fid5k_768"],
        ["kid5k"],
    ]
    assert [made.samples for made in found] == [50_000, 5_000, 5_000]
    assert [any(request.needs_features for request in made.requests) for made in found] == [True, False, True]
    assert not any(made.logits for made in found)
    assert list(found[0].seeds) == [0]


def test_other_seeds_are_other_passes():
    first, second = passes(asked("fid", "fid5k_768", seed=2, seeds=2))
    assert (list(first.seeds), list(second.seeds)) == ([2, 3], [0, 1])


def test_classes_want_the_last_features():
    first, second = passes(asked("fid", "inception_score"))
    assert (first.requests[0].tap, first.logits) == (768, False)
    assert (second.requests[0].tap, second.logits) == (2048, True)


def test_one_score_asked_for_twice_is_held_to_the_protocol():
    (once,) = asked("fid", "fid5k_768", "fid5k_768")
    assert once.named.name == "fid5k_768"


def test_utkface_serves_for_5000_and_not_for_more():
    (small,) = asked("fid5k_768")
    assert small.protocol(SPEC, fake=samples(5_000), real=UTKFACE).name == "fid5k_768"
    (large,) = asked("fid50k_768")
    with pytest.raises(EvaluationError) as caught:
        large.protocol(SPEC, fake=samples(50_000), real=UTKFACE)
    wanted = (
        "fid50k_768: needs at least 10,000 real images, but the training part has 4,476; fid5k_768 needs only 4,000"
    )
    assert str(caught.value) == wanted
    (least,) = asked("fid1k_768")
    with pytest.raises(
        EvaluationError, match=r"fid1k_768: needs at least 1,000 real images, but the reference has 300$"
    ):
        least.protocol(SPEC, fake=samples(1_000), real=UTKFACE.model_copy(update={"count": 300, "split": "all"}))


def test_a_metric_takes_what_there_is():
    (request,) = asked("fid", samples=300)
    few = UTKFACE.model_copy(update={"count": 20})
    assert request.protocol(SPEC, fake=samples(300), real=few).document()["real"]["count"] == 20


def test_seeds_are_those_of_latents_alone():
    (request,) = asked("fid", seeds=3)
    assert request.protocol(SPEC, fake=samples(5_000), real=UTKFACE).seeds == 3
    assert request.protocol(SPEC, fake=UTKFACE.model_copy(update={"split": "all"}), real=UTKFACE).seeds == 1


@pytest.mark.parametrize(
    ("names", "keys", "words"),
    [
        (["fdi50k"], {}, "evaluation.metrics: there is no metric or protocol fdi50k; did you mean fid50k?"),
        (["kernel"], {}, "there is no metric or protocol kernel; metrics are fid, fid_infinity, kid, "),
        (["fid2k_768"], {}, "there is no metric or protocol fid2k_768; did you mean fid"),
        ([], {"metrics": []}, "evaluation.metrics: is empty; auto stands for all metrics"),
        (
            ["inception_score"],
            {"features": ASSESSOR},
            "inception_score needs Inception's classes, not features of assessor",
        ),
        (["memorisation"], {"held_out": False}, "memorisation needs real images that training never sees (data.held_"),
        (["memorisation5k_768"], {"held_out": False}, "memorisation5k_768 needs real images that training never sees"),
        (["recall"], {"engine": "torchmetrics"}, "torchmetrics does not have recall; it has fid, kid, inception_score"),
    ],
)
def test_what_cannot_be_made_is_one_line(names, keys, words):
    with pytest.raises(EvaluationError) as caught:
        asked(*names, **keys)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.long
def test_a_tap_that_the_weights_do_not_have_names_the_protocol(inception_file):
    config = EvaluationConfig(weights=str(inception_file))
    (deep,), (middle,) = (passes(asked(name)) for name in ("fid50k", "fid50k_768"))
    with pytest.raises(EvaluationError, match=r"^fid50k: tap 2048 gives features that are not finite with .*, 768$"):
        deep.features(config, assessor_folder=None)
    (classes,) = passes(asked("clean_inception_score50k"))
    with pytest.raises(EvaluationError, match=r"^clean_inception_score50k: .*not finite"):
        classes.features(config, assessor_folder=None)
    found = middle.features(config.model_copy(update={"tap": 64}), assessor_folder=None)
    assert (found.kind, found.tap, found.logits) == ("inception", 768, False)


def test_a_protocol_without_weights_says_where_they_are_to_be_had(tmp_path, monkeypatch, assessor_folder):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (made,) = passes(asked("fid50k", features=ASSESSOR))
    with pytest.raises(EvaluationError, match=r"^fid50k: evaluation\.features: inception, but the weights are missing"):
        made.features(EvaluationConfig(), assessor_folder=assessor_folder)
    (made,) = passes(asked("kid", features=ASSESSOR))
    assert made.features(EvaluationConfig(), assessor_folder=assessor_folder).kind == "assessor"


@pytest.fixture
def collections(tmp_path):
    """(count) -> a source of so many images of 4x4, each of one grey."""

    def make(count):
        (tmp_path / str(count)).mkdir()
        for number in range(count):
            Image.new("RGB", (4, 4), (number % 256,) * 3).save(tmp_path / str(count) / f"{number:05}.bmp")
        return find_source(str(tmp_path / str(count)), samples=9, seed=0)

    return make


def test_a_pair_takes_all_without_a_protocol_and_draws_with_one(collections):
    reference, scored = collections(1_000), collections(1_200)
    found = pair_passes(asked("fid", "fid1k_768"), reference=reference, scored=scored)
    (every, _, all_of_them), (named, of, some) = found
    assert (names_of(every.requests), every.samples, all_of_them) == (["fid"], 1_200, scored)
    assert (names_of(named.requests), named.samples, of) == (["fid1k_768"], 1_000, reference)
    protocol = named.requests[0].protocol(SPEC, fake=some.side, real=of.side)
    drawn = {"count": 1_000, "sampled_from": 1_200, "sample_seed": 0}
    assert protocol.name == "fid1k_768"
    assert protocol.document()["fake"].items() >= drawn.items()
    assert every.requests[0].protocol(SPEC, fake=all_of_them.side, real=of.side).name == "fid1200_768"
    assert len(np.unique(open_source(some)(0, 1_000)[:, 0, 0, 0])) > 200


def test_a_pair_with_too_few_is_one_line(collections):
    reference, scored = collections(1_000), collections(90)
    with pytest.raises(EvaluationError, match=r"^fid1k_768: .*/90: holds 90 images, but 1,000 are needed$"):
        pair_passes(asked("fid1k_768"), reference=reference, scored=scored)
    ((made, of, some),) = pair_passes(asked("fid1k_768"), reference=scored, scored=reference)
    with pytest.raises(EvaluationError, match=r"needs at least 1,000 real images, but the reference has 90$"):
        made.requests[0].protocol(SPEC, fake=some.side, real=of.side)


def test_a_generator_makes_what_a_protocol_wants(generator_folder, collections):
    scored = find_source(str(generator_folder), samples=30, seed=4)
    found = pair_passes(asked("kid", "fid1k_768", seed=4), reference=collections(1_000), scored=scored)
    assert [(made.samples, fake.side.count, fake.side.seed) for made, _, fake in found] == [
        (30, 30, 4),
        (1_000, 1_000, 0),
    ]
