"""How a run stands, read from folders whose files have known ages."""

import os
import time

import pytest

from framework.config import Experiment, with_overrides
from framework.report.status import StatusReader
from framework.runs import RunFolder
from framework.runs.lease import lease

NOW = time.time()
REPORTS = {"training.total_images": 1000, "training.report_every_images": 100}


COMMAND = ["python", "-m", "jobs.search", "faces.yaml"]


@pytest.fixture
def left(tmp_path) -> RunFolder:
    """A run that no job works on."""
    experiment = with_overrides(Experiment(), {"name": "faces", "storage.path": str(tmp_path), **REPORTS})
    return RunFolder.create(experiment, COMMAND)


@pytest.fixture
def run(left):
    """A run that a job works on."""
    with lease(left.folder, COMMAND, on_lost=pytest.fail):
        yield left


def add_trial(run, name, state, *, rows=(), seconds_ago=0.0, **more):
    trial = run.trial(name)
    trial.write_params({"model.latent_size": 6})
    trial.write_state(state=state, **more)
    for row in rows:
        trial.append_metrics(row)
    age(trial, seconds_ago)
    return trial


def age(trial, seconds_ago):
    for file in trial.folder.files():
        os.utime(f"{trial.folder.location}/{file}", (NOW - seconds_ago, NOW - seconds_ago))


def report(images_seen, value=None, rate=50.0):
    row = {"images_seen": images_seen, "images_per_second": rate}
    return row if value is None else {**row, "score": {"metric": "fid1k_768", "value": value, "protocol": {}}}


def test_a_trial_is_what_its_folder_says(run):
    rows = [report(100), report(200, 3.0), report(300, 2.0), report(400, 2.5), report(500, rate=70.0)]
    add_trial(run, "a", "running", rows=rows, seconds_ago=12)
    run.write_leaderboard([{"rank": 1, "trial": "a"}])
    status = StatusReader(run).read(now=NOW)
    (trial,) = status.trials
    assert (trial.id, trial.rank, trial.params, trial.state) == ("a", 1, {"model.latent_size": 6}, "running")
    assert (trial.images_seen, trial.total_images, trial.images_per_second) == (500, 1000, 70.0)
    assert (trial.metric, trial.score, trial.score_images_seen, trial.last_score) == ("fid1k_768", 2.0, 300, 2.5)
    assert trial.report_age_seconds == pytest.approx(12, abs=0.1)
    assert status.working
    assert {name: count for name, count in status.counts.items() if count} == {"trials": 1, "running": 1}


def test_the_leaderboard_orders_them_and_what_it_does_not_have_comes_last(run):
    for name in ("c", "a", "b", "d"):
        add_trial(run, name, "finished", rows=[report(100, 1.0)])
    run.write_leaderboard([{"rank": 1, "trial": "b"}, {"rank": 2, "trial": "a"}])
    assert [trial.id for trial in StatusReader(run).read(now=NOW).trials] == ["b", "a", "c", "d"]


@pytest.mark.parametrize(
    ("seconds_ago", "rate", "state"),
    [(290, 50.0, "running"), (310, 50.0, "silent"), (310, 1.0, "running"), (510, 1.0, "silent"), (310, None, "silent")],
)
def test_running_is_who_was_heard_within_five_minutes_or_five_reports(run, seconds_ago, rate, state):
    add_trial(run, "a", "running", rows=[report(100, rate=rate)], seconds_ago=seconds_ago)
    assert StatusReader(run).read(now=NOW).trials[0].state == state


def test_a_trial_that_goes_on_runs_though_its_last_report_is_old(run):
    trial = add_trial(run, "a", "running", rows=[report(100)], seconds_ago=9000)
    os.utime(f"{trial.folder.location}/state.json", (NOW, NOW))
    found = StatusReader(run).read(now=NOW).trials[0]
    assert (found.state, found.report_age_seconds) == ("running", pytest.approx(9000, abs=0.1))


