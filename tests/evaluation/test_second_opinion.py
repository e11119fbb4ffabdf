"""torchmetrics' own classes, its own network: the same scores."""

import dataclasses

import pytest
from PIL import Image, ImageFilter

from framework.evaluation import find_source
from framework.evaluation.features.extractor import build_extractor
from framework.evaluation.sources.shards import moments_of
from framework.evaluation.sources.source import open_source
from framework.evaluation.values.torchmetrics_check import torchmetrics_values
from framework.metrics import Moments, frechet_distance, kernel_distance

pytestmark = [pytest.mark.long, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def faces(read_faces, tmp_path_factory):
    """Sources of 32 real faces, which is a block, and of the same blurred."""
    folder = tmp_path_factory.mktemp("faces")
    found = []
    for name, change in (("sharp", lambda image: image), ("blurred", lambda i: i.filter(ImageFilter.GaussianBlur(2)))):
        (folder / name).mkdir()
        for number, pixels in enumerate(read_faces(32)):
            change(Image.fromarray(pixels)).resize((64, 64)).save(folder / name / f"{number:03d}.png")
        found.append(find_source(str(folder / name), samples=2, seed=0))
    return found


def features_of(source, spec):
    return build_extractor(spec)(open_source(source)(0, source.count))


def test_fid_and_kid_agree_with_its_own_network(faces, inception_spec):
    real, fake = faces
    found = torchmetrics_values(["fid", "kid"], inception_spec, real=real, fake=fake)
    ours = [features_of(source, inception_spec) for source in faces]
    assert found["fid"][0] == pytest.approx(frechet_distance(*map(Moments.of, ours)), rel=1e-4)
    # Of 32 images a subset is all of them: its draws and ours are the same.
    kernel = kernel_distance(*ours, subsets=1, subset_size=32)
    assert found["kid"][0] == pytest.approx(kernel.mean, rel=1e-3)


def test_of_a_resize_that_it_does_not_know_it_takes_our_features(faces, inception_spec):
    clean = dataclasses.replace(inception_spec, resize_name="clean")
    real, fake = faces
    found = torchmetrics_values(["fid"], clean, real=real, fake=fake)
    ours = [moments_of(open_source(source), source.count, build_extractor(clean)) for source in faces]
    assert found["fid"][0] == pytest.approx(frechet_distance(*ours), rel=1e-6)
