"""A cluster that is there: attached to, submitted to, spread over two nodes."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from framework.checkpoint import RunFolder
from tests.ray.conftest import MARK, ROOT, Jobs, wait_until

RAY = str(Path(sys.executable).with_name("ray"))


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two raylets of one core each, of a Ray with its own ports and folder; ends with the module."""
    port, dashboard = free_port(), free_port()
    # Ray's sockets lie in its folder, and their paths may have 107 letters: pytest's own folders are too deep.
    # Each node has its own, as on machines of their own: in a common one the second node to unpack a submitted job's
    # code does so anew, under the first one's feet.
    folders = [Path(f"/tmp/latentscape-ray-{os.getpid()}-{node}") for node in ("head", "other")]
    environment = {**os.environ, MARK: "1", "RAY_AUTH_MODE": "token", "RAY_ADDRESS": f"127.0.0.1:{port}"}
    environment["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{dashboard}"
    environment["PATH"] = f"{Path(RAY).parent}:{environment['PATH']}"  # as in an activated .venv
    subprocess.run([RAY, "get-auth-token", "--generate"], check=True, capture_output=True, env=environment)
    common = (
        "--block",
        "--num-cpus=1",
        "--disable-usage-stats",
        "--node-ip-address=127.0.0.1",
        "--object-store-memory=200000000",
    )
    head = ("--head", f"--port={port}", f"--dashboard-port={dashboard}", f"--temp-dir={folders[0]}")
    other = (f"--address=127.0.0.1:{port}", f"--temp-dir={folders[1]}")
    log = tmp_path_factory.mktemp("cluster") / "log"
    started = []
    try:
        with log.open("w") as output:
            for arguments in (head, other):
                unset = {key: value for key, value in environment.items() if key != "RAY_ADDRESS"}
                process = subprocess.Popen([RAY, "start", *arguments, *common], env=unset, stdout=output, stderr=output)
                started.append(process)
                count = len(started)
                wait_until(lambda count=count: alive_nodes(environment) == count, seconds=120, what=f"{count} nodes")
        yield environment
    finally:
        for process in started:  # with all that came of it; `ray start` itself would take 30 s to end them in turn
            for one in (*psutil.Process(process.pid).children(recursive=True), process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait(timeout=60)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def submit(environment, *arguments):
    """`ray job submit` of the pipeline, as the README has it; Ray takes jobs some seconds after its nodes are there."""
    command = [RAY, "job", "submit", "--working-dir", ".", "--", "python", "-m", "jobs.pipeline", *arguments]
    tried = []

    def taken():
        tried.append(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400))
        return "No available agent" not in tried[-1].stderr

    wait_until(taken, seconds=60, what="a cluster that takes jobs")
    return tried[-1]


def alive_nodes(environment):
    listed = subprocess.run([RAY, "list", "nodes", "--format=json"], env=environment, capture_output=True, text=True)
    nodes = json.loads(listed.stdout) if listed.returncode == 0 and listed.stdout.startswith("[") else []
    return sum(node["state"] == "ALIVE" for node in nodes)


def test_a_job_attaches_and_its_workers_spread_over_both_nodes(cluster, storage, run):
    attached = Jobs(storage, cluster)
    process = attached.start(
        "train", "tests/ray/tiny.yaml", f"storage.path={storage}", "name=spread", "compute.cpus_per_worker=0.9"
    )
    homes = set()

    def on_two_nodes():
        if process.poll() is None:
            command = [RAY, "list", "actors", "--format=json", "--detail", "--filter", "state=ALIVE", "--limit=500"]
            listed = subprocess.run(command, env=cluster, capture_output=True, text=True)
            actors = json.loads(listed.stdout) if listed.returncode == 0 and listed.stdout.startswith("[") else []
            homes.update(actor["node_id"] for actor in actors if "RayTrainWorker" in actor["class_name"])
        return len(homes) == 2 or process.poll() is not None

    wait_until(on_two_nodes, seconds=200, what="workers on two nodes")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert len(homes) == 2
    assert "Ray: the cluster at" in err
    assert "2 nodes" in err
    assert RunFolder.open(storage / "spread").best() is not None


def test_a_submitted_job_leaves_its_results_where_it_was_told(cluster, storage, run):
    overrides = ["data.limit=600", "model.width=8", "training.batch_size=32", "training.total_images=1280",
                 "evaluation.every_images=640", "evaluation.samples=256", "evaluation.trial_samples=256",
                 "assessor.images=1000", "assessor.width=8", "search.trials=1", "latents.candidates=512",
                 "training.report_every_images=640", "name=submitted"]  # fmt: skip
    submitted = submit(cluster, "configs/demo.yaml", f"storage.path={storage}", *overrides)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert (storage / "submitted" / "report.html").stat().st_size > 100_000


def test_a_submitted_job_refuses_a_storage_path_that_would_vanish(cluster):
    submitted = submit(cluster, "configs/demo.yaml")
    assert submitted.returncode != 0
    assert "storage.path: ./runs would vanish with this submitted job" in submitted.stdout + submitted.stderr
