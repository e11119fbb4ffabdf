"""Values of a pass: those of the metrics on whole arrays, from files as from memory, for any number of samples."""

import dataclasses
import itertools

import numpy as np
import pytest

from framework.config import EvaluationConfig
from framework.config.metrics import METRICS
from framework.errors import EvaluationError
from framework.evaluation import FeatureSpec, ImageSetSpec, Protocol, passes, requested
from framework.evaluation.values.compute import combined, measure
from framework.evaluation.values.feature_set import FeatureSet, Value
from framework.evaluation.values.parts import PartsPool
from framework.metrics import (
    Moments,
    authenticity,
    extrapolate,
    frechet_distance,
    inception_score,
    kernel_distance,
    manifold_scores,
    memorisation,
    nearest,
    normalised_products,
    radii,
    relative_diversity,
    vendi_of_products,
)
from framework.orchestration.pool.tasks import run_shard, task_device

FEATURES = FeatureSpec("inception", "weights.pth", "a" * 64, 64)
REAL, FAKE, HELD_OUT = 600, 560, 70


class Here:
    """A pool of one, in this process, on one thread like any other."""

    device_of_task = staticmethod(task_device)

    def map(self, function, arguments, *, name, done=None, node_files=None):
        for given in arguments:
            yield run_shard((node_files,), function, given)


def features(count, seed, shift=0.0):
    return (np.random.default_rng(seed).normal(size=(count, 24)) + shift).astype(np.float32)


@pytest.fixture(scope="module")
def arrays():
    return {"real": features(REAL, 0), "fake": features(FAKE, 1, 0.2), "held_out": features(HELD_OUT, 2)}


def moments(rows):
    merged = Moments.zero(rows.shape[1])
    for start in range(0, len(rows), 256):
        part = Moments.of(rows[start : start + 256])
        merged = part if not start else merged + part
    return merged


def requests(*metrics, samples=FAKE):
    config = EvaluationConfig(metrics=list(metrics), samples=samples)
    return requested(config, features=FEATURES, has_held_out=True)


def sides(arrays, **more):
    return FeatureSet(
        real=moments(arrays["real"]),
        real_features=arrays["real"],
        fake_features=arrays["fake"],
        held_out_features=arrays["held_out"],
        **more,
    )


def values(asked, given):
    return {request.metric: value for request, value in measure(asked, given, PartsPool(Here(), "test")).items()}


@pytest.mark.long
def test_every_family_is_its_metric_on_the_whole(arrays):
    real, fake = arrays["real"], arrays["fake"]
    asked = requests(*[name for name in METRICS if name != "inception_score"])
    found = values(asked, sides(arrays))
    assert found["fid"].value == frechet_distance(moments(real), moments(fake))
    assert found["diversity"].value == relative_diversity(moments(real), moments(fake))
    settings = METRICS["kid"].settings_for(real=REAL, fake=FAKE)
    distance = kernel_distance(
        real, fake, subsets=settings["subsets"], subset_size=settings["subset_size"], seed=settings["subset_seed"]
    )
    assert (found["kid"].value, found["kid"].sd) == (distance.mean, distance.sd)
    for metric, value in manifold_scores(real, fake, precision_k=3, density_k=5).items():
        assert found[metric].value == value
    told = memorisation(nearest(fake, real)[0], nearest(arrays["held_out"], real)[0])
    assert found["memorisation"].value == pytest.approx(told.nearer_share, rel=1e-12)
    assert [pair["sample"] for pair in found["memorisation"].detail["closest"]] == told.closest.tolist()
    real_nearest = radii(real, k=1)
    assert found["authenticity"].value == authenticity(*nearest(fake, real), real_nearest)
    assert found["vendi_score"].value == pytest.approx(vendi_of_products(normalised_products(fake), FAKE), rel=1e-12)
    counts = found["fid_infinity"].detail["counts"]
    line = extrapolate(counts, [frechet_distance(moments(real), moments(fake[:count])) for count in counts])
    assert found["fid_infinity"].value == line.value
    assert counts[-1] == FAKE


