"""Logins in URIs are found in whatever way they are written, and never repeated."""

import pytest

from framework.config import Experiment, experiment_from_text, to_yaml, with_overrides
from framework.config.secrets import login_fault, without_logins
from framework.errors import ConfigError, StorageError
from framework.storage import open_folder

WITH_LOGIN = [
    "https://alice:S3cret@mlflow.corp.example/",
    "HTTPS://alice:S3cret@mlflow",
    "https://S3cret@mlflow",  # a token as the user
    "https://alice%3AS3cret@mlflow",
    "https://alice:S3/cret@mlflow",  # not escaped as it should be
    "https://alice:S3 cret@mlflow",
    "  http://alice:S3cret@mlflow",
    "s3://KEY:S3cret@bucket/runs",
    "s3://S3cret@bucket",
    "s3://bucket/runs?secret_key=S3cret&region=eu",
    "gs://bucket/runs?access_token=S3cret",
    "abfss://:S3cret@account.blob.core.windows.net/runs",
    "abfss://container:S3cret@account.dfs.core.windows.net/runs",
    "abfs://account.blob.core.windows.net/c?sv=2022&sig=S3cret",
    "https://account.blob.core.windows.net/c?SIG=S3cret",
    "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=S3cret",
    "https://host/#access_token=S3cret",
    "postgresql+psycopg2://alice:S3cret@db/mlflow",
    "ftp://alice:S3cret@host/faces",
    "file://alice:S3cret@host/faces",
    "models: https://alice:S3cret@host",
]
WITHOUT = [
    "sqlite:///mlflow.db",
    "http://mlflow.corp.example:5000/base",
    "http://[::1]:5000",
    "s3://bucket/runs/a@b?endpoint_override=127.0.0.1:9000&scheme=http&region=eu",
    "gs://anonymous@bucket/runs",
    "abfss://container@account.dfs.core.windows.net/runs?credential_kind=environment",
    "hdfs://alice@namenode:8020/runs",
    "postgresql://alice@db/mlflow?sslmode=require",
    "file:///home/alice/runs",
    "/home/a:b@c/runs",
    "databricks://profile",
]


@pytest.mark.parametrize("uri", WITH_LOGIN)
def test_a_login_is_refused_and_not_repeated(uri):
    fault = login_fault(uri)
    assert fault
    assert "S3" not in fault.replace("s3", "")
    assert "KEY:" not in fault
    for key in ("telemetry.mlflow", "storage.path", "data.path", "latents.start"):
        with pytest.raises(ConfigError) as refused:
            with_overrides(Experiment(), {key: [uri] if key == "latents.start" else uri})
        assert refused.value.faults == (f"{key}: {fault}",)
    with pytest.raises(ConfigError) as refused:  # of another kind than the key's, next to a key with other faults
        experiment_from_text(
            f"seed: '{uri}'\ntelemetry: {{wandb: '{uri}'}}\nmodel: {{entry: '{uri}'}}", source="c.yaml"
        )
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("uri", WITHOUT)
def test_other_uris_are_accepted(uri):
    assert login_fault(uri) is None
    assert without_logins(f"at {uri}") == f"at {uri}"
    assert uri in to_yaml(with_overrides(Experiment(), {"telemetry.mlflow": uri}))


def test_the_variable_that_works_is_named():
    named = {
        "https://a:b@c": "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        "s3://a:b@c": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "abfss://:b@c": "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
        "postgresql+psycopg2://a:b@c": "PGPASSWORD",
    }
    assert all(f"set {variables} instead" in str(login_fault(uri)) for uri, variables in named.items())


def test_a_folder_with_a_login_is_not_opened():
    with pytest.raises(StorageError) as refused:
        open_folder("abfss://:S3cret@account.blob.core.windows.net/runs")
    assert "S3cret" not in str(refused.value)


def test_a_login_is_left_out_of_what_is_shown():
    assert without_logins("no answer from 'https://alice:S3cret@m/x', retry") == "no answer from 'https://…', retry"


@pytest.mark.parametrize("text", ["x" * 1_000_000, "9" * 1_000_000, "a://" * 250_000, "a://b?c" * 100_000])
def test_long_texts_are_searched_once(text):
    """What looks at each letter of the rest of a text takes hours."""
    assert login_fault(text) is None
    assert without_logins(text) == text
    assert login_fault(text + "s3://KEY:S3cret@bucket") is not None
