"""deploy/kuberay: what of it can be checked without a Kubernetes; fields were read against KubeRay's own types."""

import importlib
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from framework.config import load_experiment, parse_overrides

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kuberay"


def documents(name):
    return list(YAML(typ="safe", pure=True).load_all(FOLDER / name))


@pytest.fixture(params=["raycluster.yaml", "rayjob.yaml"])
def cluster(request):
    """The cluster that either file asks for."""
    spec = documents(request.param)[0]["spec"]
    return spec.get("rayClusterSpec", spec)


def pods(cluster):
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_the_ray_is_that_of_the_constraints(cluster):
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    version = next(line.removeprefix("ray==") for line in constraints if line.startswith("ray=="))
    assert cluster["rayVersion"] == version
    for pod in pods(cluster):
        for container in pod["template"]["spec"]["containers"]:
            assert f"ray:{version}-" in container["image"] or container["image"].startswith("latentscape:")


def test_a_token_is_asked_for_and_nothing_is_published(cluster):
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    for pod in pods(cluster):
        for container in pod["template"]["spec"]["containers"]:
            assert all("hostPort" not in port for port in container.get("ports", []))


def test_start_parameters_and_quantities_are_strings_as_kubernetes_wants_them(cluster):
    for pod in pods(cluster):
        assert all(isinstance(value, str) for value in pod["rayStartParams"].values())
        for container in pod["template"]["spec"]["containers"]:
            for kind in ("limits", "requests"):
                assert all(isinstance(value, str) for value in container["resources"][kind].values())


def test_every_mount_has_its_volume_and_its_claim_is_made(cluster):
    claims = {each["metadata"]["name"] for each in documents("raycluster.yaml") if each["kind"] != "RayCluster"}
    for pod in pods(cluster):
        spec = pod["template"]["spec"]
        volumes = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"]}
        assert set(volumes.values()) <= claims
        assert {mount["name"] for each in spec["containers"] for mount in each["volumeMounts"]} <= set(volumes)


def test_gpu_workers_scale_from_none(cluster):
    (group,) = cluster["workerGroupSpecs"]
    assert cluster["enableInTreeAutoscaling"]
    assert group["minReplicas"] == group["replicas"] == 0 < group["maxReplicas"]


def test_the_job_is_one_that_there_is():
    (job,) = documents("rayjob.yaml")
    assert len(job["metadata"]["name"]) <= 47  # KubeRay's limit
    python, switch, module, config, *overrides = shlex.split(job["spec"]["entrypoint"])
    assert (python, switch) == ("python", "-m")
    assert importlib.import_module(module).JOB.takes == "CONFIG"
    experiment = load_experiment(ROOT / config, parse_overrides(overrides))
    mounts = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert any(experiment.storage.path.startswith(mount["mountPath"]) for mount in mounts)
