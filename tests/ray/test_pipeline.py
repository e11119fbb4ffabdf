"""The whole job, as `make demo` runs it, at its smallest."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import framework
from framework.runs import RunFolder
from tests.conftest import missing, numbers
from tests.ray.conftest import RAY_SESSIONS, SECRETS, TINY, Jobs, secret_of


def test_one_json_document_and_where_ray_runs(piped, run):
    assert piped.document["run"] == run.folder.location
    assert any(line.startswith("Ray:") and socket.gethostname() in line for line in piped.err.splitlines())
    trials, at_a_time, waiting, workers = numbers(piped.err, "Plan:")[:4]
    assert (trials, at_a_time, waiting, workers) == (2, 1, 1, 2)
    assert piped.out.count("\n{") == 0


def test_no_login_is_written_anywhere(piped, run, storage, tmp_path):
    """Not into the run, its export, the cache, the console, or the folder of Ray's session, which outlives the job."""
    secret = secret_of(storage)
    command = [sys.executable, "-m", "jobs.export", run.folder.location, str(tmp_path / "given")]
    exported = subprocess.run(command, env=os.environ | dict.fromkeys(SECRETS, secret), capture_output=True, text=True)
    assert exported.returncode == 0, exported.stderr
    assert secret not in piped.out + piped.err + exported.stdout + exported.stderr

    def places_with(text):
        found = subprocess.run(
            ["grep", "-rasFl", "--devices=skip", text, *map(str, places)], capture_output=True, text=True
        ).stdout.splitlines()
        return {place for place in places if any(name.startswith(f"{place}/") for name in found)}

    places = [storage, tmp_path / "given", RAY_SESSIONS]
    assert places_with("dcgan") >= {storage, tmp_path / "given"}  # what is there, is found
    assert places_with("raylet") >= {RAY_SESSIONS}
    assert places_with(secret) == set()


def test_run_holds_what_the_readme_says(run):
    names = set(run.folder.list())
    expected = {"experiment.yaml", "run.json", "leaderboard.csv", "best.json", "scores.json", "artifacts", "trials"}
    assert names >= expected | {"report.html"}
    made = {"samples.png", "interpolation.png", "interpolation.json", "sheet.png", "sheet_latents.safetensors"}
    made |= {"corners.png", "loop.gif", "loop.mp4"}
    assert set(run.artifacts.list()) >= made | {"arithmetic.png", "arithmetic.json"}
    assert "ray" not in names  # Ray's own records: pickles, and paths of this machine
    for trial in run.trials():
        assert set(trial.folder.list()) >= {"params.json", "state.json", "metrics.jsonl", "checkpoints", "samples"}
        assert any(name.startswith("events.out.tfevents") for name in trial.folder.list())


def test_the_best_checkpoint_wins_not_the_last(run):
    best, rows = run.best(), run.leaderboard()
    every = {
        (trial.id, row["images_seen"]): row["score"]["value"]
        for trial in run.trials()
        for row in trial.metrics()
        if "score" in row
    }
    assert min(every.values()) == best["score"]["value"] == rows[0]["score"]
    assert every[best["trial"], best["images_seen"]] == best["score"]["value"]
    assert (run.folder / best["checkpoint"]).exists("manifest.json")


def test_trials_were_searched_and_one_ended_as_it_should(run):
    assert len(run.trials()) == 2
    assert {trial.state["state"] for trial in run.trials()} <= {"finished", "stopped"}
    assert all(set(trial.params) == {"optimizer.generator_lr", "model.latent_size"} for trial in run.trials())
    assert max(row["images_seen"] for row in run.leaderboard()) == 2560


def test_every_score_travels_with_its_protocol(run):
    scores = [*run.scores(), run.best()["score"]]
    families = ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage")
    families += ("memorisation", "diversity", "frechet_distance")
    assert [score["metric"] for score in scores] == [f"assessor_{family}" for family in families]
    assert [score["protocol"]["fake"]["count"] for score in scores] == [512] * 8 + [256]
    assert all(score["protocol"]["real"]["digest"] == run.about["data"]["digest"] for score in scores)


