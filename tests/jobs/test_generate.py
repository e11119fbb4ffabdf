"""jobs.generate: image k is that of latent k, in whatever form, order, part or number they are made."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from framework.checkpoint import CheckpointStore, load_generator
from framework.checkpoint.reference import find_target
from framework.config import Experiment, with_overrides
from framework.errors import LatentsError, StorageError
from framework.latents.directions.direction import Direction, load_direction, save_direction
from framework.models import build_generator
from framework.orchestration.studies.generate import generate
from framework.orchestration.studies.generation_request import Output, Request, read_latents
from framework.orchestration.studies.models import StudyModels
from framework.runs import RunFolder
from jobs.cli.console import Console
from jobs.cli.job import run_job
from jobs.generate import JOB, body
from tests.evaluation.test_compute import Here

Z, SIDE, COUNT = 6, 32, 300
SETTINGS = {
    "name": "faces", "data.source": "drawn_faces", "data.resolution": SIDE, "model.width": 4, "model.latent_size": Z,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a checkpoint of weights as they were drawn, and a direction."""
    experiment = with_overrides(Experiment(), {**SETTINGS, "storage.path": str(tmp_path_factory.mktemp("runs"))})
    run = RunFolder.create(experiment, ["python"], data={"digest": "x", "training": 1, "held_out": 1, "labels": []})
    network = build_generator(experiment.model, resolution=SIDE, channels=3, seed=0)
    config = experiment.model.model_dump(mode="json") | {"resolution": SIDE, "channels": 3, "images_seen": 64}
    store = CheckpointStore(
        run.trial("a").checkpoints, digest="d", learned={"data": "x", **experiment.learned()}, keep=1
    )
    store.save({}, info={"images_seen": 64}, images_seen=64, generator=(network.state_dict(), config), encoder=None)
    run.trial("a").write_params({})
    run.write_best({"trial": "a", "checkpoint": "trials/a/checkpoints/000000000064", "images_seen": 64,
                    "score": {"metric": "fid", "value": 1.0, "protocol": {}}})  # fmt: skip
    digest = load_generator(run.folder.location).digest
    save_direction(Direction("smiling", "difference", np.eye(1, Z, dtype=np.float32)[0], 2.0, digest), run.directions)
    return run


@pytest.fixture(scope="module")
def generator(run):
    return load_generator(run.folder.location)


def made(run, place, request, *, truncation=1.0):
    """Generates in this process; gives how many images were generated."""
    target, loaded = find_target(run.folder.location), load_generator(run.folder.location).truncated(truncation)
    models = StudyModels(target.location, loaded.digest, None, None, truncation)
    document = request.document(target, loaded, truncation=truncation)
    return generate(loaded, models, Here(), request, Output.at(str(place)), document, Console())


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_folder_has_the_image_of_each_latent(run, generator, tmp_path):
    place = tmp_path / "faces"
    assert made(run, place, Request(COUNT, seed=3)) == COUNT
    names = sorted(path.name for path in place.glob("*.png"))
    assert (len(names), names[0], names[-1]) == (COUNT, "000000.png", "000299.png")
    expected = generator.images(generator.sample_latents(COUNT, 3))
    assert all(
        (pixels((place / name).read_bytes()) == image).all() for name, image in zip(names, expected, strict=True)
    )
    about = json.loads((place / "generated.json").read_text())
    assert (about["count"], about["seed"], about["generator"]) == (COUNT, 3, generator.digest)


def test_what_is_there_is_not_made_again_and_more_images_join_it(run, tmp_path):
    place, whole = tmp_path / "faces", tmp_path / "whole"
    made(run, place, Request(COUNT, seed=0))
    made(run, whole, Request(600, seed=0))
    (place / "000270.png").unlink()
    assert made(run, place, Request(COUNT, seed=0)) == COUNT - 256  # a shard is made as a whole
    assert made(run, place, Request(COUNT, seed=0)) == 0
    made(run, place, Request(600, seed=0))
    names = sorted(path.name for path in whole.iterdir())
    assert sorted(path.name for path in place.iterdir()) == names
    assert all((place / name).read_bytes() == (whole / name).read_bytes() for name in names)


