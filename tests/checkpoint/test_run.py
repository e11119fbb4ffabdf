"""RUN's layout: all of it relative, so that it can be moved; refusals before anything is overwritten."""

import csv
import importlib.metadata
import io
import json
import os
import platform
import shutil
import zipfile
from pathlib import Path

import pytest

from framework.checkpoint import load_generator
from framework.config import Experiment, StorageConfig, with_overrides
from framework.errors import CheckpointError, ConfigError
from framework.runs import RunFolder, cache_folder
from framework.storage import open_folder
from tests.conftest import missing

SCORE = {"metric": "fid5k_768", "value": 12.5, "protocol": {"features": "inception", "fake": 5000}}


def test_a_run_is_found_again_as_it_was(make_run, location):
    run = make_run(**{"search.trials": 3}).folder
    assert run.folder.location == (open_folder(location) / "faces").location
    again = RunFolder.open(run.folder.location)
    assert with_overrides(again.experiment, {"storage.path": location}) == run.experiment
    assert again.about["command"] == ["python", "-m", "jobs.train"]
    assert again.about["ended"] is None
    assert (again.trials(), again.best(), again.leaderboard(), again.scores()) == ([], None, [], [])


def test_run_json_tells_the_machine_and_the_versions(make_run):
    about = make_run().folder.about
    assert about["versions"]["torch"] == importlib.metadata.version("torch")
    assert about["versions"]["python"] == platform.python_version()
    assert {"latentscape", "ray"} <= about["versions"].keys()
    assert about["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert about["machine"]["processor"]
    assert isinstance(about["machine"]["gpus"], list)


def test_notes_add_to_run_json_and_a_second_call_keeps_the_beginning(make_run):
    run = make_run().folder
    begun = run.about["started"]
    run.note(warnings=["one"], data={"digest": "d", "images": 9}, loss=float("nan"))
    assert run.about["loss"] is None
    again = make_run(**{"search.trials": 9}).folder
    assert again.about["started"] == begun
    assert again.about["data"] == {"digest": "d", "images": 9}
    assert RunFolder.open(run.folder.location).experiment.search.trials == 9


def test_a_run_with_other_settings_is_refused_and_left_alone(make_run, location):
    made = make_run()
    made.folder.note(data={"digest": "a" * 64})
    make_run(**{"optimizer.beta1": 0.0})  # no checkpoint yet: free to change
    made = make_run()
    made.save("a", 1)
    before = made.folder.folder.read_text("experiment.yaml")
    with pytest.raises(CheckpointError) as fault:
        make_run(**{"optimizer.beta1": 0.0, "training.ema_half_life_images": 0})
    facts = ("optimizer.beta1", 0.5, 0.0, "training.ema_half_life_images", 10000, 0)
    assert missing(str(fault.value), *facts) == []
    assert "\n" not in str(fault.value)
    assert made.folder.folder.read_text("experiment.yaml") == before
    with pytest.raises(CheckpointError, match=r"data: .*a{12}….* b{12}…"):
        RunFolder.create(made.folder.experiment, [], data={"digest": "b" * 64})
    make_run(**{"training.total_images": 9, "compute.workers": 2, "evaluation.samples": 32})
    searched = {"optimizer.beta1": 0.0, "search.space": {"optimizer.beta1": {"choice": [0.0, 0.5]}}}
    make_run(**searched)


def test_a_folder_that_is_no_run_is_said(location):
    with pytest.raises(CheckpointError, match=r"runs.*: .*experiment\.yaml"):
        RunFolder.open(location)


def test_a_run_can_be_moved_and_zipped(make_run, tmp_path):
    made = make_run()
    checkpoint = made.save("a", 64, value=1.0)
    run = made.folder
    run.write_best({"trial": "a", "checkpoint": "trials/a/checkpoints/000000000064", "images_seen": 64, "score": SCORE})
    digest = load_generator(checkpoint.folder.location).digest
    with zipfile.ZipFile(tmp_path / "run.zip", "w") as archive:
        for name in run.folder.files():
            archive.writestr(name, run.folder.read_bytes(name))
    run.folder.delete()
    target = tmp_path / "elsewhere" / "renamed"
    shutil.unpack_archive(tmp_path / "run.zip", target)
    assert load_generator(target).digest == digest
    moved = RunFolder.open(target)
    assert (moved.experiment.name, moved.experiment.storage.path) == ("renamed", str(tmp_path / "elsewhere"))
    assert load_generator(moved.folder.location + "/" + moved.best()["checkpoint"]).images_seen == 64
    shutil.move(target, tmp_path / "a name with spaces")
    assert RunFolder.open(tmp_path / "a name with spaces").experiment.name == "faces"


def test_the_leaderboard_is_csv_that_anyone_reads(make_run):
    run = make_run().folder
    row = {
        "rank": 1,
        "trial": "0001",
        "model.latent_size": 32,
        "optimizer.generator_lr": 1.0000000000000002e-4,
        "score": 12.5,
        "score_images_seen": 128_000,
        "state": "finished",
        "warnings": 'a, "b"; c\nd',
        "error": None,
    }
    failed = {"rank": 2, "trial": "0002", "model.latent_size": 64, "state": "failed", "error": "out of memory"}
    run.write_leaderboard([row, failed])
    names = [
        *("rank", "trial", "model.latent_size", "optimizer.generator_lr", "score", "score_images_seen", "last_score"),
        *("images_seen", "images_per_second", "state", "warnings", "error"),
    ]
    text = run.folder.read_text("leaderboard.csv")
    assert next(csv.reader(io.StringIO(text, newline=""))) == names
    empty = dict.fromkeys(names)
    assert run.leaderboard() == [empty | row, empty | failed]
    run.write_leaderboard([])
    assert run.leaderboard() == []


def test_scores_are_replaced_by_their_protocol(make_run):
    run = make_run().folder
    first = {**SCORE, "checkpoint": "trials/a/checkpoints/000000000064"}
    other = {**SCORE, "protocol": {**SCORE["protocol"], "fake": 1000}, "checkpoint": first["checkpoint"]}
    elsewhere = {**SCORE, "checkpoint": "trials/b/checkpoints/000000000064"}
    run.add_scores([first, other])
    run.add_scores([elsewhere, {**first, "value": 11.0}])
    assert [score["value"] for score in run.scores()] == [11.0, 12.5, 12.5]
    assert json.loads(run.folder.read_text("scores.json")) == {"scores": run.scores()}


def test_a_trial_keeps_its_settings_state_and_samples(make_run):
    run = make_run().folder
    trial = run.trial("0001")
    assert (trial.params, trial.state, trial.metrics(), trial.samples()) == ({}, {}, [], [])
    trial.write_params({"optimizer.generator_lr": 1e-4})
    trial.write_state(state="failed", error="loss is NaN", loss=float("nan"))
    assert trial.state == {"state": "failed", "error": "loss is NaN", "loss": None}
    trial.write_state(state="running")
    assert trial.state == {"state": "running"}
    trial.write_sample(128_000, b"later")
    trial.write_sample(64_000, b"earlier")
    assert trial.samples() == ["samples/000000064000.png", "samples/000000128000.png"]
    again = RunFolder.open(run.folder.location).trials()
    assert [found.id for found in again] == ["0001"]
    assert again[0].params == {"optimizer.generator_lr": 1e-4}


def test_metrics_of_a_lost_life_are_left_out(make_run):
    trial = make_run().folder.trial("0001")
    for images_seen in (100, 200, 300):
        trial.append_metrics({"images_seen": images_seen, "life": 1, "loss": float("inf")})
    trial.folder.append_text("metrics.jsonl", '{"images_seen": 400, "li\n')  # killed while writing
    for images_seen in (200, 300):
        trial.append_metrics({"images_seen": images_seen, "life": 2})
    rows = [(row["images_seen"], row["life"]) for row in trial.metrics()]
    assert rows == [(100, 1), (200, 2), (300, 2)]
    assert trial.metrics()[0]["loss"] is None


def test_a_score_stands_in_the_row_of_its_checkpoint_whenever_it_comes(make_run):
    trial = make_run().folder.trial("0001")
    for images_seen in (100, 200, 300):
        trial.append_metrics({"images_seen": images_seen, "loss": 1.0})
    for images_seen, value in ((100, 3.0), (250, 2.0), (300, 1.0), (100, 4.0)):  # 250: killed before its report
        trial.append_score({"images_seen": images_seen, "score": {"metric": "fid", "value": value, "protocol": {}}})
    rows = [(row["images_seen"], row.get("loss"), row.get("score", {}).get("value")) for row in trial.metrics()]
    assert rows == [(100, 1.0, 4.0), (200, 1.0, None), (250, None, 2.0), (300, 1.0, 1.0)]
    trial.forget_scores_past(250)  # a life begins anew there
    trial.append_metrics({"images_seen": 260})
    assert [row["images_seen"] for row in trial.metrics() if "score" in row] == [100, 250]
    assert [row["images_seen"] for row in trial.metrics()] == [100, 200, 250, 260]


@pytest.mark.parametrize("path", ["./runs", "runs"])
def test_a_submitted_job_refuses_storage_that_would_vanish(monkeypatch, path):
    experiment = with_overrides(Experiment(), {"storage.path": path})
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(ConfigError) as fault:
        RunFolder.create(experiment, [])
    assert str(fault.value).startswith(f"storage.path: {path} ")
    assert "\n" not in str(fault.value)


def test_a_submitted_job_takes_storage_that_stays(monkeypatch, make_run):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert make_run().folder.folder.exists("run.json")


def test_the_cache_lies_beside_the_runs_or_at_home(monkeypatch, tmp_path):
    monkeypatch.delenv("LATENTSCAPE_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    at = lambda **values: cache_folder(StorageConfig(**values))  # noqa: E731
    assert at() == tmp_path / "runs" / ".cache"
    assert at(path="~/r") == tmp_path / "r" / ".cache"
    assert at(path=Path(tmp_path / "r").as_uri()) == tmp_path / "r" / ".cache"
    assert at(path="s3://bucket/runs") == tmp_path / ".cache" / "latentscape"
    monkeypatch.setenv("LATENTSCAPE_CACHE", str(tmp_path / "shared"))
    assert at() == at(path="s3://bucket/runs") == tmp_path / "shared"
    assert at(cache_path="~/mine") == tmp_path / "mine"
    with pytest.raises(ConfigError, match=r"storage\.cache_path: .*folder"):
        at(cache_path="s3://bucket/cache")
