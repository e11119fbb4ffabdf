"""Latent studies on Ray: any number of workers gives the same, nothing is done twice, files are what is said."""

import errno
import importlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from framework.checkpoint import load_generator
from framework.latents.directions.direction import Direction, save_direction
from framework.runs import RunFolder
from jobs.cli.job import run_job
from tests.conftest import missing


@pytest.fixture
def studied(measured, storage):
    """A copy of the run, with what was found in it."""
    return RunFolder.open(storage / "studied"), measured["directions"]


def test_every_method_finds_the_same_with_another_number_of_workers(studied):
    _, found = studied
    one, two = found["discovered"]
    assert one == two
    assert set(one) == {
        *(f"{method}_{number}.safetensors" for method in ("sefa", "ganspace") for number in (1, 2)),
        *("glasses-interfacegan.safetensors", "smiling_without_glasses-interfacegan.safetensors"),
        *("smiling-difference.safetensors", "smiling-ganalyze.safetensors", "brightness-steerable.safetensors"),
    }


def test_what_was_found_is_not_found_again(studied):
    said, steps = studied[1]["asked again"]
    (line,) = said
    assert "smiling-ganalyze.safetensors" in line
    assert not steps


def test_effects_are_the_same_with_another_number_of_workers_and_are_kept(studied):
    (one, steps), (two, _), (kept, later) = studied[1]["steered"]
    assert one == two == kept
    assert len(steps) > len(later) == 1  # the pictures are drawn again
    for effect in one.values():
        assert effect["latents"] == 1000
        assert set(effect["attributes"]) == {"glasses", "smiling"}
        for answer in effect["attributes"].values():
            assert answer["interval"][0] <= answer["slope"] <= answer["interval"][1]
            assert answer["random_directions"] == 100
            assert answer["random_99th"] > 0
        assert effect["image_change"][1] == 0
        assert effect["data_strengths"][6] == effect["data_distance"][6] == 0
    bright = one["brightness-steerable.safetensors"]["reach"]
    assert bright["reached"][0] < 0 < bright["reached"][2]
    assert bright["data_spread"] > 0


def test_pictures_lie_where_the_report_looks_for_them(studied):
    run, _ = studied
    names = set((run.artifacts / "directions").list())
    assert names == {f"brightness-steerable.{kind}" for kind in ("png", "gif", "mp4")}
    assert run.artifacts.read_json("effects.json").keys() == studied[1]["steered"][0][0].keys()


def test_a_photograph_is_projected_the_same_by_any_number_of_workers(studied):
    run, found = studied
    one, two = found["projected"]
    assert one == two
    (photo,) = one["photos"]
    assert photo["name"] == "somebody"
    # Of a generator that has collapsed nothing is nearer than anything else; tests/latents/test_projection.py has one.
    assert photo["nearest_random_error"] < photo["random_error"]
    assert photo["pixel_error"] == min(photo["start_errors"])
    assert len(photo["start_errors"]) == 4
    assert one["held_out_generated"]["count"] == 1
    latent = load_file(Path(run.folder.location) / "projections" / "somebody.safetensors")["latent"]
    assert np.linalg.norm(latent) == pytest.approx(photo["latent_norm"], rel=1e-6)


@pytest.fixture
def refused(run, monkeypatch, capsys, tmp_path):
    """Calls a job in this process, which has to refuse before it starts Ray; gives what it said."""
    monkeypatch.chdir(tmp_path)

    def call(name, *arguments):
        job = importlib.import_module(f"jobs.{name}")
        with pytest.raises(SystemExit) as ended:
            run_job(job.JOB, job.body, [run.folder.location, *arguments])
        said = capsys.readouterr().err
        assert ended.value.code == 2, said
        assert "Traceback" not in said
        assert "Ray:" not in said
        return said.splitlines()[-1]

    return call


def test_a_labels_file_that_cannot_be_used(refused, tmp_path):
    asked = ("latents.directions.method=compass", "latents.directions.sorted_samples=piles.csv")
    facts = ("latents.directions.sorted_samples", "piles.csv", os.strerror(errno.ENOENT))
    assert missing(refused("discover", *asked), *facts) == []
    for rows, facts in (
        ("1,low\n2,low", ("high", 0, 2)),
        ("1,low\n2,low\n3,high", ("high", 1, 2)),
        ("1,low\n2,low\n3,high\n1000,high", ("line 5", "number", "1 to 100", 1000)),
    ):
        (tmp_path / "piles.csv").write_text(f"number,pile\n{rows}\n")
        assert missing(refused("discover", *asked), "piles.csv", *facts) == []


def test_directions_that_cannot_be_used(refused, run):
    assert missing(refused("steer"), "latents.steering.directions", "python -m jobs.discover") == []
    size = load_generator(run.folder.location).latent_size
    other = Direction("other", "difference", np.eye(size + 1, dtype=np.float32)[0], 1.0, "a" * 64)
    save_direction(other, run.directions)
    try:
        assert missing(refused("steer"), "other.safetensors", size + 1, size) == []
        said = refused("steer", "latents.steering.directions=[smile]")
        assert missing(said, "latents.steering.directions", "smile", "other") == []
        run.directions.write_bytes("other.safetensors", b"no direction")
        assert "other.safetensors: " in refused("steer")
    finally:
        run.folder.delete("directions")


def test_a_photograph_that_is_none(refused, tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    assert missing(refused("project", "nowhere.jpg"), "nowhere.jpg", os.strerror(errno.ENOENT)) == []
    assert refused("project", "text.jpg").startswith("error: text.jpg: ")
    (tmp_path / "more").mkdir()
    for place in (tmp_path / "me.png", tmp_path / "more" / "me.png"):
        Image.new("RGB", (64, 64)).save(place)
    assert missing(refused("project", "me.png", "more/me.png"), "more/me.png", "me") == []
