"""MLflow and Weights & Biases by their own libraries, into local stores; neither may cost a training."""

import json

import pytest

from framework.config import Experiment, with_overrides
from framework.errors import ConfigError
from framework.runs import RunFolder
from framework.telemetry.trackers import Trackers, check_trackers
from framework.telemetry.writer import numbers

pytestmark = pytest.mark.long

ROWS = [
    {"images_seen": 64, "generator_loss": 1.5, "accuracy_real": None, "score": {"metric": "fid1k_768", "value": 3.0}},
    {"images_seen": 128, "generator_loss": 1.25},
]


def tracked(tmp_path, rows, log, **telemetry):
    overrides = {f"telemetry.{name}": value for name, value in telemetry.items()}
    experiment = with_overrides(Experiment(), {"name": "faces", "storage.path": str(tmp_path / "runs"), **overrides})
    trial = RunFolder.create(experiment, []).trial("000-ab12")
    folder = tmp_path / "runs" / "faces" / "trials" / "000-ab12"
    folder.mkdir(parents=True, exist_ok=True)
    trackers = Trackers(experiment, trial, parameters={"model.latent_size": 64}, folder=folder, log=log)
    for row in rows:
        trackers.write(numbers(row), images_seen=row["images_seen"])
    trackers.close()
    return folder


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's own queries
def test_mlflow_has_a_run_a_trial_and_goes_on_in_it(tmp_path):
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracked(tmp_path, ROWS[:1], pytest.fail, mlflow=uri)
    tracked(tmp_path, ROWS[1:], pytest.fail, mlflow=uri)
    client = MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("faces").experiment_id])
    assert run.info.run_name == "000-ab12"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model.latent_size": "64"}
    losses = client.get_metric_history(run.info.run_id, "generator_loss")
    assert [(metric.step, metric.value) for metric in losses] == [(64, 1.5), (128, 1.25)]
    assert [m.value for m in client.get_metric_history(run.info.run_id, "fid1k_768")] == [3.0]


def test_wandb_offline_lies_in_the_trials_folder(tmp_path):
    folder = tracked(tmp_path, ROWS, pytest.fail, wandb="offline")
    (run,) = (folder / "wandb").glob("offline-run-*")
    assert run.name.endswith("faces-000-ab12")
    (kept,) = run.glob("*.wandb")
    assert b"generator_loss" in kept.read_bytes()


def test_a_server_that_does_not_answer_is_said_once_and_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said = []
    tracked(tmp_path, ROWS, said.append, mlflow="http://127.0.0.1:9")
    assert len(said) == 1
    assert said[0].startswith("telemetry.mlflow: ")


def test_without_any_nothing_is_imported_or_written(tmp_path):
    assert sorted(path.name for path in tracked(tmp_path, ROWS, pytest.fail).iterdir()) == []


def test_a_package_that_is_not_there_is_said_before_anything_starts(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    wanted = with_overrides(Experiment(), {"telemetry.mlflow": "x", "telemetry.wandb": "offline"})
    with pytest.raises(ConfigError) as fault:
        check_trackers(wanted)
    assert json.dumps(fault.value.faults).count("pip install") == 2
    check_trackers(Experiment())
