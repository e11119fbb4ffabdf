"""Searches of every kind on real trials: what is tried, what ends early, what is copied, and what a stop leaves."""

import signal
import time

import psutil
import pytest

from framework.runs import RunFolder
from tests.conftest import numbers
from tests.ray.conftest import TINY, interrupt, saved, wait_until

RATE = "optimizer.generator_lr"
SHORT = ("training.total_images=1280", "training.samples_every_images=1280", "evaluation.every_images=640")
SPACE = f"search.space={{{RATE}: {{loguniform: [2.0e-4, 2.0e-3]}}}}"

pytestmark = pytest.mark.slow


def test_interrupted_it_saves_and_goes_on_where_it_stood(jobs, storage, run):
    arguments = (str(TINY), f"storage.path={storage}", "name=stopped", "training.total_images=12800", SPACE)
    process = jobs.start("search", *arguments)
    checkpoints = storage / "stopped" / "trials"
    wait_until(lambda: list(checkpoints.glob("*/checkpoints/*/manifest.json")), what="a checkpoint")
    (trial,) = RunFolder.open(storage / "stopped").trials()
    interrupt(process, trial, signal.SIGINT)
    newest = saved(trial)[-1]
    again = jobs.run("search", *arguments, "search.trials=1", f"training.total_images={newest + 640}", "--json")
    assert again.code == 0, again.err
    last = trial.metrics()[-1]
    assert (last["life_began_at_images_seen"], last["images_trained_twice"]) == (newest, 0)


def test_a_trial_that_cannot_save_in_time_is_counted_and_goes_on_from_its_newest_checkpoint(jobs, storage, run):
    arguments = (str(TINY), f"storage.path={storage}", "name=stuck", "search.trials=1")
    process = jobs.start("search", *arguments, "training.total_images=12800")
    checkpoints = storage / "stuck" / "trials"
    wait_until(lambda: list(checkpoints.glob("*/checkpoints/*/manifest.json")), seconds=240, what="a checkpoint")
    family = psutil.Process(process.pid).children(recursive=True)
    for worker in [one for one in family if "RayTrainWorker" in " ".join(one.cmdline())]:
        worker.suspend()
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert 8 < time.monotonic() - sent < 13  # 8 s for the trials; Ray is taken down after that
    assert numbers(err, "Interrupted:") == [0, 1]  # trials saved, and not
    (trial,) = RunFolder.open(storage / "stuck").trials()
    newest = saved(trial)[-1]
    again = jobs.run("search", *arguments, "training.total_images=1280", "--json")
    assert again.code == 0, again.err
    assert trial.metrics()[-1]["life_began_at_images_seen"] == newest
    wait_until(lambda: not any(one.is_running() for one in family), seconds=150, what="no process left of the first")


def test_a_second_interrupt_ends_at_once(jobs, storage, run):
    process = jobs.start("search", str(TINY), f"storage.path={storage}", "name=twice", "training.total_images=12800")
    trials = storage / "twice" / "trials"
    wait_until(lambda: list(trials.glob("*/metrics.jsonl")), seconds=240, what="a report")
    process.send_signal(signal.SIGINT)
    for line in process.stderr:
        if line.startswith("Stopping:"):
            break
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - sent < 6


def test_optuna_proposes_and_repeats_rank_by_their_mean(jobs, storage, run):
    kinds = ("search.sampler=optuna", "search.trials=3", "search.seeds=2", "search.repeat_best=2")
    ended = jobs.run_tiny("search", "name=kinds", SPACE, *SHORT, *kinds, "search.scheduler=median", "--json")
    assert ended.code == 0, ended.err
    rows = ended.document["leaderboard"]
    assert [row["rank"] for row in rows] == [1, 1, 2, 2, 3]
    assert [row["trial"].endswith("-seed1") for row in rows] == [False, True, False, True, False]
    first, repeat = rows[0], rows[1]
    assert first["score_mean"] == pytest.approx((first["score"] + repeat["score"]) / 2)
    assert first["images_seen"] == repeat["images_seen"]
    assert first["within_noise"] == "yes"
    best = RunFolder.open(storage / "kinds").best()
    assert best["score"]["value"] == min(row["score"] for row in rows)


def test_a_population_copies_its_best_and_trains_with_the_changed_rates(jobs, storage, run):
    space = f"search.space={{{RATE}: {{grid: [1.0e-7, 1.0e-3]}}}}"
    kinds = ("search.scheduler=pbt", "search.trials=1", "search.quantile=0.5", "training.total_images=1920")
    arguments = (str(TINY), f"storage.path={storage}", "name=population", space, *kinds)
    process = jobs.start("search", *arguments, "evaluation.every_images=640")
    population = storage / "population" / "population.json"
    wait_until(population.exists, seconds=300, what="the first generation's exploits")
    process.kill()
    process.communicate(timeout=60)
    ended = jobs.run("search", *arguments, "evaluation.every_images=640", "--json")
    assert ended.code == 0, ended.err
    found = RunFolder.open(storage / "population")
    assert {row["state"] for row in found.leaderboard()} == {"finished"}
    copied = 0
    for trial in found.trials():
        for line in trial.lineage():
            after = [row for row in trial.metrics() if row["images_seen"] > line["images_seen"]]
            wanted = line["changed"].get(RATE, [None, None])[1]
            assert after
            if wanted is not None:
                assert after[0]["generator_lr"] == wanted
            copied += 1
    assert copied >= 1
