"""The agreement table: real faces and as many degraded ones, ours beside reference packages (`-s` shows it).

2,000 of each, as in the table of docs/scores.md; LATENTSCAPE_AGREEMENT_IMAGES=1000 takes half the time.
"""

import importlib.metadata
import os

import numpy as np
import prdc
import pytest
import torch
from cleanfid.resize import build_resizer
from PIL import Image, ImageFilter
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from framework.evaluation import find_source
from framework.evaluation.features.extractor import FeatureSpec, build_extractor
from framework.evaluation.features.resizing import resize
from framework.evaluation.features.weights import read_weights
from framework.evaluation.sources.source import open_source
from framework.evaluation.values.torchmetrics_check import torchmetrics_values
from framework.metrics import Moments, frechet_distance, kernel_distance, manifold_scores

COUNT, TAPS = int(os.environ.get("LATENTSCAPE_AGREEMENT_IMAGES", "2000")), (64, 192, 768)
KID = {"subsets": 100, "subset_size": COUNT // 2}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def sources(read_faces, tmp_path_factory):
    """Real faces, and others blurred and with noise, as PNGs, which keep every pixel."""
    faces, rng = read_faces(2 * COUNT), np.random.default_rng(0)
    blurred = np.stack([np.asarray(Image.fromarray(x).filter(ImageFilter.GaussianBlur(1.5))) for x in faces[1::2]])
    noisy = np.clip(blurred + rng.normal(0, 8, size=blurred.shape), 0, 255).astype(np.uint8)
    found = []
    for name, images in (("real", faces[::2]), ("degraded", noisy)):
        folder = tmp_path_factory.mktemp(name)
        for number, pixels in enumerate(images):
            Image.fromarray(pixels).save(folder / f"{number:04d}.png", compress_level=1)
        found.append(find_source(str(folder), samples=2, seed=0))
    return found


@pytest.fixture(scope="module")
def pixels(sources):
    return [open_source(source)(0, COUNT) for source in sources]


def specs(inception_file):
    digest = read_weights(inception_file)[1]
    return {tap: FeatureSpec("inception", str(inception_file), digest, tap) for tap in TAPS}


@pytest.fixture(scope="module")
def ours(pixels, inception_file):
    """tap -> our features of both sides."""
    extractors = {tap: build_extractor(spec) for tap, spec in specs(inception_file).items()}
    return {tap: [extract(images) for images in pixels] for tap, extract in extractors.items()}


@pytest.fixture(scope="module")
def fidelitys(pixels, inception_file):
    """tap -> torch-fidelity's features of both sides."""
    names = [str(tap) for tap in TAPS]
    peer = FeatureExtractorInceptionV3("peer", names, feature_extractor_weights_path=str(inception_file))
    sides = [
        [torch.cat(tap) for tap in zip(*map(peer, torch.from_numpy(x).permute(0, 3, 1, 2).split(50)), strict=True)]
        for x in pixels
    ]
    return dict(zip(TAPS, zip(*sides, strict=True), strict=True))


def told(metric, package, theirs, mine):
    version = importlib.metadata.version(package)
    apart = abs(mine - theirs) / abs(theirs) if theirs else abs(mine - theirs)
    print(
        f"\n{metric:<16} {package} {version:<10} theirs {theirs:<22.12g} ours {mine:<22.12g} relative {apart:.1e}",
        end="",
    )
    return apart


@pytest.mark.parametrize("tap", TAPS)
def test_fid_is_torch_fidelitys(ours, fidelitys, tap):
    statistics = [fid_features_to_statistics(features) for features in fidelitys[tap]]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    mine = frechet_distance(*map(Moments.of, ours[tap]))
    assert told(f"fid{COUNT}_{tap}", "torch-fidelity", theirs, mine) < 1e-4


@pytest.mark.parametrize("tap", TAPS)
def test_fid_and_kid_are_torchmetrics(ours, sources, inception_file, tap):
    families = ["fid", "kid"] if tap == 64 else ["fid"]
    found = torchmetrics_values(families, specs(inception_file)[tap], real=sources[0], fake=sources[1])
    mine = frechet_distance(*map(Moments.of, ours[tap]))
    assert told(f"fid{COUNT}_{tap}", "torchmetrics", found["fid"][0], mine) < 1e-4
    if "kid" in found:  # its subsets are other draws: equal within what they scatter
        value, sd = found["kid"]
        kernel = kernel_distance(*ours[tap], **KID)
        told(f"kid{COUNT}_{tap}", "torchmetrics", value, kernel.mean)
        assert abs(value - kernel.mean) < 4 * np.hypot(sd, kernel.sd) / np.sqrt(KID["subsets"])


@pytest.mark.parametrize("tap", TAPS)
def test_kid_is_torch_fidelitys_for_the_same_subsets(ours, fidelitys, tap):
    settings = {"kid_subsets": KID["subsets"], "kid_subset_size": KID["subset_size"], "rng_seed": 2020}
    theirs = kid_features_to_metric(*(x.double() for x in fidelitys[tap]), kid_kernel="poly", verbose=False, **settings)
    mine = kernel_distance(*ours[tap], **KID)
    assert told(f"kid{COUNT}_{tap}", "torch-fidelity", theirs["kernel_inception_distance_mean"], mine.mean) < 1e-3


@pytest.mark.parametrize("tap", [64, 768])
def test_the_rest_is_prdcs_on_the_same_features(ours, tap, capsys):
    mine = manifold_scores(*ours[tap], precision_k=3, density_k=5)
    theirs = {}
    for k, names in ((3, ("precision", "recall")), (5, ("density", "coverage"))):
        found = prdc.compute_prdc(*ours[tap], nearest_k=k)
        capsys.readouterr()
        theirs |= {name: float(found[name]) for name in names}
    for name, value in theirs.items():
        assert told(f"{name}{COUNT}_{tap}", "prdc", value, mine[name]) < 1e-12


def test_the_clean_resize_is_clean_fids_pixel_for_pixel(pixels):
    theirs = build_resizer("clean")
    apart = sum(
        int((theirs(image) != resize(image[None], how="clean", device=torch.device("cpu"))[0].numpy()).sum())
        for image in pixels[1][:200]
    )
    told("clean pixels", "clean-fid", 0.0, float(apart))
    assert apart == 0