def test_real_images_go_through_the_extractor_once(run, storage):
    """Moments that trials are scored with come from the features that the final scores need."""
    cache = storage / ".cache"
    pairs = [
        (cache / "features" / f"{moments.stem}.npy", moments) for moments in cache.glob("statistics/*.safetensors")
    ]
    ages = [(rows.stat().st_mtime_ns, moments.stat().st_mtime_ns) for rows, moments in pairs if rows.exists()]
    assert ages
    assert all(rows < moments for rows, moments in ages)


def test_the_arithmetic_was_measured_by_the_other_assessor(run):
    document = json.loads(run.artifacts.read_text("arithmetic.json"))
    assert document["expression"] == "glasses - no_glasses + smiling"
    protocol = document["protocol"]
    assert protocol["finder"] != protocol["measurer"]
    assert protocol["repeats"] >= 100


def test_tensorboard_compares_trials_at_once(run):
    for trial in run.trials():
        events = EventAccumulator(trial.folder.location, size_guidance={"images": 0}).Reload()
        assert {"score", "best_score", "images_per_second", "generator_lr"} <= set(events.Tags()["scalars"])
        assert "samples" in events.Tags()["images"]
        told = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        content = HParamsPluginData.FromString(told).session_start_info
        assert {name: value.number_value for name, value in content.hparams.items()} == pytest.approx(trial.params)
        scores = [row["score"]["value"] for row in trial.metrics() if "score" in row]
        assert events.Scalars("best_score")[-1].value == pytest.approx(min(scores))


def test_a_run_can_be_moved(run, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(run.folder.location, moved)
    here, there = framework.load_generator(run.folder.location), framework.load_generator(moved)
    latents = here.sample_latents(5, 0)
    np.testing.assert_array_equal(here.images(latents), there.images(latents))
    assert run.folder.location not in (moved / "best.json").read_text() + (moved / "leaderboard.csv").read_text()


@pytest.mark.slow
def test_more_trials_are_added_to_a_search_that_had_ended(jobs, run):
    before = {trial.id: trial.folder.read_text("metrics.jsonl") for trial in run.trials()}
    more = jobs.run_tiny("search", "search.trials=3", "--json")
    assert more.code == 0, more.err
    assert numbers(more.err, "Plan:")[-1] == 2  # have ended already
    assert len(run.trials()) == 3
    assert all(run.trial(name).folder.read_text("metrics.jsonl") == text for name, text in before.items())


@pytest.mark.slow
def test_a_trial_ended_early_gives_its_cores_back_beside_another_ray(jobs, run):
    """Train's cleaner once took the other Ray's address, died of it, and the next trial waited for ever."""
    start = "import ray; ray.init(address='local', num_cpus=1, log_to_driver=False); print('up', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", start], env=jobs.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    # After 40 steps a generator is still worse than one that has not moved (960 to 154): the second trial is ended.
    space = "search.space={optimizer.generator_lr: {grid: [1.0e-8, 2.0e-3, 1.0e-3]}}"
    short = ("search.trials=1", "training.total_images=1920", "search.grace_images=1280")
    try:
        assert other.stdout.readline() == "up\n"
        ended = jobs.run_tiny("search", "name=early", space, *short, "--json")
    finally:
        other.communicate("\n", timeout=60)
    assert ended.code == 0, ended.err
    states = {row["optimizer.generator_lr"]: row["state"] for row in ended.document["leaderboard"]}
    assert states[1e-8] == "finished"
    assert states[2e-3] == "stopped"
    assert states[1e-3] in ("finished", "stopped")


@pytest.mark.slow  # tests/ray/test_crews.py holds any crew to the same bits
def test_evaluate_gives_the_same_with_another_number_of_workers(jobs, run):
    by_two = run.scores()  # of the pipeline: an actor a core
    run.folder.delete("scores.json")
    overrides = ("evaluation.workers=1", "evaluation.feature_batch_blocks=1")
    ended = jobs.run("evaluate", f"{run.folder.location}/{by_two[0]['checkpoint']}", *overrides, "--json")
    assert ended.code == 0, ended.err
    assert ended.document["scores"] == by_two


