"""What a job sends to its workers, and the keys that it never sends."""

import pytest

from framework.config import TelemetryConfig
from framework.orchestration.cluster.environment import (
    embedded_environment,
    storage_keys,
    tracker_keys,
    worker_environment,
)

KEYS = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"),
    *("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_KEY", "WANDB_API_KEY", "HF_TOKEN"),
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "RAY_AUTH_TOKEN"),
)


def test_no_key_is_sent_to_workers(monkeypatch):
    for name in KEYS:
        monkeypatch.setenv(name, "planted")
    sent = worker_environment("10.0.0.1:6379") | embedded_environment("127.0.0.1:6379")
    assert "planted" not in sent.values()


@pytest.mark.parametrize(
    ("location", "telemetry", "wanted"),
    [
        ("s3://bucket/runs", {}, KEYS[:2]),  # AWS_SESSION_TOKEN is not set
        ("gs://bucket/runs", {}, KEYS[3:4]),
        ("abfss://container@account/runs", {}, KEYS[4:7]),
        ("/mnt/shared", {}, ()),
        ("/mnt/shared", {"mlflow": "https://mlflow.example", "wandb": "offline"}, KEYS[10:13]),
        ("/mnt/shared", {"wandb": "online"}, ("WANDB_API_KEY",)),
    ],
)
def test_the_keys_that_storage_and_trackers_may_want(monkeypatch, location, telemetry, wanted):
    for name in KEYS:
        monkeypatch.setenv(name, "planted")
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    assert (*storage_keys(location), *tracker_keys(TelemetryConfig(**telemetry))) == wanted


def test_gloo_of_an_embedded_ray_stays_on_loopback_unless_an_interface_is_named(monkeypatch):
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    assert embedded_environment("127.0.0.1:6379")["GLOO_SOCKET_IFNAME"] in ("lo", "lo0")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth0")
    assert "GLOO_SOCKET_IFNAME" not in embedded_environment("127.0.0.1:6379")  # it is inherited