def test_a_run_works_while_a_job_holds_it_and_says_how_to_go_on_after_that(left):
    add_trial(left, "a", "running", rows=[report(100)])
    add_trial(left, "b", "interrupted", rows=[report(100)])
    with lease(left.folder, [*COMMAND, "search.trials=2"], on_lost=pytest.fail):
        status = StatusReader(left).read(now=NOW)
        assert (status.working, status.command) == (True, "python -m jobs.search faces.yaml search.trials=2")
        assert [trial.state for trial in status.trials] == ["running", "interrupted"]
    status = StatusReader(left).read(now=NOW)
    assert (status.working, status.command) == (False, "python -m jobs.search faces.yaml")
    assert [trial.state for trial in status.trials] == ["silent", "interrupted"]


def test_what_changed_is_read_again_and_only_that(run):
    changing = add_trial(run, "a", "running", rows=[report(100)], seconds_ago=60)
    still = add_trial(run, "b", "finished", rows=[report(100)], seconds_ago=60)
    reader = StatusReader(run)
    reader.read(now=NOW)
    changing.append_metrics(report(200, 4.0))
    # Other content under the old size and time: who looks at it again would see it.
    still.folder.write_text("metrics.jsonl", still.folder.read_text("metrics.jsonl").replace("100", "900"))
    age(still, 60)
    assert [(trial.images_seen, trial.score) for trial in reader.read(now=NOW).trials] == [(200, 4.0), (100, None)]
    assert [trial.images_seen for trial in StatusReader(run).read(now=NOW).trials] == [200, 900]


def test_a_young_file_is_not_trusted_to_stay(run):
    trial = add_trial(run, "a", "running", seconds_ago=1)
    reader = StatusReader(run)
    reader.read(now=NOW)
    trial.write_state(state="stopped")  # as long as "running", and under the same second
    age(trial, 1)
    assert reader.read(now=NOW).trials[0].state == "stopped"


def test_a_restart_that_took_reports_back_is_followed(run):
    trial = add_trial(run, "a", "running", rows=[report(100, 2.0), report(200, 1.0)], seconds_ago=60)
    reader = StatusReader(run)
    assert reader.read(now=NOW).trials[0].images_seen == 200
    trial.append_metrics(report(100, 2.0))
    assert (reader.read(now=NOW).trials[0].images_seen, reader.read(now=NOW).trials[0].score) == (100, 2.0)


def test_its_own_total_is_what_a_trial_runs_to(run):
    trial = add_trial(run, "a", "pending")
    trial.write_params({"training.total_images": 640})
    assert StatusReader(run).read(now=NOW).trials[0].total_images == 640


@pytest.mark.long
def test_a_run_of_the_generator_agrees_with_its_leaderboard(make_run, tmp_path):
    run = RunFolder.open(make_run(tmp_path, trials=12, artifacts=False))
    trials = StatusReader(run).read(now=time.time()).trials
    for trial, row in zip(trials, run.leaderboard(), strict=True):
        assert (trial.rank, trial.id, trial.state) == (row["rank"], row["trial"], row["state"])
        assert (trial.score, trial.score_images_seen) == (row["score"], row["score_images_seen"])
        assert (trial.last_score, trial.images_seen) == (row["last_score"], row["images_seen"])


def test_behind_a_uri(s3_location, tmp_path):
    location = s3_location.format(f"{tmp_path.name}/runs")
    run = RunFolder.create(with_overrides(Experiment(), {"name": "faces", "storage.path": location, **REPORTS}), ["x"])
    with lease(run.folder, COMMAND, on_lost=pytest.fail):
        followed_behind_a_uri(run)
    assert StatusReader(run).read(now=time.time()).trials[0].state == "silent"


def followed_behind_a_uri(run):
    trial = run.trial("a")
    trial.write_state(state="running")
    before = time.time()
    trial.append_metrics(report(100, 3.0))
    reader = StatusReader(RunFolder.open(run.folder.location))
    now = time.time()
    found = reader.read(now=now).trials[0]
    assert (found.state, found.images_seen, found.score) == ("running", 100, 3.0)
    assert found.report_age_seconds is not None
    assert now - found.report_age_seconds >= before - 1  # S3's clock counts whole seconds
    trial.append_metrics(report(200, 2.0))
    assert reader.read(now=time.time()).trials[0].images_seen == 200
