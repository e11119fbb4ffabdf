"""What jobs.latent_map refuses, in one line and before anything is prepared, and what it says it would do."""

import importlib

import pytest

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.models import build_encoder, build_generator
from framework.runs import RunFolder
from jobs.cli.job import run_job
from tests.conftest import missing

SMALL = {
    "data.source": "drawn_faces",
    "data.limit": 100,
    "data.resolution": 28,
    "data.channels": 1,
    "model.width": 4,
    "model.latent_size": 3,
}
LABELLED = {"digest": "mnist", "labels": ["digit"]}


@pytest.fixture
def called(capsys):
    def call(*arguments):
        job = importlib.import_module("jobs.latent_map")
        with pytest.raises(SystemExit) as ended:
            run_job(job.JOB, job.body, [*map(str, arguments), "--dry-run"])
        return ended.value.code, capsys.readouterr().err.strip()

    return call


@pytest.fixture
def begun(tmp_path):
    """A run with one scored checkpoint of weights as they were drawn."""

    def begin(name, *, family="vae", data=LABELLED, **keys):
        said = SMALL | {"name": name, "storage.path": str(tmp_path), "model.family": family} | keys
        experiment = with_overrides(Experiment(), said)
        run = RunFolder.create(experiment, ["python"], data=data)
        shape = {"resolution": 28, "channels": 1, "seed": 0}
        generator = build_generator(experiment.model, **shape)
        encoder = None if family == "gan" else build_encoder(experiment.model, **shape).state_dict()
        config = experiment.model.model_dump(mode="json") | {"resolution": 28, "channels": 1, "images_seen": 64}
        store = CheckpointStore(run.folder / "trials/a/checkpoints", digest="d", learned={}, keep=1)
        weights = (generator.state_dict(), config)
        store.save({}, info={"images_seen": 64}, images_seen=64, generator=weights, encoder=encoder)
        run.write_best({"trial": "a", "checkpoint": "trials/a/checkpoints/000000000064", "images_seen": 64})
        return run.folder.location

    return begin


def assert_mistake(result, *said):
    code, err = result
    assert code == 2, err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert missing(err, *said) == []


def test_one_run_and_two_are_taken(called, begun):
    vae, plain = begun("vae"), begun("plain", family="autoencoder")
    code, said = called(vae)
    assert code == 0
    # Each image's code, and 5,000 points each of four kinds.
    assert (
        "Step 2: map of trials/a/checkpoints/000000000064: at most 25,000 through the generator, 25,000 through the "
        "assessors or features, 5,000 through the encoder"
    ) in said
    assert called(vae, plain, "latents.maps.images=64")[0] == 0


def test_a_gan_has_no_encoder(called, begun):
    gan = begun("gan", family="gan")
    assert_mistake(called(gan), "encoder", "model.family")
    assert_mistake(called(begun("vae"), gan), "encoder", "model.family")


def test_codes_of_one_number_are_no_map(called, begun):
    assert_mistake(called(begun("thin", **{"model.latent_size": 1})), "model.latent_size")


def test_runs_of_other_images_are_refused(called, begun):
    other = begun("other", data={"digest": "another", "labels": ["digit"]})
    assert_mistake(called(begun("vae"), other), "other", "vae", "images")


def test_data_without_the_label_is_refused(called, begun):
    bare = begun("bare", data={"digest": "mnist", "labels": []})
    assert_mistake(called(bare), "latents.maps.label", "digit", "none")
    assert_mistake(called(begun("vae"), "latents.maps.label=age"), "latents.maps.label", "age", "digit")


def test_a_function_of_ones_own_has_no_encoder(called, begun):
    entry = {"model.entry": "mine:net", "data.source": "drawn_faces", "model.width": 128, "model.latent_size": 100}
    said = with_overrides(Experiment(), {"name": "own", "storage.path": begun("vae").rpartition("/")[0], **entry})
    RunFolder.create(said, ["python"])
    place = begun("vae").rpartition("/")[0]
    assert_mistake(called(f"{place}/vae", f"{place}/own"), "mine:net", "no encoder")
