"""What we use of Ray's private interface is there, and where it is not the public way is taken and said."""

import importlib
import os
import subprocess
import sys

import pytest
import ray
import ray.train.torch

from framework.orchestration.cluster import ray_internals
from framework.orchestration.cluster.environment import embedded_environment
from framework.orchestration.cluster.gpus import local_gpus
from framework.orchestration.cluster.ray_internals import (
    OF_CONNECTING,
    OF_TRAINING,
    OF_TUNE,
    RENDEZVOUS,
    SENT_BY_TUNE,
    keep_keys_from_trials,
    lacking,
    listen_where_ray_does,
    trainer_class,
)
from framework.orchestration.trial.gpu_check import refuse_unusable_gpus
from tests.conftest import missing

ALL = (*OF_CONNECTING, *OF_TRAINING, RENDEZVOUS, *OF_TUNE)


@pytest.fixture
def hide(monkeypatch):
    """Deletes the attribute where it is defined; Ray is not started here, so nobody else misses it."""

    def delete(internal):
        owner, *names = importlib.import_module(internal.module), *internal.name.split(".")
        for name in names[:-1]:
            owner = getattr(owner, name)
        if isinstance(owner, type):
            owner = next(each for each in owner.__mro__ if names[-1] in vars(each))
        monkeypatch.delattr(owner, names[-1])

    trainer_class.cache_clear()
    local_gpus.cache_clear()
    yield delete
    trainer_class.cache_clear()
    local_gpus.cache_clear()


def test_the_installed_ray_lacks_nothing():
    assert lacking(ALL) == []
    assert trainer_class(refuse_unusable_gpus) is not ray.train.torch.TorchTrainer


@pytest.mark.parametrize("internal", ALL, ids=lambda internal: internal.name)
def test_what_is_missing_is_said_in_one_line_with_its_consequence(hide, internal):
    hide(internal)
    assert internal.get() is None
    (line,) = lacking(ALL)
    assert missing(line, f"Ray {ray.__version__}", internal.name, internal.without) == []


def test_a_module_that_is_gone_is_missing_too():
    internal = ray_internals.Internal("ray._private.never_was", "thing", "nothing happens")
    (line,) = lacking((internal,))
    assert missing(line, "thing", internal.without) == []


def test_what_belongs_together_is_one_line(hide):
    for internal in OF_TRAINING[:2]:
        hide(internal)
    (line,) = lacking(OF_TRAINING)
    assert missing(line, OF_TRAINING[0].name, OF_TRAINING[1].name, OF_TRAINING[0].without) == []


@pytest.mark.parametrize("internal", OF_TRAINING, ids=lambda internal: internal.name)
def test_without_any_of_the_trainer_s_parts_it_is_ray_s_own(hide, internal):
    hide(internal)
    assert trainer_class(refuse_unusable_gpus) is ray.train.torch.TorchTrainer


def test_a_training_does_without_a_rendezvous_of_its_own(hide):
    hide(RENDEZVOUS)
    assert listen_where_ray_does() is False
    assert trainer_class(refuse_unusable_gpus) is not ray.train.torch.TorchTrainer


def test_connecting_does_without(hide):
    for internal in OF_CONNECTING:
        hide(internal)
    assert ray_internals.keep_on_loopback() is False
    assert ray_internals.address_started_here() is None
    ray_internals.use_token()
    assert ray_internals.token_headers() is None
    assert ray_internals.dashboard_url() is None
    assert ray_internals.counted_gpus() is None
    gpus = local_gpus()
    assert gpus.found >= gpus.usable  # as PyTorch counts them
    assert embedded_environment(None) == {}


def test_tune_sends_no_key_to_its_trials(monkeypatch):
    names = SENT_BY_TUNE.get()
    monkeypatch.setattr("ray.tune.execution.class_cache.ENV_VARS_TO_PROPAGATE", set(names) | {"AWS_SECRET_ACCESS_KEY"})
    keep_keys_from_trials()
    assert not [name for name in SENT_BY_TUNE.get() if name.startswith("AWS_")]
    assert "RAY_CHDIR_TO_TRIAL_DIR" in SENT_BY_TUNE.get()


def test_tune_imports_no_tracker(tmp_path):
    """Importing wandb makes a temporary folder, which stays when the job is killed."""
    fit = (
        "import sys; from framework.orchestration.cluster.ray_internals import keep_trackers_unimported;"
        "keep_trackers_unimported();"
        "from ray.tune import Callback, tune; tune.air_usage.tag_callbacks([Callback()]);"
        "print([name for name in ('wandb', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", fit],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []
