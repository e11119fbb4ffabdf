"""Environment variables that Ray reads, and those that all our processes on the cluster get."""

import json
import os

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


def worker_environment(address: str | None) -> dict[str, str]:
    """Environment variables that all our processes on the cluster get from this one.

    Variables that the job was submitted with are left out: Ray sends these itself and refuses duplicates.

    Args:
        address: The address of the cluster; None if Ray has not chosen it yet.
    """
    names = ("LATENTSCAPE_CACHE", ALLOWED, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    passed = {name: os.environ[name] for name in (*names, "AWS_DEFAULT_REGION", "AWS_REGION") if name in os.environ}
    tuned = {name: value for name, value in os.environ.items() if name.startswith(_TUNING)}
    ours = {**NEEDED, **passed, **tuned} | ({"RAY_ADDRESS": address} if address else {})
    return {name: value for name, value in ours.items() if name not in _submitted()}


def _submitted() -> dict[str, str]:
    """The `env_vars` of `ray job submit`, if it started this process."""
    environment = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")).get("runtime_env") or {}
    return environment.get("env_vars") or {}
