"""Nodes that come and go: a node killed while it trains, workers that grow and shrink with the cluster."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from framework.checkpoint import load_generator
from framework.runs import RunFolder
from tests.ray.conftest import TINY, Jobs, wait_until

pytestmark = pytest.mark.slow

LONG = ("training.samples_every_images=64000", "training.report_every_images=320", "evaluation.every_images=640")


def reports(storage, name):
    trial = storage / name / "trials" / "single"
    return RunFolder.open(storage / name).trial("single").metrics() if trial.exists() else []


def test_a_node_killed_while_it_trains_costs_what_came_after_the_last_checkpoint(empty_cluster, storage, run):
    empty_cluster.start(cores=1)
    other = empty_cluster.start(cores=1)
    process = Jobs(storage, empty_cluster.environment).start(
        "train", str(TINY), f"storage.path={storage}", "name=node-killed", "compute.cpus_per_worker=0.9",
        "training.total_images=6400", *LONG,
    )  # fmt: skip

    def halfway():
        assert process.poll() is None, process.communicate()[1]
        return any(row["images_seen"] >= 1600 for row in reports(storage, "node-killed"))

    wait_until(halfway, seconds=300, what="half a training")
    empty_cluster.kill(other)
    empty_cluster.start(cores=1)
    _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    rows = reports(storage, "node-killed")
    assert rows[-1]["life_began_at_images_seen"] > 0
    assert [row["images_seen"] for row in rows] == sorted({row["images_seen"] for row in rows})
    assert rows[-1]["images_seen"] == 6400
    assert 0 <= rows[-1]["images_trained_twice"] <= 640


def test_a_node_that_does_not_see_the_results_is_named_before_anything_trains(empty_cluster, may_mount, storage, run):
    place = storage / "here-only"
    place.mkdir()
    empty_cluster.start(cores=1)
    empty_cluster.start(cores=1, hidden=place)
    jobs = Jobs(storage, empty_cluster.environment)
    arguments = (f"storage.path={place}", f"storage.cache_path={storage}/.cache")
    ended = jobs.run("train", str(TINY), *arguments, "name=unseen", "compute.cpus_per_worker=0.9")
    assert ended.code == 2, ended.err
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"error: storage.path: {place}/unseen: node ")
    assert "different folder" in line
    assert not list(place.glob("unseen/trials/*/metrics.jsonl"))


def test_what_a_node_lacks_of_the_cache_is_fetched_to_it(empty_cluster, may_mount, storage, run):
    cache = storage / "cache-here-only"
    shutil.copytree(storage / ".cache", cache)
    empty_cluster.start(cores=1)
    other = empty_cluster.start(cores=1, hidden=cache)
    jobs = Jobs(storage, empty_cluster.environment)
    arguments = (f"storage.path={storage}", f"storage.cache_path={cache}", "training.total_images=640")
    ended = jobs.run("train", str(TINY), *arguments, "name=fetched", "compute.cpus_per_worker=0.9")
    assert ended.code == 0, ended.err
    there = Path(f"/proc/{other.pid}/root{cache}")  # as that node sees it
    fetched = {path.relative_to(there) for path in there.rglob("*") if path.is_file()}
    assert any(path.parts[0] == "data" for path in fetched)
    assert all((there / path).read_bytes() == (cache / path).read_bytes() for path in fetched)


def test_workers_grow_and_shrink_with_the_cluster_and_the_batch_stays(empty_cluster, storage, run):
    empty_cluster.start(cores=1)
    arguments = (
        str(TINY),
        f"storage.path={storage}",
        "training.total_images=25600",
        *LONG,
        "compute.precision=float64",
    )
    jobs = Jobs(storage, empty_cluster.environment)
    process = jobs.start("train", *arguments, "name=elastic", "compute.workers=1..2", "compute.resize_every_seconds=5")

    def trains_with(workers):
        def does():
            assert process.poll() is None, process.communicate()[1]
            rows = reports(storage, "elastic")
            return bool(rows) and rows[-1]["workers"] == workers and rows[-1]["images_seen"] > 0

        return does

    wait_until(trains_with(1), seconds=240, what="one worker")
    other = empty_cluster.start(cores=1)
    wait_until(trains_with(2), seconds=240, what="two workers")
    time.sleep(5)
    empty_cluster.kill(other)
    wait_until(trains_with(1), seconds=240, what="one worker again")
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    rows = reports(storage, "elastic")
    assert [row["images_seen"] for row in rows] == sorted({row["images_seen"] for row in rows})
    assert rows[-1]["images_seen"] == 25600

    plain = jobs.run("train", *arguments, "name=not-elastic", "compute.workers=1", timeout=600)
    assert plain.code == 0, plain.err
    ends = [
        load_generator(storage / name / "trials/single/checkpoints/000000025600") for name in ("elastic", "not-elastic")
    ]
    latents = ends[0].sample_latents(16, 0)
    one, other = (end.images(latents).astype(np.int16) for end in ends)
    assert np.abs(one - other).mean() < 0.5  # of 255: the sums of float64 gradients are rounded in another order
