"""Environment variables: those that Ray reads, and those that every process of ours on the cluster gets."""

import json
import os

# Ray reads these when it starts or when its libraries are imported.
QUIET = {"RAY_AIR_NEW_OUTPUT": "0", "RAY_DEDUP_LOGS": "1", "TQDM_DISABLE": "1"}
NEEDED = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # an interrupt is ours to answer, with exit 130
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process a trial, whose warnings nobody here would read
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # reports reach the driver in 0.5 s, not 2 s
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # TensorBoard would show each trial twice
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
_TUNING = ("NCCL_", "GLOO_", "TORCH_", "PYTORCH_", "CUBLAS_")  # how PyTorch talks and computes: for every process alike


def worker_environment(address: str | None) -> dict[str, str]:
    """Environment variables every process of ours on the cluster gets from this one.

    Those that a job was submitted with are not among them: Ray sends these itself, and refuses what is named twice.

    Args:
        address: Of the cluster; None where Ray has yet to choose it.
    """
    names = ("LATENTSCAPE_CACHE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    passed = {name: os.environ[name] for name in (*names, "AWS_DEFAULT_REGION", "AWS_REGION") if name in os.environ}
    tuned = {name: value for name, value in os.environ.items() if name.startswith(_TUNING)}
    ours = {**NEEDED, **passed, **tuned} | ({"RAY_ADDRESS": address} if address else {})
    return {name: value for name, value in ours.items() if name not in _submitted()}


def _submitted() -> dict[str, str]:
    """The `env_vars` of `ray job submit`, where this process was begun by it."""
    environment = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")).get("runtime_env") or {}
    return environment.get("env_vars") or {}
