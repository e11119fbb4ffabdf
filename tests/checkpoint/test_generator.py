"""One generator from any folder that has one, and pictures that depend on their latents alone."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from framework.checkpoint import export_generator, load_generator
from framework.errors import CheckpointError, LatentsError
from framework.images import to_pixels
from framework.models import build_generator, sample_latents
from framework.storage import open_folder


def forbid(text):
    raise AssertionError(text)


def test_every_way_to_name_a_checkpoint_loads_it(make_run, tmp_path):
    run = make_run()
    checkpoint = run.save("a", 128_000)
    trial = run.folder.trial("a")
    exported = export_generator(checkpoint.folder.location, tmp_path / "exported")
    assert exported.files() == ["config.json", "weights.safetensors"]
    places = [
        *(run.folder.folder, trial.folder, trial.checkpoints, checkpoint.folder, checkpoint.folder / "generator"),
        exported,
    ]
    loaded = [load_generator(place.location, warn=forbid) for place in places]
    for generator in loaded:
        assert (generator.latent_size, generator.resolution, generator.channels) == (6, 32, 3)
        assert generator.images_seen == 128_000
        assert generator.digest == loaded[0].digest
    assert loaded[0].source == (checkpoint.folder / "generator").location
    assert load_generator(tmp_path / "exported").digest == loaded[0].digest


def test_pictures_are_those_of_the_network(make_run):
    run = make_run()
    run.save("a", 7)
    generator = load_generator(run.folder.folder.location)
    network = build_generator(run.folder.experiment.model, resolution=32, channels=3, seed=7)
    latents = generator.sample_latents(32, 5)
    assert np.array_equal(latents, sample_latents(32, 6, seed=5))
    with torch.inference_mode():
        expected = to_pixels(network(torch.from_numpy(latents)))
    pictures = generator.images(latents)
    assert pictures.shape == (32, 32, 32, 3)
    assert pictures.dtype == np.uint8
    assert np.array_equal(pictures, expected)
    assert not any(parameter.requires_grad for parameter in generator.network.parameters())


def test_a_picture_depends_on_its_latent_alone(make_run):
    run = make_run()
    run.save("a", 7)
    generator = load_generator(run.folder.folder.location)
    latents = generator.sample_latents(75, 3)
    pictures = generator.images(latents)
    assert np.array_equal(generator.images(torch.from_numpy(latents)), pictures)
    assert np.array_equal(generator.images(latents.astype(np.float64)), pictures)
    assert np.array_equal(generator.images(latents[:32]), pictures[:32])
    assert np.array_equal(generator.images(latents[64:]), pictures[64:])
    assert np.array_equal(generator.sample_latents(11, 3, start=64), latents[64:])
    assert generator.images(latents[:0]).shape == (0, 32, 32, 3)
    # Within a block a picture's place may move its last bit, and no more.
    shifted = generator.images(latents[5:37]).astype(int) - pictures[5:37]
    assert np.abs(shifted).max() <= 1


@pytest.mark.parametrize("bad", [np.zeros(6), np.zeros((2, 5)), np.full((1, 6), np.nan), torch.zeros(1, 6, 1)])
def test_latents_of_another_shape_are_refused(make_run, bad):
    run = make_run()
    run.save("a", 7)
    with pytest.raises(LatentsError, match="latents: must"):
        load_generator(run.folder.folder.location).images(bad)


def test_a_run_gives_its_best_else_its_newest(make_run):
    run = make_run()
    run.save("a", 300)
    run.save("b", 100)
    run.save("b", 400)
    run.save("b", 200, value=2.0)
    location = run.folder.folder.location
    assert load_generator(location).images_seen == 400
    assert load_generator(run.folder.trial("a").folder.location).images_seen == 300
    assert load_generator(run.folder.trial("b").folder.location).images_seen == 200
    run.folder.write_best({"trial": "b", "checkpoint": "trials/b/checkpoints/000000000100", "images_seen": 100})
    assert load_generator(location).images_seen == 100
    run.folder.folder.delete("trials/b/checkpoints/000000000100")
    assert load_generator(location).images_seen == 200


def test_a_damaged_newest_gives_way_with_a_warning_but_the_best_never_silently(make_run):
    run = make_run()
    run.save("a", 100)
    run.save("a", 200)
    location = run.folder.folder.location
    newest = "trials/a/checkpoints/000000000200"
    run.folder.folder.write_bytes(f"{newest}/generator/weights.safetensors", b"garbage")
    with pytest.warns(UserWarning, match=r"000000000200.*damaged"):
        assert load_generator(location).images_seen == 100
    run.folder.write_best({"trial": "a", "checkpoint": newest, "images_seen": 200})
    with pytest.raises(CheckpointError, match=r"000000000200.*damaged"):
        load_generator(location)


def test_what_is_no_generator_is_said_in_one_line(make_run, tmp_path):
    run = make_run()
    places = [
        (run.folder.folder, "is not a run, trial, checkpoint or generator"),
        (run.folder.folder / "missing", "does not exist"),
        (open_folder(tmp_path), "is not a run, trial, checkpoint or generator"),
    ]
    (tmp_path / "config.json").write_text("[]")
    (tmp_path / "file").write_text("")
    places[2] = (open_folder(tmp_path), "is not the config of a generator")
    for place, reason in [*places, (open_folder(tmp_path / "file"), "is not a run")]:
        with pytest.raises(CheckpointError) as fault:
            load_generator(place.location)
        assert reason in str(fault.value)
        assert place.name in str(fault.value)
        assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("architecture", "transformer", "architecture"),
        ("latent_size", 7, "do not fit config.json"),
        ("latent_size", "7", "latent_size"),
        ("resolution", 100, "do"),
        ("weights_sha256", "0" * 64, "damaged"),
        ("weights_file", "../other.safetensors", "weights_file must be weights.safetensors or model.safetensors"),
    ],
)
@pytest.mark.parametrize("location", ["local"], indirect=True)
def test_a_config_that_does_not_fit_is_refused(make_run, tmp_path, key, value, reason):
    run = make_run()
    run.save("a", 7)
    folder = export_generator(run.folder.folder.location, tmp_path / "exported")
    folder.write_json("config.json", {**folder.read_json("config.json"), key: value})
    with pytest.raises(CheckpointError, match=reason) as fault:
        load_generator(folder.location)
    assert "\n" not in str(fault.value)


@pytest.mark.long
@pytest.mark.parametrize("location", ["local"], indirect=True)  # what is exported lies on this machine
def test_loading_needs_neither_ray_nor_the_run(make_run, tmp_path):
    run = make_run()
    run.save("a", 7)
    export_generator(run.folder.folder.location, tmp_path / "alone")
    shutil.move(tmp_path / "alone", tmp_path / "moved")
    program = (
        "import sys; from framework import load_generator; g = load_generator(sys.argv[1]); "
        "print(g.images(g.sample_latents(2, seed=0)).shape, 'ray' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "moved")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert answer.stdout.strip() == "(2, 32, 32, 3) False"
