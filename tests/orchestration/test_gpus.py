"""Only GPUs that PyTorch can compute on count, and of the others one line is said."""

import pytest
import torch

from framework.orchestration.cluster import planned_cluster
from framework.orchestration.environment import worker_environment
from framework.orchestration.gpus import LocalGpus, has_code_for, local_gpus, node_gpus
from framework.orchestration.shards import TaskResources


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
    assert said == f"1 of node 10.0.0.3 ({kind}) not used: PyTorch computes on CUDA here"


@pytest.mark.parametrize("kind", ["H100", "A10G", "T4", "M60", "GeForce-RTX-4090", "AMD-Instinct-MI300X-OAM", None])
def test_other_nodes_gpus_count_by_rays_word(kind):
    """A head without a GPU is none that PyTorch could look at."""
    assert node_gpus(node(kind, gpus=8.0)) == (8.0, "")


def test_of_this_node_only_those_that_pytorch_finds_here():
    old = LocalGpus(0, 2, "A100", "The NVIDIA driver on your system is too old (found version 11040)")
    counted, said = node_gpus(node("A100", gpus=2.0), here=old)
    assert counted == 0
    assert said == f"2 of node 10.0.0.3 (A100) not used: {old.reason}"
    assert node_gpus(node("A100", gpus=2.0), here=LocalGpus(2, 2, "A100")) == (2.0, "")
    # Ray was told to use fewer than there are.
    assert node_gpus(node("A100", gpus=1.0), here=LocalGpus(2, 2, "A100")) == (1.0, "")
    assert node_gpus(node(None, gpus=0.0), here=LocalGpus(0)) == (0.0, "")


def test_the_line_is_one_and_empty_where_all_are_used():
    assert LocalGpus(2, 2, "A100").line == ""
    assert LocalGpus(0).line == ""
    assert LocalGpus(0, 1, "M1-Pro", "PyTorch, built for CPUs, finds none").line == (
        "GPUs: 1 of this machine (M1-Pro) not used: PyTorch, built for CPUs, finds none"
    )


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
        pytest.skip("this PyTorch is built without CUDA")
    built = wheel.split()
    assert not has_code_for((7, 0), built)  # V100
    assert all(has_code_for(card, built) for card in [(7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)])


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
    passed = worker_environment()
    assert all(passed[name] == "x" for name in names)
    assert not {"CUDA_VISIBLE_DEVICES", "SECRET"} & passed.keys()
