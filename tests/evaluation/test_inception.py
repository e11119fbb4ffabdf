"""Our Inception against torch-fidelity's and torchmetrics' own, on real faces and their degraded copies."""

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image, ImageFilter
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torchmetrics.image.fid import FrechetInceptionDistance

from framework.evaluation.features import FeatureSpec, build_extractor
from framework.evaluation.inception import Inception, resize_like_tensorflow
from framework.evaluation.score import image_shard_moments, merge_in_order, shards
from framework.evaluation.weights import read_weights
from framework.metrics import frechet_distance

TAPS = (64, 192, 768)


def channels_first(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def degraded(images, seed=0):
    rng = np.random.default_rng(seed)
    blurred = np.stack([np.asarray(Image.fromarray(x).filter(ImageFilter.GaussianBlur(1.5))) for x in images])
    return np.clip(blurred + rng.normal(0, 8, size=blurred.shape), 0, 255).astype(np.uint8)


def our_distances(sides, file):
    """tap -> distance, with every part as a score uses it."""
    _, digest = read_weights(file)
    found = {}
    for tap in TAPS:
        extractor = build_extractor(FeatureSpec("inception", str(file), digest, tap))
        of = [
            merge_in_order(image_shard_moments(x, extractor, start=a, stop=b, blocks=2) for a, b in shards(len(x)))
            for x in sides
        ]
        found[tap] = frechet_distance(*of)
    return found


def fidelity_distances(sides, file):
    """tap -> distance by torch-fidelity's network, NumPy's covariance and SciPy's square root."""
    peer = FeatureExtractorInceptionV3("peer", [str(tap) for tap in TAPS], feature_extractor_weights_path=str(file))
    parts = [
        [torch.cat(tap).double().numpy() for tap in zip(*map(peer, channels_first(x).split(50)), strict=True)]
        for x in sides
    ]
    return {tap: scipy_distance(a, b) for tap, a, b in zip(TAPS, *parts, strict=True)}


def scipy_distance(a, b):
    shift, first, second = a.mean(0) - b.mean(0), np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return float(shift @ shift + np.trace(first + second) - 2 * np.trace(scipy.linalg.sqrtm(first @ second)).real)


def torchmetrics_distance(sides, file, tap):
    metric = FrechetInceptionDistance(feature=tap, feature_extractor_weights_path=str(file), antialias=False)
    for images, real in zip(sides, (True, False), strict=True):
        for part in channels_first(images).split(50):
            metric.update(part, real=real)
    return float(metric.compute())


def test_fid_agrees_with_torch_fidelity_and_torchmetrics(read_faces, inception_file):
    faces = read_faces(64)
    sides = faces[::2], degraded(faces[1::2])
    ours, theirs = our_distances(sides, inception_file), fidelity_distances(sides, inception_file)
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert ours[64] == pytest.approx(torchmetrics_distance(sides, inception_file, 64), rel=1e-4)
    assert all(value > 0 for value in ours.values())


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("count", [300, 2000])
def test_fid_agrees_on_many_images(read_faces, inception_file, count):
    faces = read_faces(2 * count)
    sides = faces[::2], degraded(faces[1::2])
    ours, theirs = our_distances(sides, inception_file), fidelity_distances(sides, inception_file)
    others = {tap: torchmetrics_distance(sides, inception_file, tap) for tap in TAPS}
    print(f"2 x {count}: ours {ours}, torch-fidelity {theirs}, torchmetrics {others}")
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert ours == pytest.approx(others, rel=1e-4)


def test_all_taps_agree_with_full_weights(inception_file):
    """2048 too: the part that the shared weights lack is filled with random ones, on both sides."""
    weights, _ = read_weights(inception_file)
    random = torch.Generator().manual_seed(0)
    filled = {name: _filled(value, random) for name, value in weights.items()}
    names = ["64", "192", "768", "2048"]
    peer = FeatureExtractorInceptionV3("peer", names, feature_extractor_weights_path=str(inception_file))
    peer.load_state_dict(filled)
    images = torch.randint(0, 256, (2, 80, 64, 3), generator=random, dtype=torch.uint8)
    for (tap, ours), theirs in zip(
        Inception(filled, tap=2048).walk(images), peer(images.permute(0, 3, 1, 2)), strict=True
    ):
        assert ours.shape == (2, tap)
        assert float((ours - theirs).norm() / theirs.norm()) < 1e-5


def _filled(value, random):
    if value.isfinite().all():
        return value
    if value.ndim == 1:
        return torch.rand(value.shape, generator=random) + 0.5
    return torch.randn(value.shape, generator=random) * value[0].numel() ** -0.5


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (299, 299), (512, 301)])
def test_resize_is_tensorflows_to_the_bit(size):
    images = torch.randint(0, 256, (2, *size, 3), generator=torch.Generator().manual_seed(1)).float()
    expected = interpolate_bilinear_2d_like_tensorflow1x(
        images.permute(0, 3, 1, 2), size=(299, 299), align_corners=False
    )
    assert torch.equal(resize_like_tensorflow(images).permute(0, 3, 1, 2), expected)


def test_nothing_behind_the_tap_is_kept_or_looked_at(inception_file):
    weights, _ = read_weights(inception_file)
    until = {name: value for name, value in weights.items() if name.startswith("Conv2d_1") or "Conv2d_2" in name}
    network = Inception(until, tap=64)
    assert network(torch.zeros(1, 32, 32, 3, dtype=torch.uint8)).shape == (1, 64)
    assert len(network._units) == 3