@pytest.mark.parametrize("ending", ["zip", "npz"])
def test_an_archive_that_was_interrupted_is_the_same(ending, run, tmp_path):
    """A shard that is there is taken; nothing is left beside the archive."""
    request, first, second = Request(COUNT, seed=0), tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    assert made(run, first, request) == COUNT
    parts = Output.at(str(second)).parts

    class Stops(Here):
        def map(self, *arguments, **named):
            yield next(super().map(*arguments, **named))
            raise KeyboardInterrupt

    target, loaded = find_target(run.folder.location), load_generator(run.folder.location)
    document = request.document(target, loaded, truncation=1.0)
    models = StudyModels(target.location, loaded.digest, None, None)
    with pytest.raises(KeyboardInterrupt):
        generate(loaded, models, Stops(), request, Output.at(str(second)), document, Console())
    assert (len(parts.list()), second.exists()) == (1, False)
    assert made(run, second, request) == COUNT - 256
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        assert one.namelist() == other.namelist()
        assert [one.read(name) for name in one.namelist()] == [other.read(name) for name in other.namelist()]
    names = {f"{end}.{ending}{more}" for end in "ab" for more in ("", ".json")}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_every_form_has_the_same_pixels_along_a_direction(run, generator, tmp_path):
    direction = load_direction(run.directions, "smiling.safetensors")
    request = Request(40, seed=1, direction=direction, strengths=(-1.5, 0.0, 2.0))
    for name in ("faces", "faces.zip", "faces.npz"):
        assert made(run, tmp_path / name, request, truncation=0.5) == 120
    latents = 0.5 * generator.sample_latents(40, 1)
    stored = np.load(tmp_path / "faces.npz")
    assert np.array_equal(stored["latents"], latents)
    expected = np.stack([generator.images(direction.moved(latents, each)) for each in (-1.5, 0.0, 2.0)], axis=1)
    assert np.array_equal(stored["arr_0"], expected.reshape(120, SIDE, SIDE, 3))
    with zipfile.ZipFile(tmp_path / "faces.zip") as archive:
        assert archive.namelist()[:4] == ["000000_-1.5.png", "000000_+0.png", "000000_+2.png", "000001_-1.5.png"]
        for name, image in zip(archive.namelist()[:-1], stored["arr_0"], strict=True):
            assert np.array_equal(pixels(archive.read(name)), image)
            assert (tmp_path / "faces" / name).read_bytes() == archive.read(name)


def test_given_latents(run, generator, tmp_path):
    latents = np.random.default_rng(0).normal(size=(300, Z)).astype(np.float32)
    made(run, tmp_path / "a.npz", Request(300, seed=0, latents=latents))
    stored = np.load(tmp_path / "a.npz")
    assert np.array_equal(stored["latents"], latents)
    assert np.array_equal(stored["arr_0"], generator.images(latents))


@pytest.mark.parametrize(
    ("array", "about"),
    [
        (np.zeros((3, Z + 1)), f"[n, {Z}], not [3, {Z + 1}]"),
        (np.zeros(Z), f"[n, {Z}], not [{Z}]"),
        (np.zeros((0, Z)), "not [0, 6]"),
        (np.full((2, Z), np.nan), "finite"),
        (np.array([{}], object), "latents.npy"),
    ],
)
def test_latents_of_another_kind(array, about, tmp_path):
    np.save(tmp_path / "latents.npy", array)
    with pytest.raises(LatentsError) as refused:
        read_latents((tmp_path / "latents.npy").read_bytes(), place="latents.npy", latent_size=Z)
    assert about in str(refused.value)


def test_another_request_does_not_mix_with_what_is_there(run, tmp_path):
    made(run, tmp_path / "faces", Request(40, seed=0))
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "mine.png").write_bytes(b"")
    before = {path: path.read_bytes() for path in (tmp_path / "faces").iterdir()}
    for place, request in (("faces", Request(40, seed=1)), ("others", Request(40, seed=0))):
        with pytest.raises(StorageError, match=place):
            made(run, tmp_path / place, request)
    assert {path: path.read_bytes() for path in (tmp_path / "faces").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "output"),
        (("output=o", "count=0"), "count"),
        (("output=o", "count=many"), "count"),
        (("output=o", "latents=gone.npy"), "gone.npy"),
        (("output=o", "latents=gone.npy", "count=3"), "count"),
        (("output=o", "direction=glasses"), "direction: there is no direction glasses"),
        (("output=/dev/null",), "/dev/null"),
        (("output=/dev/null/a.zip",), "/dev/null"),
        (("output=o", "count=100_000_000"), "o: the images need"),
        (("output=o", "direction=smiling", "strengths=1,1"), "strengths"),
        (("output=s3://bucket/a.zip",), "s3://bucket/a.zip"),
        (("output=o", "latents.truncation=-1"), "latents.truncation"),
    ],
)
def test_mistakes(arguments, named, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run_job(JOB, body, [run.folder.location, *arguments])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(SystemExit) as ended:
        run_job(JOB, body, [run.folder.location, *arguments, "--dry-run"])
    assert ended.value.code == 2
    assert list(tmp_path.iterdir()) == []
