"""What is done with trained networks, on a pretended GPU: images, codes, features, directions, projections, nats."""

import copy

import numpy as np
import pytest
import safetensors.torch
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from framework.checkpoint import LoadedGenerator
from framework.config import AssessorConfig, Experiment, ModelConfig, with_overrides
from framework.config.schema import LatentsConfig
from framework.evaluation.features.extractor import FeatureSpec, build_extractor
from framework.evaluation.features.weights import read_weights
from framework.evaluation.likelihood import image_nats
from framework.evaluation.sources.shards import moments_of
from framework.latents.attributes.groups import labels_of
from framework.latents.directions.attributes import attributes_of
from framework.latents.directions.discover import DiscoveryModels, discover
from framework.latents.projection.project import project
from framework.latents.steering.move import effect_of, mean_slopes, move_and_assess
from framework.latents.walks.interpolate import slerp
from framework.latents.walks.smoothness import PathMeter, measured
from framework.models import build_encoder, build_generator
from framework.models.assessor.assessor import Assessor, AssessorNetwork, AttributeSpec
from framework.training.assessor.train import train_half
from tests.device.count import images_of
from tests.device.pretended import pretended

pytestmark = pytest.mark.long

LABELS = [AttributeSpec("glasses"), AttributeSpec("age_group", ["young", "old"])]


@pytest.fixture
def gpu():
    with pretended() as gpu:
        yield gpu


def loaded(**model):
    config = ModelConfig.model_validate({"width": 4, "latent_size": 6, **model})
    shape = {"resolution": 32, "channels": 3, "seed": 0}
    encoder = None if config.family == "gan" else build_encoder(config, **shape)
    about = config.model_dump() | {"resolution": 32, "channels": 3}
    return LoadedGenerator(
        build_generator(config, **shape), encoder=encoder, config=about, digest="0", source="here", device="cuda"
    )


def assessor(resolution=32):
    with torch.random.fork_rng(devices=[]):
        network = AssessorNetwork(outputs=3, resolution=resolution, channels=3, width=8)
    return Assessor(network, attributes=LABELS, resolution=resolution, channels=3, width=8, accuracy={}, device="cuda")


def pixels(count, side=32):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.mark.parametrize(
    "model",
    [{}, {"architecture": "skip"}, {"architecture": "residual"}, {"family": "autoencoder"}, {"family": "vae"}],
    ids=str,
)
def test_images_and_codes(gpu, model):
    generator = loaded(**model)
    assert {p.device.type for p in generator.network.parameters()} == {"cuda"}
    gpu.taken()
    assert generator.images(generator.sample_latents(40, 0)).shape == (40, 32, 32, 3)
    assert gpu.taken().waits.total() <= 2  # one a block of 32
    if generator.encoder is not None:
        assert generator.encode(pixels(40)).shape == (40, 6)
        assert gpu.taken().waits.total() <= 2


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """The file of Inception's whole network with weights that were made here, and its digest."""

    class Untrained(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_, **__):
            """None."""

    folder = tmp_path_factory.mktemp("inception")
    torch.save({}, folder / "none.pth")
    with torch.random.fork_rng(devices=[]):
        network = Untrained("made", ["2048"], feature_extractor_weights_path=str(folder / "none.pth"))
    weights = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    safetensors.torch.save_file(weights, folder / "made.safetensors")
    return folder / "made.safetensors", read_weights(folder / "made.safetensors")[1]


@pytest.mark.parametrize(
    "keys",
    [
        {"tap": 2048, "logits": True},
        {"tap": 192, "resize_name": "clean"},
        {"tap": 64, "precision": "bfloat16"},
    ],
    ids=str,
)
def test_inceptions_features(gpu, inception, keys):
    spec = FeatureSpec("inception", str(inception[0]), inception[1], **keys)
    extractor = build_extractor.__wrapped__(spec, "cuda")
    assert gpu.taken().waits.total() == 0
    images = pixels(40, side=48)
    if spec.logits:
        assert [values.shape for values in extractor.with_logits(images)] == [(40, 2048), (40, 1008)]
    else:
        found = moments_of(lambda start, stop: images[start:stop], 40, extractor, blocks=2)
        assert (found.count, found.size) == (40, spec.tap)
    record = gpu.taken()
    assert record.operations.total() > 20
    # One a block; Pillow takes another, to make images larger on the host.
    assert record.waits.total() <= (4 if spec.resize_name == "clean" else 2), record.told("waits")
    assert not record.layouts


