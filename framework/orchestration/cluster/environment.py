"""Environment variables that Ray reads, and those that all our processes on the cluster get."""

import json
import os
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from framework.config import TelemetryConfig
from framework.config.code import ALLOWED

# Ray reads these when it starts or when its libraries are imported.
QUIET = {"RAY_AIR_NEW_OUTPUT": "0", "RAY_DEDUP_LOGS": "1", "TQDM_DISABLE": "1"}
NEEDED = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # we handle interrupts ourselves, with exit status 130
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # one more process per trial, whose warnings are not used here
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # reports reach the driver in 0.5 s, not 2 s
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # TensorBoard would show each trial twice
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
_TUNING = ("NCCL_", "GLOO_", "TORCH_", "PYTORCH_", "CUBLAS_")  # communication and arithmetic of PyTorch

_GLOO = "GLOO_SOCKET_IFNAME"
_LOOPBACK = ("lo", "lo0")  # on Linux and on macOS

_AZURE_KEYS = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET")
_GOOGLE_KEYS = ("GOOGLE_APPLICATION_CREDENTIALS",)
_STORAGE_KEYS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "gs": _GOOGLE_KEYS,
    "gcs": _GOOGLE_KEYS,
    "abfs": _AZURE_KEYS,
    "abfss": _AZURE_KEYS,
}
_MLFLOW_KEYS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_WANDB_KEYS = ("WANDB_API_KEY",)


def worker_environment(address: str) -> dict[str, str]:
    """Environment variables that this process sends to all our processes on a cluster that it attaches to.

    No key or password is among them, because Ray writes what it sends to logs that everyone on a node can read.
    Variables that the job was submitted with are left out: Ray sends these itself and refuses duplicates.

    Args:
        address: The address of the cluster.
    """
    names = ("LATENTSCAPE_CACHE", ALLOWED, "AWS_DEFAULT_REGION", "AWS_REGION")
    passed = {name: os.environ[name] for name in names if name in os.environ}
    tuned = {name: value for name, value in os.environ.items() if name.startswith(_TUNING)}
    ours = {**NEEDED, **passed, **tuned, "RAY_ADDRESS": address}
    return {name: value for name, value in ours.items() if name not in _submitted()}


def embedded_environment(address: str | None) -> dict[str, str]:
    """What processes of an embedded Ray get besides this process's variables, all of which they inherit.

    Args:
        address: Its address, on loopback; None if Ray chooses the address itself.
    """
    if address is None:
        return {}
    variables = {"RAY_ADDRESS": address}
    interface = next((name for _, name in socket.if_nameindex() if name in _LOOPBACK), None)
    if interface and _GLOO not in os.environ:  # else gloo listens at the address that this machine's name resolves to
        variables[_GLOO] = interface
    return variables


def storage_keys(location: str) -> list[str]:
    """The variables of this process that may hold the keys to a storage location."""
    return _present(_STORAGE_KEYS.get(urlsplit(location).scheme, ()))


def tracker_keys(telemetry: TelemetryConfig) -> list[str]:
    """The variables of this process that may hold the keys to the experiment trackers."""
    mlflow = _MLFLOW_KEYS if telemetry.mlflow else ()
    wandb = _WANDB_KEYS if telemetry.wandb == "online" else ()
    return _present((*mlflow, *wandb))


def _present(names: Sequence[str]) -> list[str]:
    return [name for name in names if os.environ.get(name)]


def _submitted() -> dict[str, str]:
    """The `env_vars` of `ray job submit`, if it started this process."""
    environment = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")).get("runtime_env") or {}
    return environment.get("env_vars") or {}
