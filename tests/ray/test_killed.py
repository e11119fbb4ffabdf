"""Real processes killed and interrupted: the same command goes on, and nothing is left running."""

import signal
import subprocess
import time

import psutil
import pytest

from framework.checkpoint import RunFolder, load_generator
from tests.ray.conftest import our_processes, wait_until

pytestmark = pytest.mark.ray

LONG = ("training.total_images=3840", "training.samples_every_images=3840", "evaluation.every_images=640")
SECONDS = 240


@pytest.fixture(scope="module")
def undisturbed(jobs, run):
    """A training in one go (after `run`, which has made the images and the assessors)."""
    ended = jobs.run_tiny("train", "name=undisturbed", *LONG)
    assert ended.code == 0, ended.err
    return ended


def trial_of(storage, name):
    return RunFolder.open(storage / name).trial("single")


def start_and_wait_for_checkpoint(jobs, storage, name, images_seen):
    """A training under way that has saved the checkpoint of `images_seen`."""
    process = jobs.start("train", "tests/ray/tiny.yaml", f"storage.path={storage}", f"name={name}", *LONG)
    manifest = storage / name / "trials" / "single" / "checkpoints" / f"{images_seen:012d}" / "manifest.json"

    def saved():
        assert process.poll() is None, process.communicate()[1]
        return manifest.exists()

    wait_until(saved, seconds=SECONDS, what=f"{manifest}")
    return process


def assert_nothing_left(before, *, seconds):
    wait_until(lambda: not our_processes() - before, seconds=seconds, what="no process of the job left running")


def test_killed_and_continued_is_the_undisturbed_run(jobs, storage, undisturbed):
    before = our_processes()
    process = start_and_wait_for_checkpoint(jobs, storage, "killed", 1280)
    process.kill()
    process.communicate(timeout=60)
    again = jobs.run_tiny("train", "name=killed", *LONG)
    assert again.code == 0, again.err
    assert "goes on from checkpoint" in again.err
    metrics = trial_of(storage, "killed").metrics()
    seen = [row["images_seen"] for row in metrics]
    assert seen == sorted(set(seen))
    assert seen == [row["images_seen"] for row in trial_of(storage, "undisturbed").metrics()]
    newest = "trials/single/checkpoints/000000003840"
    one, other = (load_generator(storage / name / newest) for name in ("killed", "undisturbed"))
    assert one.digest == other.digest
    scores = [
        [row["score"] for row in trial_of(storage, name).metrics() if "score" in row]
        for name in ("killed", "undisturbed")
    ]
    assert scores[0] == scores[1]
    assert_nothing_left(before, seconds=150)  # Ray's own agents take a minute to notice that they are alone


def test_an_interrupt_ends_soon_with_130_and_leaves_nothing(jobs, storage, run):
    before = our_processes()
    process = start_and_wait_for_checkpoint(jobs, storage, "interrupted", 640)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - started < 30
    assert "the same command goes on" in err
    assert "Traceback" not in err
    assert_nothing_left(before, seconds=150)


def test_a_lost_worker_is_replaced(jobs, storage, run):
    before = our_processes()
    process = start_and_wait_for_checkpoint(jobs, storage, "lost", 640)
    workers = [p for p in psutil.process_iter(["cmdline"]) if "RayTrainWorker" in " ".join(p.info["cmdline"] or ())]
    assert len(workers) == 2
    workers[0].kill()
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert trial_of(storage, "lost").metrics()[-1]["images_seen"] == 3840
    assert "goes on from checkpoint" in err
    assert_nothing_left(before, seconds=150)


def test_a_search_killed_goes_on(jobs, storage, run):
    arguments = ("tests/ray/tiny.yaml", f"storage.path={storage}", "name=search-killed", "search.trials=3")
    process = jobs.start("search", *arguments)
    trials = storage / "search-killed" / "trials"
    wait_until(
        lambda: len(list(trials.glob("*/checkpoints/*/manifest.json"))) >= 2, seconds=SECONDS, what="two checkpoints"
    )
    process.kill()
    process.communicate(timeout=60)
    again = jobs.run("search", *arguments, "--json")
    assert again.code == 0, again.err
    rows = again.document["leaderboard"]
    assert len(rows) == 3
    assert {row["state"] for row in rows} <= {"finished", "stopped"}


def test_processes_are_listed_by_what_they_run():
    """The listing these tests rely on sees a Ray process."""
    process = subprocess.Popen(["sleep", "5"], executable="/bin/sleep")
    named = subprocess.Popen(["ray::nothing", "5"], executable="/bin/sleep")
    try:
        wait_until(lambda: named.pid in our_processes(), seconds=5, what="a process named like Ray's in the list")
        assert process.pid not in our_processes()
    finally:
        process.kill()
        named.kill()
        process.wait()
        named.wait()