@pytest.mark.slow
def test_every_checkpoint_is_scored_once_and_compared(jobs, run):
    arguments = ("evaluate", run.folder.location, "evaluation.checkpoints=all", "evaluation.metrics=[kid, recall]")
    first = jobs.run(*arguments, "--json")
    assert first.code == 0, first.err
    checkpoints = [f"trials/{trial.id}/checkpoints/{name}" for trial in run.trials() for name in names_of(trial)]
    assert [score["checkpoint"] for score in first.document["scores"][::2]] == checkpoints
    scores = Path(run.folder.location) / "scores.json"
    written = scores.stat().st_mtime_ns
    again = jobs.run(*arguments)
    assert again.code == 0, again.err
    assert scores.stat().st_mtime_ns == written  # all there
    for checkpoint in checkpoints:
        assert checkpoint.split("/")[1] in again.err
    compared = jobs.run("compare", *(f"{run.folder.location}/{checkpoint}" for checkpoint in checkpoints[:2]))
    assert compared.code == 0, compared.err
    assert "assessor_kernel_distance" in compared.out.splitlines()[0]
    assert len(compared.out.split("\n\n")[0].splitlines()) == 3
    left = {path.suffix for path in (Path(run.folder.location).parent / ".cache" / "features").glob("*.part")}
    assert not left


def names_of(trial):
    return [name for name in trial.checkpoints.list() if name.isdigit()]


@pytest.mark.slow
def test_results_may_lie_in_a_bucket(jobs, run, storage, s3_location):
    keys = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    here = Jobs(storage, {**jobs.environment, **keys, "AWS_EC2_METADATA_DISABLED": "true"})
    arguments = (f"storage.path={s3_location.format('runs')}", f"storage.cache_path={storage}/.cache", "name=remote")
    ended = here.run("pipeline", str(TINY), *arguments, "search.trials=1", "training.total_images=640", "--json")
    assert ended.code == 0, ended.err
    remote = RunFolder.open(s3_location.format("runs/remote"))
    assert ended.document["run"] == remote.folder.location
    assert set(remote.folder.list()) == set(run.folder.list())
    assert set(remote.artifacts.list()) == set(run.artifacts.list())
    (trial,) = remote.trials()
    assert [row["images_seen"] for row in trial.metrics()] == [0, 320, 640]
    assert any(name.startswith("events.out.tfevents") for name in trial.folder.list())
    generator = framework.load_generator(remote.folder.location)
    assert generator.images(generator.sample_latents(2, 0)).shape == (2, 32, 32, 3)


@pytest.mark.slow
def test_bfloat16_features_say_what_they_move_or_are_refused(jobs, shared_data, tmp_path):
    """Which of both depends on the machine: on some it is emulated."""
    for name, seed in (("real", 0), ("fake", 1)):
        (tmp_path / name).mkdir()
        for number, pixels in enumerate(np.random.default_rng(seed).integers(0, 256, (40, 32, 32, 3), np.uint8)):
            Image.fromarray(pixels // (1 + seed)).save(tmp_path / name / f"{number:02d}.png")
    weights = shared_data / "weights" / "inception-2015-12-05-to-mixed6e.pth"
    arguments = ("evaluate", str(tmp_path / "real"), str(tmp_path / "fake"), f"evaluation.weights={weights}",
                 "evaluation.tap=64", "evaluation.metrics=[fid, recall]", "evaluation.workers=2", "--json")  # fmt: skip
    exact = {score["metric"]: score for score in jobs.run(*arguments).document["scores"]}
    ended = jobs.run(*arguments, "evaluation.precision=bfloat16")
    if ended.code == 2:
        assert ended.err.splitlines()[-1].startswith("error: evaluation.precision: bfloat16 ")
        return
    fid, recall = ended.document["scores"]
    assert fid["protocol"]["precision"] == "features bfloat16, moments float64"
    told = fid["detail"]["shift"]
    # All 40 images of a side are fewer than the 500 it takes, so it tells the scores themselves.
    assert (told["images"], told["float32"]) == (40, pytest.approx(exact["fid40_64"]["value"], rel=1e-9))
    assert told["bfloat16"] == pytest.approx(fid["value"], rel=1e-9) == pytest.approx(told["float32"], rel=0.05)
    assert recall["detail"]["shift"]["bfloat16"] == recall["value"]
    (line,) = (line for line in ended.err.splitlines() if f"{told['bfloat16']:.5g}" in line and "float32" in line)
    assert missing(line, "bfloat16", 40, f"{told['float32']:.5g}") == []
