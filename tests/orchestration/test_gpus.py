"""Only GPUs that PyTorch can compute on count, and of the others one line is said."""

import json

import pytest
import torch
from ray.runtime_env.runtime_env import _merge_runtime_env

from framework.orchestration.cluster.connect import planned_cluster
from framework.orchestration.cluster.environment import worker_environment
from framework.orchestration.cluster.gpus import LocalGpus, has_code_for, is_usable, local_gpus, node_gpus
from framework.orchestration.pool.tasks import TaskResources
from tests.conftest import missing


def node(kind=None, gpus=1.0):
    """As ray.nodes() describes one."""
    resources = {"CPU": 8.0, "GPU": gpus, "node:10.0.0.3": 1.0}
    return {
        "NodeManagerAddress": "10.0.0.3",
        "Resources": {**resources, **({f"accelerator_type:{kind}": 1.0} if kind else {})},
    }


@pytest.mark.parametrize("kind", ["M1", "M3-Max", "M2-Ultra", "Apple-Silicon", "Intel-GPU-Max-1550"])
def test_what_is_no_cuda_card_does_not_count(kind):
    counted, said = node_gpus(node(kind))
    assert counted == 0
    assert missing(said, 1, "10.0.0.3", f"({kind})", "CUDA") == []


@pytest.mark.parametrize("kind", ["H100", "A10G", "T4", "M60", "GeForce-RTX-4090", "AMD-Instinct-MI300X-OAM", None])
def test_other_nodes_gpus_count_by_rays_word(kind):
    """A head without a GPU is none that PyTorch could look at."""
    assert node_gpus(node(kind, gpus=8.0)) == (8.0, "")


def test_of_this_node_only_those_that_pytorch_finds_here():
    old = LocalGpus(0, 2, "A100", "The NVIDIA driver on your system is too old (found version 11040)")
    counted, said = node_gpus(node("A100", gpus=2.0), here=old)
    assert counted == 0
    assert missing(said, 2, "10.0.0.3", "(A100)", old.reason) == []
    assert node_gpus(node("A100", gpus=2.0), here=LocalGpus(2, 2, "A100")) == (2.0, "")
    # Ray was told to use fewer than there are.
    assert node_gpus(node("A100", gpus=1.0), here=LocalGpus(2, 2, "A100")) == (1.0, "")
    assert node_gpus(node(None, gpus=0.0), here=LocalGpus(0)) == (0.0, "")


def test_the_line_is_one_and_empty_where_all_are_used():
    assert LocalGpus(2, 2, "A100").line == ""
    assert LocalGpus(0).line == ""
    line = LocalGpus(0, 1, "M1-Pro", "as said").line
    assert missing(line, "GPUs:", 1, "(M1-Pro)", "as said") == []
    assert "\n" not in line


def test_what_is_found_here_is_what_torch_finds():
    gpus = local_gpus()
    if not torch.cuda.is_available():
        assert gpus.usable == 0
        assert gpus.reason
        assert "\n" not in gpus.line
    assert planned_cluster().gpus == gpus.usable <= torch.cuda.device_count()
    assert planned_cluster().unused == gpus.line


def test_the_installed_wheel_has_code_for_what_the_docs_name():
    wheel = torch._C._cuda_getArchFlags()  # torch.cuda.get_arch_list gives none without a card
    if not wheel:
        # PyTorch's wheels for Macs and for CPUs alone have no code for any GPU, so there is nothing to compare.
        pytest.skip("this PyTorch is built without CUDA")
    built = wheel.split()
    assert not has_code_for((7, 0), built)  # V100
    assert all(has_code_for(card, built) for card in [(7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)])


def test_a_cpu_is_no_usable_gpu_and_a_card_that_torch_does_not_find_neither():
    assert not is_usable("cpu")
    assert is_usable("cuda:0") == (local_gpus().usable > 0)
    assert not is_usable("cuda:0") or torch.zeros(1, device="cuda:0").add(1).item() == 1


def test_a_task_that_shares_its_callers_gpus_is_told_so():
    variables = TaskResources(workers=1, shared_gpus="1,2").options()["runtime_env"]["env_vars"]
    assert variables["CUDA_VISIBLE_DEVICES"] == "1,2"
    assert variables["LATENTSCAPE_SHARED_GPUS"] == "1"
    assert "runtime_env" not in TaskResources(workers=1).options()


def test_what_tunes_pytorch_reaches_workers_and_nothing_else_does(monkeypatch):
    names = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "TORCH_NCCL_BLOCKING_WAIT", "PYTORCH_CUDA_ALLOC_CONF",
             "CUBLAS_WORKSPACE_CONFIG", "TORCH_HOME")  # fmt: skip
    for name in (*names, "CUDA_VISIBLE_DEVICES", "SECRET"):
        monkeypatch.setenv(name, "x")
    passed = worker_environment("10.0.0.1:6379")
    assert all(passed[name] == "x" for name in names)
    assert not {"CUDA_VISIBLE_DEVICES", "SECRET"} & passed.keys()


def test_what_a_job_was_submitted_with_is_not_sent_twice(monkeypatch):
    """Ray refuses to begin a job whose driver names one of its variables again."""
    submitted = {"env_vars": {"NCCL_DEBUG": "INFO", "AWS_REGION": "eu-west-1", "RAY_ADDRESS": "10.0.0.9:6379"}}
    for name, value in {**submitted["env_vars"], "NCCL_IB_HCA": "mlx5"}.items():
        monkeypatch.setenv(name, value)  # as a driver has them
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    alone = worker_environment("10.0.0.1:6379")
    assert alone["NCCL_DEBUG"] == "INFO"
    assert alone["RAY_ADDRESS"] == "10.0.0.1:6379"
    assert _merge_runtime_env(submitted, {"env_vars": alone}) is None

    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"runtime_env": submitted, "metadata": {}}))
    merged = _merge_runtime_env(submitted, {"env_vars": worker_environment("10.0.0.1:6379")})
    assert merged is not None
    assert merged["env_vars"] == {**alone, **submitted["env_vars"]}
    for empty in ({}, {"runtime_env": None}, {"runtime_env": {"env_vars": None}}):
        monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(empty))
        assert worker_environment("10.0.0.1:6379") == alone
