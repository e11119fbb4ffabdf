"""Our Inception against torch-fidelity's and torchmetrics' own, on real faces and their degraded copies."""

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image, ImageFilter
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import FrechetInceptionDistance

from framework.evaluation.features.extractor import FeatureSpec, build_extractor
from framework.evaluation.features.inception import Inception
from framework.evaluation.features.resizing import resize
from framework.evaluation.features.weights import read_weights
from framework.evaluation.sources.shards import moments_of
from framework.metrics import Moments, frechet_distance

pytestmark = [pytest.mark.long, pytest.mark.timeout(200)]

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
        of = [moments_of(lambda a, b, x=x: x[a:b], len(x), extractor, blocks=2) for x in sides]
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


# Of `make test`, test_all_taps_and_logits_agree holds the features to torch-fidelity's, tests/metrics the distance to
# SciPy's, and test_second_opinion.py the whole to torchmetrics'.
@pytest.mark.slow
def test_fid_agrees_with_torch_fidelity_and_torchmetrics(read_faces, inception_file):
    faces = read_faces(64)
    sides = faces[::2], degraded(faces[1::2])
    ours, theirs = our_distances(sides, inception_file), fidelity_distances(sides, inception_file)
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert ours[64] == pytest.approx(torchmetrics_distance(sides, inception_file, 64), rel=1e-4)
    assert all(value > 0 for value in ours.values())


def test_all_taps_and_logits_agree_with_full_weights(filled_file):
    """2048 and logits too: the part that the shared weights lack is random, on both sides."""
    names = ["64", "192", "768", "2048", "logits_unbiased"]
    peer = FeatureExtractorInceptionV3("peer", names, feature_extractor_weights_path=str(filled_file))
    images = np.random.default_rng(0).integers(0, 256, size=(2, 80, 64, 3), dtype=np.uint8)
    network = Inception(read_weights(filled_file)[0], tap=2048, logits=True)
    found = dict(network.walk(resize(images, how="tensorflow2015", device=network.device)))
    ours = [*found.values(), network.logits(found[2048])]
    for a, b, size in zip(ours, peer(channels_first(images)), (*found, 1008), strict=True):
        assert a.shape == b.shape == (2, size)
        assert float((a - b).norm() / b.norm()) < 1e-5


def test_nothing_behind_the_tap_is_kept_or_looked_at(inception_file):
    weights, _ = read_weights(inception_file)
    until = {name: value for name, value in weights.items() if name.startswith("Conv2d_1") or "Conv2d_2" in name}
    network = Inception(until, tap=64)
    assert network(torch.zeros(1, 299, 299, 3)).shape == (1, 64)
    assert len(network._units) == 3


def test_bfloat16_moves_the_distance_little(read_faces, inception_file):
    _, digest = read_weights(inception_file)
    faces = read_faces(64)
    sides = faces[::2], degraded(faces[1::2])
    found = {}
    for precision in ("float32", "bfloat16"):
        extractor = build_extractor(FeatureSpec("inception", str(inception_file), digest, 64, precision=precision))
        features = [extractor(side) for side in sides]
        assert features[0].dtype == np.float32
        found[precision] = features[0], frechet_distance(*map(Moments.of, features))
    (exact, distance), (rounded, other) = found["float32"], found["bfloat16"]
    assert 1e-4 < np.linalg.norm(rounded - exact) / np.linalg.norm(exact) < 0.02  # bfloat16 has 8 bits: 2^-8 is 0.004
    assert other == pytest.approx(distance, rel=0.03)
    assert other != distance