@pytest.mark.long
def test_fewer_samples_are_the_first_of_more_bit_for_bit(arrays):
    few = requests("fid", "kid", "coverage", samples=500)
    alone = sides({**arrays, "fake": arrays["fake"][:500]})
    (together,) = passes([*few, *requests("fid", "recall")])
    found = measure(together.requests, sides(arrays), PartsPool(Here(), "test"))
    expected = measure(few, alone, PartsPool(Here(), "test"))
    assert {request: found[request] for request in few} == expected


@pytest.mark.long
def test_files_do_as_well_as_arrays(arrays, tmp_path):
    for name, rows in arrays.items():
        np.save(tmp_path / f"{name}.npy", rows)
    places = {name: str(tmp_path / f"{name}.npy") for name in arrays}
    asked = requests("fid", "kid", "precision", "memorisation")
    mapped = FeatureSet(
        real=moments(arrays["real"]),
        real_features=places["real"],
        fake_features=places["fake"],
        held_out_features=places["held_out"],
    )
    assert values(asked, mapped) == values(asked, sides(arrays))
    assert [path.name for path in mapped.files()] == ["real.npy", "held_out.npy", "fake.npy"]
    assert [path.name for path in mapped.files(of_fake=True)] == ["fake.npy"]


@pytest.mark.long
def test_a_metric_does_not_depend_on_what_is_computed_with_it(arrays):
    neighbours = ("precision", "density", "memorisation", "authenticity", "fid")
    together = values(requests(*neighbours), sides(arrays))
    for count in (1, 2):
        for names in itertools.combinations(neighbours, count):
            found = values(requests(*names), sides(arrays))
            assert {name: found[name] for name in names} == {name: together[name] for name in names}


def test_moments_alone_are_enough_for_fid(arrays):
    given = FeatureSet(real=moments(arrays["real"]), fake=moments(arrays["fake"]))
    assert values(requests("fid"), given) == values(requests("fid"), sides(arrays))


def test_inception_score_is_read_off_the_logits(arrays):
    logits = np.random.default_rng(3).normal(0, 3, (FAKE, 30)).astype(np.float32)
    asked = requests("inception_score")
    found = values(asked, sides(arrays, logits=logits))
    mean, sd = inception_score(logits)
    assert (found["inception_score"].value, found["inception_score"].sd) == (mean, sd)


def test_what_cannot_be_is_one_line(arrays):
    given = sides({**arrays, "fake": np.full((FAKE, 24), np.nan, np.float32)})
    with pytest.raises(EvaluationError, match="precision: features that are not finite"):
        values(requests("precision"), given)


def test_several_seeds_are_a_mean_with_its_deviation():
    side = {"height": 32, "width": 32, "channels": 3}
    protocol = Protocol.of(
        FEATURES,
        fake=ImageSetSpec(count=FAKE, split="generated", seed=0, **side),
        real=ImageSetSpec(count=REAL, split="training", digest="b" * 64, **side),
        seeds=3,
    )
    score = combined(protocol, [Value(1.0), Value(2.0), Value(6.0)])
    assert (score["value"], score["sd"]) == (3.0, pytest.approx(7**0.5))
    assert score["detail"]["values"] == [1.0, 2.0, 6.0]
    assert "sd" not in combined(protocol, [Value(1.0)])


@pytest.mark.parametrize("metric", [metric for metric in METRICS.values() if metric.has_real])
def test_as_few_images_as_a_metric_says_give_it_a_value(metric):
    few = {name: features(metric.least_images, seed) for seed, name in enumerate(("real", "fake", "held_out"))}
    asked = [dataclasses.replace(request, samples=metric.least_images) for request in requests(metric.name)]
    found = values(asked, sides(few))
    assert np.isfinite(found[metric.name].value)
