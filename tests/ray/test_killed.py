"""Real processes killed and interrupted: the same command goes on, and nothing is left running."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from framework.checkpoint import load_generator
from framework.runs import RunFolder
from tests.ray.conftest import MARK, ROOT, TINY, our_processes, wait_until

SHORT = ("training.total_images=1280", "training.samples_every_images=1280", "evaluation.every_images=640")
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


def test_killed_interrupted_and_a_worker_lost_it_is_the_undisturbed_run(jobs, storage, undisturbed):
    process = start_and_wait_for_checkpoint(jobs, storage, "disturbed", 640)
    process.kill()
    process.communicate(timeout=60)

    process = start_and_wait_for_checkpoint(jobs, storage, "disturbed", 1920)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - started < 10
    assert "interrupted: 1 trial saved where it stood" in err
    assert err.splitlines()[-1].startswith("interrupted; to go on: python -m jobs.train ")
    assert "Traceback" not in err

    process = start_and_wait_for_checkpoint(jobs, storage, "disturbed", 3200)
    workers = [psutil.Process(pid) for pid in our_processes() if is_worker(pid)]
    assert len(workers) == 2
    workers[0].kill()
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert err.count("goes on from checkpoint") == 2  # at its start, and after the loss

    metrics = trial_of(storage, "disturbed").metrics()
    seen = [row["images_seen"] for row in metrics]
    assert seen == sorted(set(seen))
    # What was saved when it was interrupted was reported then, too.
    undisturbed_seen = {row["images_seen"] for row in trial_of(storage, "undisturbed").metrics()}
    assert undisturbed_seen <= set(seen)
    assert len(seen) <= len(undisturbed_seen) + 1
    newest = "trials/single/checkpoints/000000003840"
    one, other = (load_generator(storage / name / newest) for name in ("disturbed", "undisturbed"))
    assert one.digest == other.digest
    scores = [
        [row["score"] for row in trial_of(storage, name).metrics() if "score" in row]
        for name in ("disturbed", "undisturbed")
    ]
    assert scores[0] == scores[1]


def test_an_embedded_ray_listens_on_loopback_alone_and_ends_with_a_job_asked_to_terminate(jobs, storage, run):
    process = jobs.start("train", str(TINY), f"storage.path={storage}", "name=terminated", *LONG)
    for line in process.stderr:
        if line.startswith("Plan:"):  # Ray has started, and with it the handlers it would like to have
            break
    family = {process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))}
    listening = [one.laddr.ip for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.pid in family]
    assert len(listening) > 5
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("interrupted; to go on: python -m jobs.train ")


FLAGS = """
import contextlib
import sys
import time
import ray
from framework.orchestration.cluster.connect import connect
from framework.orchestration.cluster.stop_flag import StopFlag

with connect("flags", verbose=False, say=lambda text: None):
    raised, orphaned = StopFlag.new("raised"), StopFlag.new("orphaned")
    readers = [raised.reader(), orphaned.reader()]
    assert not raised.is_raised() and not orphaned.is_raised()
    assert [read() for read in readers] == [False, False]
    raised.raise_it()
    ray.kill(orphaned.actor)
    with contextlib.suppress(ray.exceptions.RayActorError):
        orphaned.is_raised()
    time.sleep(1)
    print([read() for read in readers])
"""


def test_a_stop_flag_is_up_when_it_was_raised_and_not_when_its_keeper_is_gone(jobs):
    environment = {**jobs.environment, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", FLAGS], env=environment, capture_output=True, text=True, timeout=120)
    assert ended.stdout == "[True, False]\n", ended.stderr


def is_worker(pid):
    with contextlib.suppress(psutil.Error):
        return "RayTrainWorker" in " ".join(psutil.Process(pid).cmdline())
    return False


@pytest.mark.slow
def test_a_search_killed_goes_on(jobs, storage, run):
    arguments = ("tests/ray/tiny.yaml", f"storage.path={storage}", "name=search-killed", *SHORT)
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
    assert len(rows) == 2
    assert {row["state"] for row in rows} <= {"finished", "stopped"}


def test_nothing_is_left_running(jobs):
    """Of all the jobs here, the killed ones included; whose Ray agents take a minute to notice that they are alone."""
    wait_until(lambda: not our_processes(), seconds=150, what="no process of a job left running")


def test_processes_are_listed_by_their_mark():
    """The listing these tests rely on sees what a job starts, and nothing else."""
    process = subprocess.Popen(["sleep", "5"])
    marked = subprocess.Popen(["sh", "-c", "sleep 5 & wait"], env={**os.environ, MARK: "1"})
    try:
        wait_until(lambda: len(our_processes()) >= 2, seconds=5, what="a marked process and its child in the list")
        assert marked.pid in our_processes()
        assert process.pid not in our_processes()
    finally:
        for child in psutil.Process(marked.pid).children():
            child.kill()
        for started in (process, marked):
            started.kill()
            started.wait()
