"""A training that begins with networks that are there: an import's, another training's, an export's."""

import pytest
import torch

from framework.checkpoint import CheckpointStore, export_generator
from framework.checkpoint.imported import imported_experiment, write_imported
from framework.checkpoint.start import open_start, with_start
from framework.config import Experiment, with_overrides
from framework.errors import ConfigError, TrainingError
from framework.models import build_discriminator, build_generator
from framework.models.architectures.described_layers import Activation, Dense, Normalisation, Reshape, documents_of
from framework.models.keras_import import Imported
from framework.storage import open_folder
from framework.training import Trainer, WorkerGroup
from tests.conftest import missing

SETTINGS = {
    "data.resolution": 32,
    "training.batch_size": 8,
    "training.total_images": 8 * 3,
    "evaluation.every_images": 8 * 3,
    "compute.precision": "float32",
}
LAYERS = [
    Dense(units=32 * 32 * 3, bias=False),
    Normalisation(epsilon=1e-3),
    Reshape(shape=(32, 32, 3)),
    Activation(function="tanh"),
]
JUDGE = [Reshape(shape=(32 * 32 * 3,)), Dense(units=1)]
GENERATORS = {
    "dcgan": {"architecture": "dcgan", "latent_size": 6, "width": 4},
    "keras": {"architecture": "keras", "latent_size": 6, "width": 4, "layers": documents_of(LAYERS)},
}
DISCRIMINATORS = {"dcgan": {"dropout": 0.3}, "keras": {"dropout": 0.0, "discriminator_layers": documents_of(JUDGE)}}


@pytest.fixture
def imported(tmp_path):
    """A run as `jobs.import_keras` writes it; gives its place and both states."""

    def make(kind):
        about = {"resolution": 32, "channels": 3, "range": "signed", "reason": "as said"}
        model = with_overrides(
            Experiment(), {f"model.{key}": value for key, value in (GENERATORS[kind] | DISCRIMINATORS[kind]).items()}
        ).model
        networks = [build(model, resolution=32, channels=3, seed=7) for build in (build_generator, build_discriminator)]
        generator, discriminator = (
            Imported(keys[kind], network.state_dict(), **about)
            for keys, network in zip((GENERATORS, DISCRIMINATORS), networks, strict=True)
        )
        folder = open_folder(tmp_path / "runs" / kind)
        pair = {"generator": generator, "discriminator": discriminator}
        write_imported(folder, imported_experiment(folder, {}, **pair), **pair, about={"from": "test"}, command=[])
        return folder, networks

    return make


@pytest.fixture
def begun(images, tmp_path):
    """Trains a few steps; gives the first report's checkpoint store and what was logged."""

    def begin(location, *, name="trained", **overrides):
        said = []
        settings = SETTINGS | {"training.start_from": str(location)} | overrides
        experiment = with_start(with_overrides(Experiment(), settings), {}, say=said.append)
        digest = experiment.digest(images.digest)
        learned = {"data": images.digest, **experiment.learned()}
        store = CheckpointStore(open_folder(tmp_path / name), digest=digest, learned=learned, keep="all")
        samples = []
        Trainer(
            experiment=experiment,
            images=images,
            store=store,
            workers=WorkerGroup(),
            report=lambda report: samples.append(report.samples),
            log=said.append,
        ).run()
        return store, said, samples

    return begin


@pytest.mark.parametrize("kind", ["dcgan", "keras"])
def test_the_first_samples_are_the_imported_generators(imported, begun, kind):
    folder, (generator, discriminator) = imported(kind)
    store, said, samples = begun(folder.location)
    assert missing(said[0], folder.location, kind, 6, "its discriminator") == []
    assert any(folder.location in line for line in said[1:])  # by the training too
    from framework.images import to_pixels
    from framework.models import derive_seed, sample_latents

    latents = torch.from_numpy(sample_latents(64, 6, seed=derive_seed(0, "samples")))
    with torch.no_grad():
        expected = to_pixels(generator(latents))
    assert abs(samples[0].astype(int) - expected).max() <= 1
    newest = store.newest(warn=said.append)
    trained = newest.tensors("generator"), newest.tensors("discriminator")
    for states, network in zip(trained, (generator, discriminator), strict=True):
        for name, parameter in network.named_parameters():
            moved = (states[name] - parameter.detach()).abs().max().item()
            assert 0.0 < moved < 3 * 2 * 2e-4 * 1.5, name  # three steps of Adam at 2e-4, the discriminator's twice
    if kind == "keras":
        assert torch.equal(trained[0]["steps.1.mean"], generator.state_dict()["steps.1.mean"])


@pytest.mark.long
def test_what_it_begins_with_is_known_by_its_content(imported, begun, tmp_path):
    folder, _ = imported("dcgan")
    digest = open_start(folder.location).digest
    store, _, _ = begun(folder.location)
    (tmp_path / "runs" / "dcgan").rename(tmp_path / "runs" / "moved")
    moved = tmp_path / "runs" / "moved"
    assert open_start(str(moved)).digest == digest
    _, said, _ = begun(moved, **{"training.total_images": 8 * 4})
    assert any("000000000024" in line for line in said)  # it was resumed
    checkpoint = store.all()[0]
    start = open_start(checkpoint.folder.location)  # a training's own: its weights, and not their average alone
    assert start.digest != digest
    assert torch.equal(start.generator["dense.weight"], checkpoint.tensors("generator")["dense.weight"])
    exported = export_generator(checkpoint.folder.location, tmp_path / "given")
    assert open_start(exported.location).discriminator is None


def test_what_has_changed_since_is_refused(imported, images, tmp_path):
    folder, _ = imported("dcgan")
    settings = SETTINGS | {"training.start_from": folder.location}
    experiment = with_start(with_overrides(Experiment(), settings), {}, say=[].append)
    changed = with_overrides(experiment, {"training.start_digest": "0" * 64})
    store = CheckpointStore(open_folder(tmp_path / "new"), digest="d", learned={}, keep="all")
    with pytest.raises(TrainingError, match="has changed since this training started"):
        Trainer(
            experiment=changed, images=images, store=store, workers=WorkerGroup(), report=[].append, log=[].append
        ).run()


def test_another_discriminator_may_judge_only_where_none_comes_along(imported, begun, tmp_path):
    folder, _ = imported("dcgan")
    both = {"model.discriminator": "both", "model.projection_channels": 8}
    with pytest.raises(ConfigError) as fault:
        with_start(
            with_overrides(Experiment(), SETTINGS | {"training.start_from": folder.location}),
            both,
            say=lambda line: None,
        )
    assert missing(str(fault.value), "model.discriminator: both does not fit training.start_from", "own") == []
    exported = tmp_path / "exported"
    export_generator(folder.location, exported)
    store, said, _ = begun(exported, name="judged", **both, **{"training.total_images": 8})
    assert "a new discriminator" in said[0]
    assert "projected._extra_state" in store.newest(warn=said.append).tensors("discriminator")
