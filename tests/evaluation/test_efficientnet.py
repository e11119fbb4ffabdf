"""EfficientNet-Lite2: it classifies, its features are what the layers say, and scores on them behave."""

import itertools
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import scipy.linalg
import sklearn.datasets
import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from PIL import Image

from framework.config import EvaluationConfig
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import build_extractor
from framework.evaluation.features.resizing import resize
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.features.weights import efficientnet_file, read_efficientnet
from framework.evaluation.protocols.protocol import ImageSetSpec, Protocol
from framework.metrics import Moments, frechet_distance
from framework.models.pretrained.efficientnet import SIDE, TAPS, EfficientNetLite
from tests.evaluation.test_degradation import WAYS

pytestmark = pytest.mark.long

# ImageNet's numbers: 698 palace, 652 military uniform. Lite0 gives 0.30 and 0.39.
PICTURES = [("china", 698, 0.25), ("grace_hopper", 652, 0.15)]


@pytest.fixture(scope="module")
def spec():
    return resolve_features(EvaluationConfig(features="efficientnet"), assessor_folder=None)


@pytest.fixture(scope="module")
def extract(spec):
    return build_extractor(spec)


@pytest.fixture(scope="module")
def early(spec):
    """The features of an early tap, of which tens of images have a covariance of nearly full rank."""
    return build_extractor(replace(spec, tap=48))


@pytest.fixture(scope="module")
def weights():
    return read_efficientnet(efficientnet_file())


def picture(name):
    """A photograph that another package brings, uint8 [h,w,3]."""
    if name == "china":
        return sklearn.datasets.load_sample_image("china.jpg")
    return np.array(Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))


@pytest.mark.parametrize(("name", "number", "least"), PICTURES)
def test_it_knows_what_a_photograph_shows(weights, name, number, least):
    network = EfficientNetLite(weights)
    pixels = resize(picture(name)[None], how="clean", device=network.device, side=SIDE)
    shares = network.logits(network(pixels)).softmax(dim=1)[0]
    assert int(shares.argmax()) == number
    assert float(shares[number]) > least


def unfolded(weights, x):
    """The same network, written down layer by layer: plain convolutions and batch norms of torch; (tap, map) each.

    The kernels are read from the weights; the strides are those of the paper's Table 1.
    """

    def convolve(x, name, norm, *, stride=1, groups=1, clip=True):
        weight = weights[f"{name}.weight"]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + weight.shape[-1] - x.shape[-1], 0)
        x = F.pad(x, (total // 2, total - total // 2) * 2)
        x = F.conv2d(x, weight, stride=stride, groups=groups)
        mean, variance, gain, bias = (
            weights[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        x = F.batch_norm(x, mean, variance, gain, bias, eps=1e-3)
        return F.relu6(x) if clip else x

    x = convolve(x, "_conv_stem", "_bn0", stride=2)
    halving, ends = {1, 4, 7, 15}, {3: 24, 6: 48, 10: 88, 14: 120, 19: 208, 20: 352}
    for number in range(21):
        name, before = f"_blocks.{number}", x
        if number:
            x = convolve(x, f"{name}._expand_conv", f"{name}._bn0")
        x = convolve(
            x, f"{name}._depthwise_conv", f"{name}._bn1", stride=2 if number in halving else 1, groups=x.shape[1]
        )
        x = convolve(x, f"{name}._project_conv", f"{name}._bn2", clip=False)
        x = x + before if x.shape == before.shape else x
        if number in ends:
            yield ends[number], x
    yield 1280, convolve(x, "_conv_head", "_bn1")


def test_folding_changes_nothing_at_any_tap(weights):
    pixels = resize(picture("china")[None], how="clean", device=torch.device("cpu"), side=SIDE)
    with torch.inference_mode():
        ours = dict(EfficientNetLite(weights).walk(pixels))
        plain = dict(unfolded(weights, ((pixels - 127) / 128).permute(0, 3, 1, 2)))
    assert tuple(ours) == tuple(plain) == TAPS
    for tap, there in plain.items():
        expected = there.mean(dim=(2, 3))
        torch.testing.assert_close(ours[tap], expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_features_do_not_depend_on_company(extract):
    images = np.random.default_rng(0).integers(0, 256, size=(40, 24, 24, 3), dtype=np.uint8)
    together = extract(images)
    assert (together.shape, together.dtype) == ((40, 1280), np.float32)
    assert np.array_equal(together[32:], extract(images[32:]))
    assert np.array_equal(together[:1], extract(images[:1]))


def test_grey_is_repeated_and_sizes_may_differ(extract):
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, size=(1, 24, 24, 1), dtype=np.uint8)
    other = rng.integers(0, 256, size=(48, 40, 3), dtype=np.uint8)
    mixed = extract([grey[0].repeat(3, axis=2), other])
    assert np.array_equal(mixed[:1], extract(grey))
    assert np.array_equal(mixed[1:], extract(other[None]))


def test_another_file_in_its_place_is_noticed(spec, tmp_path):
    data = bytearray(Path(spec.path).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "w.pth").write_bytes(data)
    with pytest.raises(EvaluationError, match="is damaged"):
        build_extractor(replace(spec, path=str(tmp_path / "w.pth")))


def test_its_scores_have_names_of_their_own(spec):
    real = ImageSetSpec(count=100, split="training", height=32, width=32, channels=1, digest="a" * 64)
    fake = ImageSetSpec(count=100, split="generated", height=32, width=32, channels=1)
    held_out = real.model_copy(update={"split": "held_out"})
    names = {
        metric: Protocol.of(
            spec, real=real, fake=fake, metric=metric, held_out=held_out if metric == "memorisation" else None
        )
        for metric in ("fid", "fid_infinity", "kid", "precision", "recall", "density", "coverage", "memorisation",
                       "diversity", "authenticity")
    }  # fmt: skip
    assert [protocol.name for protocol in names.values()] == [
        f"efficientnet_{name}" for name in ("frechet_distance", "frechet_distance_infinity", "kernel_distance",
        "precision", "recall", "density", "coverage", "memorisation", "diversity", "authenticity")
    ]  # fmt: skip
    document = names["fid"].document()
    assert document["features"] == {"name": "efficientnet-lite2", "sha256": spec.digest}
    assert (document["tap"], document["resize"]) == (1280, spec.resize)
    assert document["pixels"].endswith("grey repeated to 3 channels")
    with pytest.raises(EvaluationError, match="Inception's classes"):
        Protocol.of(spec, fake=fake, metric="inception_score")


def test_the_distance_is_the_closed_form_on_its_features(early):
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, top, size=(24, 16, 16, 3), dtype=np.uint8) for top in (256, 128))
    a, b = (early(images)[:, :10].astype(np.float64) for images in (one, other))
    assert frechet_distance(Moments.of(a), Moments.of(a)) == pytest.approx(0, abs=1e-9)
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(Moments.of(a), Moments.of(b)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.timeout(180)
def test_the_distance_grows_with_every_damage(early, read_faces):
    faces = read_faces(64)
    order = np.random.default_rng(0).permutation(len(faces))  # names begin with the age
    real, other = faces[order[:32]], faces[order[32:]]
    reference, clean = Moments.of(early(real)), Moments.of(early(other))
    for way in ("blur", "noise", "jpeg"):
        degrade, levels = WAYS[way]
        steps = [clean, *(Moments.of(early(degrade(other, level))) for level in levels[::2])]
        distances = [frechet_distance(reference, moments) for moments in steps]
        assert all(a < b for a, b in itertools.pairwise(distances)), (way, distances)
