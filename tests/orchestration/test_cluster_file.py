"""cluster.yaml is what Ray's cluster launcher takes."""

import shlex
from pathlib import Path

import pytest
from ray.autoscaler._private.util import hash_runtime_conf, prepare_config, validate_config
from ruamel.yaml import YAML

from framework.config import load_experiment, parse_overrides

FILE = Path(__file__).parents[2] / "cluster.yaml"


@pytest.fixture
def launcher_config():
    return YAML(typ="safe", pure=True).load(FILE)


def test_it_is_valid_by_rays_own_schema(launcher_config):
    validate_config(prepare_config(launcher_config))


def test_gpu_workers_scale_from_none(launcher_config):
    workers = launcher_config["available_node_types"]["gpu_worker"]
    assert workers["min_workers"] == 0
    assert workers["max_workers"] > 0


def test_the_command_in_its_comment_asks_for_what_it_may_become(launcher_config):
    lines = [line.removeprefix("#").strip() for line in FILE.read_text().splitlines() if line.startswith("#")]
    command = " ".join(lines).replace("\\ ", "").partition("python -m jobs.pipeline ")[2].partition(" ray down")[0]
    config, *overrides = shlex.split(command)
    experiment = load_experiment(FILE.parent / config, parse_overrides(overrides))
    workers = launcher_config["available_node_types"]["gpu_worker"]
    assert experiment.compute.gpus_per_worker == experiment.compute.workers == 1  # g5.2xlarge has one
    assert experiment.search.concurrent == workers["max_workers"]


def test_the_image_has_the_ray_of_the_constraints(launcher_config):
    constraints = (FILE.parent / "constraints.txt").read_text().splitlines()
    version = next(line.removeprefix("ray==") for line in constraints if line.startswith("ray=="))
    assert f"ray:{version}-" in launcher_config["docker"]["image"]


def test_the_dashboard_listens_on_loopback_only(launcher_config):
    start = " ".join(launcher_config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in start


def test_all_nodes_get_one_token_and_ask_for_it(launcher_config, tmp_path, monkeypatch):
    assert launcher_config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for start in ("head_start_ray_commands", "worker_start_ray_commands"):
        (command,) = (each for each in launcher_config[start] if "ray start" in each)
        assert command.startswith("RAY_AUTH_MODE=token ray start ")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"\.ray/auth_token"):  # `ray up` on a machine without a token
        hash_runtime_conf({"~/.ray/auth_token": "~/.ray/auth_token"}, None, {"home": str(tmp_path)})


@pytest.mark.parametrize("page", ["README.md", "docs/cluster.md", "cluster.yaml"])
def test_no_instruction_starts_an_open_cluster(page):
    lines = (FILE.parent / page).read_text().splitlines()
    starts = [line for line in lines if "ray start --head" in line or "ray start --address" in line]
    commands = [line for line in starts if "`" not in line]  # the others are sentences
    assert commands
    assert all("RAY_AUTH_MODE=token ray start" in line for line in commands)
    assert any("ray get-auth-token --generate" in line for line in lines)
