"""A conditional generator through the jobs: trained once, then sampled, walked, steered and looked into."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from framework.checkpoint import load_generator
from framework.checkpoint.reference import best_target
from framework.latents.directions.direction import load_direction
from framework.models import sample_latents
from framework.runs import RunFolder
from tests.ray.conftest import ROOT, SECONDS, TINY

pytestmark = pytest.mark.slow  # nine jobs; tests/latents/test_conditional.py has what studies do with a code

ASKED = {"glasses": 1, "background": "blue"}
SHORT = ("model.latent_size=8", "training.total_images=640", "training.report_every_images=640",
         "training.samples_every_images=640", "evaluation.every_images=640", "evaluation.trial_samples=64",
         "compute.workers=1")  # fmt: skip


@pytest.fixture(scope="module")
def ordered(attached, storage, tmp_path_factory):
    """The run of a conditional generator, on which each study has been run; and the folder of its images."""
    folder = tmp_path_factory.mktemp("ordered")
    shades = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(shades).resize((40, 40), Image.Resampling.BICUBIC).save(folder / "somebody.png")
    place, asked = str(storage / "ordered"), f"latents.condition={json.dumps(ASKED)}"
    labels = f"model.condition=[{', '.join(ASKED)}]"
    find = ("discover", place, "latents.directions.samples=64")
    calls = [
        ("train", str(TINY), f"storage.path={storage}", "name=ordered", labels, *SHORT),
        ("generate", place, f"output={folder / 'images'}", "count=40", 'latents.condition={"background": "blue"}'),
        ("interpolate", place, asked, "latents.walks.pairs=2", "latents.walks.loop_samples=2"),
        ("arithmetic", place, "latents.arithmetic.candidates=64"),
        (*find, "latents.directions.method=sefa", "latents.directions.components=1"),
        (*find, "latents.directions.method=ganspace", "latents.directions.components=1", asked),
        (*find, "latents.directions.method=ganalyze", "latents.directions.attributes=[smiling]"),
        ("steer", place, "latents.steering.directions=[smiling-ganalyze]", "latents.steering.strengths=[-1.0, 1.0]"),
        ("project", place, str(folder / "somebody.png"), asked, "latents.projection.steps=5",
         "latents.projection.controls=1", "latents.arithmetic.candidates=64"),
    ]  # fmt: skip
    (folder / "calls.json").write_text(json.dumps(calls))
    command = [sys.executable, str(Path(__file__).with_name("in_turn.py"))]
    command += [str(folder / "calls.json"), str(folder / "codes.json")]
    environment = {**attached.environment, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    assert json.loads((folder / "codes.json").read_text()) == [0] * len(calls), ended.stderr
    return RunFolder.open(place), folder


@pytest.fixture(scope="module")
def generator(ordered):
    made = load_generator(best_target(ordered[0]).location)
    assert (made.normal_size, made.latent_size) == (8, 8 + 2 + len(made.condition.label("background").classes))
    return made


def test_images_are_those_of_the_labels_that_are_asked_for(ordered, generator):
    latents = generator.conditioned({"background": "blue"}).sample_latents(40, 0)
    assert {text.partition(", ")[2] for text in generator.condition.captions(latents[:, 8:])} == {"background blue"}
    names = sorted((ordered[1] / "images").glob("*.png"))
    found = [np.asarray(Image.open(name)) for name in names]
    np.testing.assert_array_equal(np.stack(found), generator.images(latents))


def test_studies_of_whole_latents_leave_their_documents(ordered):
    artifacts = ordered[0].artifacts
    assert {"samples.png", "interpolation.png", "corners.png", "loop.gif", "projected.png"} <= set(artifacts.list())
    settings = artifacts.read_json("interpolation.json")["settings"]
    assert settings["condition"] == ASKED
    ends = sample_latents(1, 8, seed=settings["seed"])
    norms = artifacts.read_json("interpolation.json")["latent_norms"]["slerp"]
    assert norms[0] == pytest.approx(np.linalg.norm(ends), abs=1e-3)
    assert artifacts.exists("sheet.png")


def test_directions_are_of_whole_latents(ordered):
    run, _ = ordered
    found = {name: load_direction(run.directions, name) for name in run.directions.list()}
    assert set(found) == {f"{name}.safetensors" for name in ("sefa_1", "ganspace_1", "smiling-ganalyze")}
    for name, direction in found.items():
        assert direction.vector.shape == (8 + 6,)
        assert np.linalg.norm(direction.vector) == pytest.approx(1, abs=1e-5)
        if name != "smiling-ganalyze.safetensors":
            np.testing.assert_allclose(direction.vector[8:], 0, atol=1e-6)
    (effect,) = run.artifacts.read_json("effects.json").values()
    assert set(effect["attributes"]) == {"glasses", "smiling"}


def test_a_photograph_is_projected_with_the_labels_that_are_asked_for(ordered, generator):
    latent = load_file(Path(ordered[0].folder.location) / "projections" / "somebody.safetensors")["latent"]
    np.testing.assert_array_equal(latent[8:], generator.condition.encode(ASKED, 1)[0])


def test_the_whole_pipeline(jobs, storage):
    labels = f"model.condition=[{', '.join(ASKED)}]"
    ended = jobs.run_tiny("pipeline", "name=ordered-pipeline", labels, "search.trials=1", "--json")
    assert ended.code == 0, ended.err
    made = RunFolder.open(storage / "ordered-pipeline")
    assert load_generator(best_target(made).location).condition.names == list(ASKED)
    assert made.folder.exists("report.html")
    assert {"samples.png", "interpolation.json", "arithmetic.json"} <= set(made.artifacts.list())
