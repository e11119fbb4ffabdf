"""A pair that real Keras trained, taken over: every job of a run's, and a training that begins with it and goes on."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from framework.checkpoint import Checkpoint, load_generator
from framework.data.synthetic_faces import draw_face
from framework.latents.directions.direction import load_direction
from framework.runs import RunFolder
from tests.ray.conftest import ROOT, Ended, Jobs

GOLDEN = ROOT / "tests" / "golden" / "keras"
CHECKPOINT = "trials/imported/checkpoints/000000000000"
DATA = ("data.source=drawn_faces", "data.limit=600")
JUDGES = ("evaluation.features=assessor", "assessor.images=2000", "assessor.width=8")
LABELS = "assessor.attributes=[glasses, smiling]"
LATENTS = ("latents.arithmetic.candidates=512", "latents.directions.components=2", "latents.projection.steps=60")
TRAINING = """
data: {source: drawn_faces, resolution: 32, limit: 600}
evaluation: {features: assessor, trial_samples: 128, every_images: 160}
assessor: {images: 2000, width: 8, attributes: [glasses, smiling]}
training: {schedule: joint, batch_size: 32, report_every_images: 160, samples_every_images: 160}
optimizer: {generator_lr: 1e-5, discriminator_lr: 1e-5}
checkpoint: {keep: all}
compute: {workers: 2, precision: float32}
"""
STEPS, RATE = 10, 1e-5

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def faces() -> dict[str, np.ndarray]:
    """Latents, and what Keras made of them."""
    with np.load(GOLDEN / "faces.npz") as known:
        return dict(known)


@pytest.fixture(scope="module")
def imported(jobs, storage, tmp_path_factory) -> RunFolder:
    """The run; what studies want of data, labels and scores is said once, at the import."""
    folder = tmp_path_factory.mktemp("keras")
    for name in ("faces_generator.keras", "faces_critic.keras"):
        (folder / name).write_bytes(gzip.decompress((GOLDEN / f"{name}.gz").read_bytes()))
    said = (*DATA, *JUDGES, LABELS, *LATENTS, "evaluation.samples=512")
    pair = (str(folder / "faces_generator.keras"), f"discriminator={folder / 'faces_critic.keras'}")
    done = jobs.run("import_keras", *pair, f"output={storage / 'faces'}", *said)
    assert done.code == 0, done.err
    assert "[8] -> [32, 32, 3]" in done.err
    run = RunFolder.open(storage / "faces")
    assert run.about["imported"]["range"] == "unit"
    return run


@pytest.fixture(scope="module")
def call(jobs, imported):
    """A job on the run; gives its document."""

    def run(name: str, *arguments: str) -> dict:
        done: Ended = jobs.run(name, imported.folder.location, *arguments, "--json")
        assert done.code == 0, done.err
        return done.document

    return run


def test_its_images_are_those_of_keras(imported, faces):
    made = load_generator(imported.folder.location).images(faces["latents"])
    assert np.abs(made - faces["images"] * 255.0).max() <= 0.5 + 1e-3


def test_walks_and_sums(call, imported):
    call("interpolate")
    summed = call("arithmetic")
    assert {row["attribute"] for row in summed["measured"]} >= {"glasses", "smiling"}
    for name in ("samples.png", "interpolation.png", "corners.png", "loop.gif", "arithmetic.png", "sheet.png"):
        assert imported.artifacts.exists(name), name


def test_directions_of_its_layers_of_its_images_and_of_labels(call, imported):
    found = call("discover", "latents.directions.method=sefa")["directions"]
    assert found == ["sefa_1.safetensors", "sefa_2.safetensors"]
    first = load_generator(imported.folder.location).network.steps[0].weight.detach().double().numpy()
    assert abs(np.linalg.svd(first)[2][0] @ load_direction(imported.directions, found[0]).vector) > 0.9999
    found += call("discover", "latents.directions.method=ganspace")["directions"]
    found += call("discover", "latents.directions.method=interfacegan")["directions"]
    moved = "latents.steering.directions=[sefa_1, smiling-interfacegan]"
    effects = call("steer", moved)["effects"]
    assert set(effects) == {"sefa_1.safetensors", "smiling-interfacegan.safetensors"} <= set(found)
    smiling = effects["smiling-interfacegan.safetensors"]["attributes"]["smiling"]
    assert smiling["slope"] > 0
    assert imported.artifacts.exists("directions/smiling-interfacegan.png")


def test_a_photograph_is_found(call, tmp_path):
    photo = tmp_path / "me.png"
    Image.fromarray(np.asarray(draw_face(5, 7, resolution=128))).save(photo)
    (row,) = call("project", str(photo))["photos"]
    assert row["pixel_error"] < row["nearest_random_error"] < row["random_error"]


def test_scores_report_and_export(call, imported, tmp_path):
    (score,) = call("evaluate", "evaluation.metrics=[fid]")["scores"]
    generator = load_generator(imported.folder.location)
    assert (score["checkpoint"], score["generator"]) == (CHECKPOINT, generator.digest)
    call("report")
    page = imported.folder.read_text("report.html")
    assert '<section id="about">' in page
    assert f"{score['value']:#.4g}" in page
    call("export", str(tmp_path / "given"))
    assert load_generator(str(tmp_path / "given")).digest == generator.digest


def trained(jobs: Jobs, config: Path, imported: RunFolder, name: str, images: int) -> RunFolder:
    places = (f"name={name}", f"storage.path={jobs.storage}", f"training.start_from={imported.folder.location}")
    done = jobs.run("train", str(config), *places, f"training.total_images={images}", "--json")
    assert done.code == 0, done.err
    return RunFolder.open(jobs.storage / name)


def newest(run: RunFolder, images: int) -> Checkpoint:
    (trial,) = run.trials()
    checkpoint = Checkpoint(trial.folder / "checkpoints" / f"{images:012d}")
    assert checkpoint.fault() is None
    return checkpoint


def states(checkpoint: Checkpoint) -> dict[str, str]:
    """sha256 of every file of numbers: what a training goes on from, and the averaged generator."""
    return {name: file["sha256"] for name, file in checkpoint.manifest["files"].items() if "safetensors" in name}


def test_a_training_begins_with_both_networks_and_goes_on_bit_for_bit(jobs, imported, tmp_path):
    config, images = tmp_path / "on.yaml", STEPS * 32
    config.write_text(TRAINING)
    whole = trained(jobs, config, imported, "whole", images)
    known = Checkpoint(imported.folder / CHECKPOINT)
    begun = {
        "generator": load_file(Path(known.folder.location) / "generator" / "weights.safetensors"),
        "discriminator": known.tensors("discriminator"),
    }
    for part, tensors in begun.items():
        learned = newest(whole, images).tensors(part)
        assert learned.keys() == tensors.keys()
        moved = {name: (learned[name] - tensors[name]).abs().max().item() for name in tensors}
        kept = {name for name in moved if name.endswith((".mean", ".variance"))}
        assert {moved[name] for name in kept} == {0.0}
        assert all(0 < moved[name] < 2 * STEPS * RATE for name in moved.keys() - kept), moved
    halved = trained(jobs, config, imported, "halved", images // 2)
    trained(jobs, config, imported, "halved", images)
    assert halved.trials()[0].last_report()["life_began_at_images_seen"] == images // 2
    assert states(newest(halved, images)) == states(newest(whole, images))
    assert torch.isfinite(newest(halved, images).tensors("generator")["steps.0.weight"]).all()