@pytest.mark.parametrize("resolution", [32, 128])
def test_an_assessor(gpu, resolution):
    judge = assessor(resolution)
    gpu.taken()
    assert judge.features(pixels(40, resolution)).shape == (40, judge.feature_size)
    assert judge.predict(pixels(40, resolution))["age_group"].shape == (40, 2)
    assert gpu.taken().waits.total() <= 8  # probabilities and features of two blocks, twice


@pytest.mark.parametrize("half", [0, 1])
def test_an_assessor_is_trained(gpu, half):
    found = train_half(images_of(32, 400), AssessorConfig(images=192, width=8), half=half, device="cuda")
    record = gpu.taken()
    assert record.operations.total() > 300
    assert found.device.type == "cpu"
    assert found.predict(pixels(3))["bright"].shape == (3,)


def test_nats_of_images(gpu):
    experiment = with_overrides(Experiment(), {"model.family": "vae", "model.latent_size": 6})
    found = image_nats(loaded(family="vae"), experiment, pixels(40), start=0, draws=3, seed=0)
    assert all(values.shape == (40,) and np.isfinite(values).all() for values in vars(found).values())


def on_host(compute):
    """As tasks have it: studies work on the host, networks on the GPU, and gradients go through both."""
    return lambda given: compute(given.to("cuda")).to(given.device)


def tools_of(generator, judge):
    """As the tasks of jobs.discover make them."""

    def score(attribute):
        network = on_host(lambda images: judge.network(images)[0])
        return lambda images: network(images)[:, 0 if attribute.column is None else 1 + attribute.column]

    return DiscoveryModels(
        latent_size=generator.latent_size,
        digest="0",
        sample=lambda n, start: generator.sample_latents(n, 0, start=start),
        assess=lambda latents: judge.predict(generator.images(latents)),
        generate=on_host(generator.network),
        network=copy.deepcopy(generator.network).cpu(),
        score=score,
        made_of={},
    )


METHODS = {
    "difference": {"samples": 64, "per_class": 8},
    "interfacegan": {"samples": 64, "per_class": 8},
    "ganalyze": {"samples": 64, "attributes": ["glasses"]},
    "sefa": {"components": 2},
    "ganspace": {"samples": 64, "components": 2},
    "steerable": {"samples": 64, "edits": ["zoom", "brightness"]},
    "steerable, nonlinear": {"samples": 64, "edits": ["shift_x"], "path": "nonlinear"},
}


@pytest.mark.parametrize("name", [*METHODS, "compass"])
def test_directions_are_found(gpu, tmp_path, name):
    keys = METHODS.get(name, {})
    if name == "compass":
        (tmp_path / "piles.csv").write_text("number,pile\n1,low\n2,low\n3,high\n4,high\n")
        keys = {"sorted_samples": str(tmp_path / "piles.csv"), "name": "sorted"}
    judge = assessor()
    config = LatentsConfig(directions={"method": name.partition(",")[0], **keys})
    found = discover(tools_of(loaded(), judge), config, labels_of(judge))
    assert found
    assert all(np.linalg.norm(one.vector) == pytest.approx(1.0, rel=1e-5) for one in found)


def test_directions_are_steered_along_and_measured(gpu):
    generator, judge = loaded(), assessor()
    config = LatentsConfig(
        directions={"method": "difference", "samples": 64, "per_class": 8, "attributes": ["glasses"]}
    )
    (direction,) = discover(tools_of(generator, judge), config, labels_of(judge))
    attributes, strengths = attributes_of(labels_of(judge), None), [-1.0, 0.0, 1.0]
    latents = generator.sample_latents(40, 1)
    moved = move_and_assess(generator, judge, attributes, direction, latents, strengths)
    chance = mean_slopes(generator, judge, attributes, [direction, direction], latents, strengths)
    by_name = {one.name: np.array([row[one.name] for row in chance]) for one in attributes}
    effect = effect_of(moved, strengths, by_name)
    assert effect.document()["attributes"].keys() == {"glasses", "young", "old"}


@pytest.mark.parametrize("with_features", [False, True])
def test_a_photograph_is_projected(gpu, with_features):
    generator, judge = loaded(), assessor()
    features = on_host(lambda images: judge.network(images)[1]) if with_features else None
    target = torch.zeros(3, 32, 32)
    found = project(
        on_host(generator.network), target, generator.sample_latents(40, 0), features=features, starts=2, steps=3
    )
    assert found.latent.shape == (6,)


def test_ways_are_measured(gpu):
    generator, judge = loaded(), assessor()
    walks = {"slerp": slerp(*generator.sample_latents(2, 0), 9)}
    for features in (None, lambda images: judge.network(images)[1]):
        assert measured(PathMeter(generator.network, features, "cuda"), walks)["steps"] == 9
