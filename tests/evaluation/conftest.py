import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from framework.checkpoint import LoadedGenerator
from framework.checkpoint.saved import generator_files
from framework.config import EvaluationConfig, ModelConfig
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.features.weights import read_weights
from framework.models import build_generator
from framework.models.assessor.assessor import Assessor, AssessorNetwork, AttributeSpec


@pytest.fixture(scope="session")
def inception_file(shared_data):
    return shared_data / "weights" / "inception-2015-12-05-to-mixed6e.pth"


@pytest.fixture(scope="session")
def filled_file(inception_file, tmp_path_factory):
    """The same weights with random ones where the shared file has NaN: taps and logits are finite, and mean nothing."""
    random = torch.Generator().manual_seed(0)
    weights = {name: _filled(value, random) for name, value in read_weights(inception_file)[0].items()}
    torch.save(weights, path := tmp_path_factory.mktemp("weights") / "filled.pth")
    return path


def _filled(value, random):
    if value.isfinite().all():
        return value
    if value.ndim == 1:
        return torch.rand(value.shape, generator=random) + 0.5
    return torch.randn(value.shape, generator=random) * value[0].numel() ** -0.5


@pytest.fixture(scope="session")
def inception_spec(inception_file):
    """Real Inception at its quickest tap."""
    config = EvaluationConfig.model_validate({"weights": str(inception_file), "tap": 64})
    return resolve_features(config, assessor_folder=None)


@pytest.fixture(scope="session")
def read_faces(shared_data):
    """(count) -> the first so many UTKFace images, uint8 [n,200,200,3]."""

    def read(count):
        with tarfile.open(shared_data / "data" / "UTKFace-5k.tar") as archive:
            members = sorted((m for m in archive if m.name.endswith(".jpg")), key=lambda m: m.name)
            # Names begin with the age: a stride takes all ages.
            chosen = members[:: len(members) // count][:count]
            files = [io.BytesIO(archive.extractfile(member).read()) for member in chosen]
        return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])

    return read


@pytest.fixture(scope="session")
def assessor_folder(tmp_path_factory):
    """An assessor of 16x16 grey images with seeded weights: what it tells is no matter, that it tells it is."""
    torch.manual_seed(0)
    network = AssessorNetwork(outputs=1, resolution=16, channels=1, width=8)
    shape = {"resolution": 16, "channels": 1, "width": 8}
    folder = tmp_path_factory.mktemp("assessor")
    Assessor(network, attributes=[AttributeSpec("round")], accuracy={}, **shape).save(folder)
    return folder


@pytest.fixture(scope="session")
def assessor_spec(assessor_folder):
    assessor = Assessor.load(assessor_folder)
    return FeatureSpec("assessor", str(assessor_folder), assessor.digest, assessor.feature_size, "none")


@pytest.fixture(scope="session")
def generator():
    """A real generator of 32x32 images, untrained."""
    network = build_generator(ModelConfig(width=8, latent_size=6), resolution=32, channels=3, seed=0)
    config = {"latent_size": 6, "resolution": 32, "channels": 3}
    return LoadedGenerator(network, config=config, digest="0" * 64, source="memory", device="cpu")


@pytest.fixture
def generator_folder(generator, tmp_path):
    """The same as an exported folder."""
    config = {**generator.config, **ModelConfig(width=8, latent_size=6).model_dump()}
    for name, data in generator_files(generator.network.state_dict(), config).items():
        (tmp_path / "generator" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "generator" / name).write_bytes(data)
    return tmp_path / "generator"


@pytest.fixture(scope="session")
def pictures():
    """(count, seed=0) -> uint8 [n,16,16,1] of soft random shapes."""

    def make(count, seed=0):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, size=(count, 4, 4, 1), dtype=np.uint8)
        return coarse.repeat(4, axis=1).repeat(4, axis=2)

    return make
