"""Real processes killed and interrupted: the same command goes on, and nothing is left running.

That the training which is disturbed here is the undisturbed one in the end, test_goes_on.py shows.
"""

import ipaddress
import os
import signal
import subprocess

import psutil
import pytest

from tests.ray.conftest import MARK, our_processes, wait_until

SHORT = ("training.total_images=1280", "training.samples_every_images=1280", "evaluation.every_images=640")


@pytest.mark.parametrize("who", ["workers", "others"])
def test_an_embedded_ray_and_its_training_listen_on_loopback_alone(disturbed, who):
    """Of a worker: Ray's port and gloo's, and of rank 0 the rendezvous of the group."""
    assert len(disturbed["listening"][who]) > 4
    assert all(ipaddress.ip_address(ip.removeprefix("::ffff:")).is_loopback for ip in disturbed["listening"][who])


def test_a_training_goes_on_after_a_worker_was_lost_and_where_it_was_interrupted(disturbed):
    first, after_the_loss = disturbed["lives"]
    assert first == 0 < after_the_loss < disturbed["interrupted_at"] == disturbed["began_again_at"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_ray_starts_waits_for_it(jobs, run, number):
    """Its first process is there, and the job is not connected yet; that nothing is left, the last test here shows."""
    process = jobs.start("interpolate", run.folder.location, "latents.walks.steps=3")

    def is_starting():
        assert process.poll() is None, process.communicate()[1]
        return any("gcs_server" in child.name() for child in psutil.Process(process.pid).children())

    wait_until(is_starting, what="Ray's first process")
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("Interrupted. Resume with: python -m jobs.interpolate ")
    assert "Traceback" not in err
    assert "Ray: started" not in err


@pytest.mark.slow
def test_a_search_killed_goes_on(jobs, storage, run):
    arguments = ("tests/ray/tiny.yaml", f"storage.path={storage}", "name=search-killed", *SHORT)
    process = jobs.start("search", *arguments)
    trials = storage / "search-killed" / "trials"
    wait_until(lambda: len(list(trials.glob("*/checkpoints/*/manifest.json"))) >= 2, what="two checkpoints")
    process.kill()
    process.communicate(timeout=60)
    again = jobs.run("search", *arguments, "--json")
    assert again.code == 0, again.err
    rows = again.document["leaderboard"]
    assert len(rows) == 2
    assert {row["state"] for row in rows} <= {"finished", "stopped"}


def test_nothing_is_left_running(jobs):
    """Of all the jobs here, the killed ones included; whose Ray agents take a minute to notice that they are alone."""
    wait_until(lambda: not our_processes(), what="no process of a job left running")


def test_processes_are_listed_by_their_mark():
    """The listing these tests rely on sees what a job starts, and nothing else."""
    process = subprocess.Popen(["sleep", "5"])
    marked = subprocess.Popen(["sh", "-c", "sleep 5 & wait"], env={**os.environ, MARK: "1"})
    try:
        wait_until(lambda: len(our_processes()) >= 2, what="a marked process and its child in the list")
        assert marked.pid in our_processes()
        assert process.pid not in our_processes()
    finally:
        for child in psutil.Process(marked.pid).children():
            child.kill()
        for started in (process, marked):
            started.kill()
            started.wait()
