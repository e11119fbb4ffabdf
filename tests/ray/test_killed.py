"""Real processes killed and interrupted: the same command goes on, and nothing is left running."""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass

import psutil
import pytest

from framework.checkpoint import TrialFolder, load_generator
from tests.ray.conftest import MARK, TINY, interrupt, our_processes, saved, wait_until

LENGTH = 2560  # of the pipeline's trials
SHORT = ("training.total_images=1280", "training.samples_every_images=1280", "evaluation.every_images=640")


@dataclass
class Disturbed:
    """A trial that was disturbed three times.

    Args:
        trial: Of it.
        listening: The addresses at which the first job's processes listened.
        interrupted_at: How many images were seen when it was interrupted.
        began_again_at: With how many seen the job went on that was killed.
        said: By the job that was interrupted and by the one that ended, on stderr.
    """

    trial: TrialFolder
    listening: list[str]
    interrupted_at: int
    began_again_at: int
    said: tuple[str, str]


@pytest.fixture(scope="module")
def disturbed(jobs, storage, run) -> Disturbed:
    """The first trial of the pipeline once more: it loses a worker, is interrupted, then killed, and goes on."""
    arguments = (str(TINY), f"storage.path={storage}", "name=disturbed", "search.trials=1", "checkpoint.keep=all")
    endless = "training.total_images=12800000"  # however slow this process is, what it disturbs has not ended
    trial = TrialFolder(run.folder.parent / "disturbed" / "trials" / run.trials()[0].id)

    def wait_for(true, what):
        def is_there():
            assert process.poll() is None, process.communicate()[1]
            return true()

        wait_until(is_there, what=what)

    def wait_for_a_report():
        before = trial.last_report()
        wait_for(lambda: trial.last_report() != before, "a report")

    process = jobs.start("search", *arguments, endless)
    for line in process.stderr:
        if line.startswith("Plan:"):  # Ray has started
            break
    family = {process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))}
    listening = [one.laddr.ip for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.pid in family]
    wait_for(lambda: saved(trial), "a checkpoint")
    first = our_workers()
    assert len(first) == 2
    psutil.Process(min(first)).kill()
    wait_for(lambda: len(our_workers() - first) == 2, "two other workers")
    wait_for_a_report()
    interrupted = interrupt(process, trial, signal.SIGINT)
    interrupted_at = saved(trial)[-1]

    process = jobs.start("search", *arguments, endless)
    wait_for_a_report()
    process.kill()
    process.communicate()
    began_again_at = trial.last_report()["life_began_at_images_seen"]

    ended = jobs.run("search", *arguments, f"training.total_images={max(LENGTH, saved(trial)[-1] + 640)}")
    assert ended.code == 0, ended.err
    return Disturbed(trial, listening, interrupted_at, began_again_at, (interrupted, ended.err))


def test_an_embedded_ray_listens_on_loopback_alone(disturbed):
    assert len(disturbed.listening) > 5
    assert {ip.removeprefix("::ffff:") for ip in disturbed.listening} == {"127.0.0.1"}


def test_a_worker_lost_interrupted_and_killed_it_goes_on_each_time(disturbed):
    interrupted, ended = disturbed.said
    assert interrupted.count("goes on from checkpoint") == 1  # after the loss
    assert interrupted.splitlines()[-1].startswith("interrupted; to go on: python -m jobs.search ")
    assert disturbed.began_again_at == disturbed.interrupted_at
    assert "goes on from checkpoint" in ended
    seen = [row["images_seen"] for row in disturbed.trial.metrics()]
    assert disturbed.interrupted_at in seen
    assert seen == sorted(set(seen))


def test_what_was_disturbed_is_the_undisturbed_trial(disturbed, run):
    pair = [disturbed.trial, run.trials()[0]]
    assert {trial.state["state"] for trial in pair} == {"finished"}
    one, other = (load_generator(f"{trial.folder.location}/checkpoints/{LENGTH:012d}") for trial in pair)
    assert one.digest == other.digest
    rows = [[row for row in trial.metrics() if row["images_seen"] <= LENGTH] for trial in pair]
    assert {row["images_seen"] for row in rows[0]} >= {row["images_seen"] for row in rows[1]}
    scores = [[row["score"] for row in some if "score" in row] for some in rows]
    assert len(scores[0]) == LENGTH // 640
    assert scores[0] == scores[1]


def our_workers() -> set[int]:
    """The training workers of jobs here."""
    found = set()
    for pid in our_processes():
        with contextlib.suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(psutil.Process(pid).cmdline()):
                found.add(pid)
    return found


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
