"""deploy/kuberay: what of it can be checked without a Kubernetes; fields were read against KubeRay's own types."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ruamel.yaml import YAML

from framework.config import load_experiment, parse_overrides

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kuberay"
FILES = ["raycluster.yaml", "rayjob.yaml"]


def documents(name):
    return list(YAML(typ="safe", pure=True).load_all(FOLDER / name))


@pytest.fixture
def job():
    (document,) = documents("rayjob.yaml")
    return document


@pytest.fixture
def claim():
    (document,) = (each for each in documents("raycluster.yaml") if each["kind"] == "PersistentVolumeClaim")
    return document


@pytest.fixture
def ray_version():
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    return next(line.removeprefix("ray==") for line in constraints if line.startswith("ray=="))


@pytest.fixture(params=FILES)
def cluster(request):
    """The cluster that either file asks for."""
    spec = documents(request.param)[0]["spec"]
    return spec.get("rayClusterSpec", spec)


def pods(cluster):
    return [group["template"]["spec"] for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]]


def containers(cluster):
    return [container for pod in pods(cluster) for container in pod["containers"]]


def test_the_ray_is_that_of_the_constraints(cluster, ray_version):
    assert cluster["rayVersion"] == ray_version
    for container in containers(cluster):
        assert f"ray:{ray_version}-" in container["image"] or container["image"].startswith("latentscape:")


def test_a_token_is_asked_for(cluster):
    assert cluster["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_published(name):
    everything = str(documents(name))
    assert "'serviceType': 'ClusterIP'" in everything
    for way_out in ("hostPort", "hostNetwork", "LoadBalancer", "NodePort", "Ingress"):
        assert way_out not in everything


def test_start_parameters_and_quantities_are_strings_as_kubernetes_wants_them(cluster, claim):
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    for container in containers(cluster):
        # Kubernetes takes no GPU whose limit and request differ.
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert all(isinstance(value, str) for value in container["resources"]["limits"].values())
    assert all(isinstance(value, str) for value in claim["spec"]["resources"]["requests"].values())


def test_every_mount_has_its_volume_and_its_claim_is_made(cluster, claim):
    for pod in pods(cluster):
        volumes = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]}
        assert set(volumes.values()) == {claim["metadata"]["name"]}
        assert {mount["name"] for each in pod["containers"] for mount in each["volumeMounts"]} == set(volumes)


def test_rays_autoscaler_reads_gpu_workers_that_scale_from_none(cluster):
    config = _derive_autoscaling_config_from_ray_cr(
        {"metadata": {"name": "latentscape", "namespace": "default"}, "spec": cluster}
    )
    workers = config["available_node_types"]["gpu"]
    assert workers["min_workers"] == 0 < workers["max_workers"]
    assert workers["resources"]["GPU"] == 1
    assert "GPU" not in config["available_node_types"]["headgroup"]["resources"]
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["workerGroupSpecs"][0]["replicas"] == 0


def test_pods_do_not_restart_in_place_so_idle_ones_can_go(cluster):
    # KubeRay sets restartPolicy: Never only where v2 is named, and refuses another one there.
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert all("restartPolicy" not in pod for pod in pods(cluster))


def test_names_are_such_as_kuberay_takes(job):
    # One that is too long or no DNS label is refused; a RayJob's gets 6 more characters as its cluster's.
    for document, longest in ((documents("raycluster.yaml")[0], 53), (job, 47)):
        name = document["metadata"]["name"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
        assert len(name) <= longest


def test_a_cluster_is_kept_after_its_job_only_if_it_then_goes(job):
    assert job["spec"]["shutdownAfterJobFinishes"] is True  # or KubeRay refuses the seconds
    assert job["spec"]["ttlSecondsAfterFinished"] >= 0
    assert job["spec"]["backoffLimit"] >= 0


def test_the_job_is_one_that_there_is(job):
    python, switch, module, config, *overrides = shlex.split(job["spec"]["entrypoint"])
    assert (python, switch) == ("python", "-m")
    assert importlib.import_module(module).JOB.takes == "CONFIG"
    experiment = load_experiment(ROOT / config, parse_overrides(overrides))
    for pod in pods(job["spec"]["rayClusterSpec"]):
        (mount,) = pod["containers"][0]["volumeMounts"]
        for path in (experiment.data.path, experiment.storage.path):
            assert path
            assert Path(path).is_relative_to(mount["mountPath"])


def test_the_comments_name_what_the_files_make(job, ray_version):
    cluster_text, job_text = ((FOLDER / name).read_text() for name in FILES)
    name = documents("raycluster.yaml")[0]["metadata"]["name"]
    assert f"port-forward service/{name}-head-svc 8265:8265" in cluster_text
    assert f"get secret {name} " in cluster_text
    assert f"logs -f job/{job['metadata']['name']} " in job_text
    assert f"FROM rayproject/ray:{ray_version}-" in job_text
    (submitted,) = re.findall(r'ARGS="(.*)"', cluster_text)
    assert submitted.split() == shlex.split(job["spec"]["entrypoint"])[4:]
    working_dir = YAML(typ="safe", pure=True).load(job["spec"]["runtimeEnvYAML"])["working_dir"]
    assert f"COPY --chown=ray . {working_dir}\n" in job_text
