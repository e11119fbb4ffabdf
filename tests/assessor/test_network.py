import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from framework.errors import CheckpointError, LatentsError
from framework.models.assessor.assessor import WEIGHTS, Assessor, AssessorNetwork, AttributeSpec
from framework.models.assessor.network import LocalContrast

ATTRIBUTES = [AttributeSpec("glasses"), AttributeSpec("age_group", ["child", "young", "old"])]


def build(side=32, channels=3, *, width=8, normalised=False):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return AssessorNetwork(outputs=4, resolution=side, channels=channels, width=width, normalised=normalised)


def assess(network, side=32, channels=3, *, width=8):
    return Assessor(network, attributes=ATTRIBUTES, resolution=side, channels=channels, width=width, accuracy={})


@pytest.fixture
def assessor():
    return assess(build())


def pictures(count, side=32, channels=3):
    return np.random.default_rng(1).integers(0, 256, (count, side, side, channels), np.uint8)


def test_local_contrast_is_what_scipy_makes_of_it():
    images = torch.from_numpy(np.random.default_rng(0).normal(0, 0.4, (2, 1, 20, 20)))
    found = LocalContrast(1, 20).double()(images).numpy()
    for image, contrast in zip(images.numpy()[:, 0], found[:, 0], strict=True):
        centred = image - uniform_filter(image, 7, mode="mirror")
        deviation = np.sqrt(uniform_filter(centred**2, 7, mode="mirror"))
        np.testing.assert_allclose(contrast, centred / (deviation + 0.01), atol=1e-6)


def test_local_contrast_is_blind_to_a_tint_and_hardly_minds_dimmer_light():
    images = torch.from_numpy(np.random.default_rng(0).normal(0, 0.4, (2, 3, 32, 32))).float()
    contrast = LocalContrast(3, 32)
    tint = torch.tensor([0.2, 0.0, -0.1])[:, None, None]
    torch.testing.assert_close(contrast(images + tint), contrast(images), atol=1e-4, rtol=0)
    assert (contrast(images * 0.5) - contrast(images)).abs().mean() < 0.05 * contrast(images).abs().mean()


@pytest.mark.parametrize(("side", "channels"), [(16, 1), (32, 3), (64, 3), (128, 3), (256, 1)])
def test_any_size_gives_as_many_logits_and_features(side, channels):
    logits, features = build(side, channels)(torch.zeros(2, channels, side, side))
    assert logits.shape == (2, 4)
    assert features.shape == (2, 8 * (3 + 4))


def test_folding_batch_norm_changes_nothing_but_the_cost():
    network = build(normalised=True)
    images = torch.from_numpy(np.random.default_rng(0).normal(0, 0.4, (8, 3, 32, 32))).float()
    for _ in range(3):
        network(images)  # running statistics that are not those of a fresh one
    expected = network.eval()(images)
    network.fold()
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())
    for found, wanted in zip(network(images), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_standardised_features_have_mean_0_and_deviation_1(assessor):
    images = pictures(100)
    for _ in range(2):  # also where they were standardised before
        assessor.network.standardise(assessor.features(images))
    features = assessor.features(images)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-3)
    alive = features.std(axis=0) > 0
    assert alive.mean() > 0.5
    assert features.std(axis=0)[alive].max() < 1.001


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 70])
def test_an_image_is_told_alike_with_any_others(assessor, count):
    images = pictures(100)
    alone, together = assessor.predict(images[:count]), assessor.predict(images)
    assert alone["glasses"].shape == (count,)
    assert alone["age_group"].shape == (count, 3)
    for name, values in alone.items():
        assert values.dtype == np.float32
        assert np.array_equal(values, together[name][:count])
    assert np.array_equal(assessor.features(images[:count]), assessor.features(images)[:count])


def test_probabilities_are_those_of_the_logits(assessor):
    images = pictures(32)
    with torch.inference_mode():
        logits = assessor.network(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1.0)[0].numpy()
    told = assessor.predict(images)
    np.testing.assert_allclose(told["glasses"], 1 / (1 + np.exp(-logits[:, 0])), atol=1e-4)
    powers = np.exp(logits[:, 1:])
    np.testing.assert_allclose(told["age_group"], powers / powers.sum(axis=1, keepdims=True), atol=1e-4)


def test_score_of_one_value(assessor):
    images, told = pictures(5), assessor.predict(pictures(5))
    assert np.array_equal(assessor.score_of(images, "glasses"), told["glasses"])
    assert np.array_equal(assessor.score_of(images, "glasses", "low"), 1 - told["glasses"])
    assert np.array_equal(assessor.score_of(images, "age_group", "old"), told["age_group"][:, 2])


@pytest.mark.parametrize(
    ("attribute", "at", "words"),
    [
        ("hat", "high", "glasses, age_group"),
        ("glasses", "old", "high, low"),
        ("age_group", "high", "child, young, old"),
    ],
)
def test_what_it_does_not_know_is_said_with_what_it_does(assessor, attribute, at, words):
    with pytest.raises(LatentsError, match=words):
        assessor.score_of(pictures(1), attribute, at)


def test_images_of_another_size_are_refused(assessor):
    with pytest.raises(ValueError, match="32"):
        assessor.features(pictures(2, side=64))


def test_saved_and_loaded_it_is_the_same(assessor, tmp_path):
    assessor.network.standardise(assessor.features(pictures(64)))
    kept = Assessor(
        assessor.network,
        attributes=ATTRIBUTES,
        resolution=32,
        channels=3,
        width=8,
        accuracy={"glasses": {"metric": "auroc", "value": 0.5, "n": 3}},
    )
    kept.save(tmp_path / "one")
    loaded = Assessor.load(tmp_path / "one")
    assert (loaded.digest, loaded.attributes, loaded.accuracy) == (kept.digest, ATTRIBUTES, kept.accuracy)
    assert np.array_equal(loaded.features(pictures(3)), kept.features(pictures(3)))
    assert kept.digest != assess(build()).digest  # the features' scale is part of what it computes


def test_a_damaged_or_missing_one_is_refused(assessor, tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read as an assessor"):
        Assessor.load(tmp_path)
    assessor.save(tmp_path)
    whole = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(whole[:-4] + b"\0\1\2\3")
    with pytest.raises(CheckpointError, match="the assessor's weights were changed"):
        Assessor.load(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(whole[:100])
    with pytest.raises(CheckpointError, match="cannot be read as an assessor"):
        Assessor.load(tmp_path)
