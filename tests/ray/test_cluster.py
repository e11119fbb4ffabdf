"""A cluster that is there: attached to, submitted to, spread over two nodes."""

import shlex
import shutil
import signal
import subprocess
import sys

import pytest

from framework.runs import RunFolder
from tests.ray.conftest import RAY, ROOT, SECONDS, TINY, Jobs, interrupt, wait_until


def test_a_job_attaches_trains_on_both_nodes_and_saves_when_it_is_asked_to_terminate(cluster, attached, storage, run):
    arguments = (f"storage.path={storage}", "name=spread", "training.total_images=12800000")
    process = attached.start("train", str(TINY), *arguments)
    homes = set()

    def on_two_nodes_with_a_score():
        assert process.poll() is None, process.communicate()[1]
        actors = cluster.listed("actors", state="ALIVE")
        homes.update(actor["node_id"] for actor in actors if "RayTrainWorker" in actor["class_name"])
        return len(homes) == 2 and (storage / "spread" / "best.json").exists()

    wait_until(on_two_nodes_with_a_score, what="a score of workers on two nodes")
    err = interrupt(process, RunFolder.open(storage / "spread").trial("single"), signal.SIGTERM)
    assert "Ray: the cluster at" in err
    assert "2 nodes" in err
    assert err.splitlines()[-1].startswith("interrupted; to go on: python -m jobs.train ")


def test_a_second_call_does_nothing_twice_also_where_the_run_was_moved_to(attached, storage, run):
    shutil.copytree(run.folder.location, storage / "again")
    copy = RunFolder.open(storage / "again")
    before = results(copy)
    again = attached.run_tiny("pipeline", "name=again", "--json")
    assert again.code == 0, again.err
    assert "Plan:" not in again.err
    assert results(copy) == before


def results(run):
    """Every file of a run that holds results."""
    names = [name for name in run.folder.files() if name.startswith(("trials/", "artifacts/"))]
    return {name: run.folder.read_bytes(name) for name in (*names, "scores.json", "best.json", "leaderboard.csv")}


def test_a_wrong_token_is_one_line(cluster, storage, run):
    here = Jobs(storage, {**cluster.environment, "RAY_AUTH_TOKEN": "0" * 64})
    ended = here.run_tiny("search", "name=wrong-token")
    assert ended.code == 2
    address = cluster.environment["RAY_ADDRESS"]
    last = ended.err.splitlines()[-1]
    assert last.startswith(f"error: the Ray cluster at {address} does not take this token (of RAY_AUTH_TOKEN)")
    assert "gcs_client" not in ended.err


CONNECT = """
from framework.errors import ClusterError
from framework.orchestration.cluster.connect import connect

try:
    with connect("no token", verbose=False, say=print):
        pass
except ClusterError as fault:
    print(fault)
"""


def test_no_token_is_one_line(cluster):
    environment = {**cluster.environment, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CONNECT]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    address = cluster.environment["RAY_ADDRESS"]
    assert ended.stdout.startswith(f"the Ray cluster at {address} does not take this token (none)"), ended.stderr
    assert "gcs_client" not in ended.stderr


@pytest.fixture(scope="module")
def submitted(cluster, storage, run):
    """`ray job submit` of two pipelines, as the README has it; the second begins where the first was refused."""
    overrides = [f"storage.cache_path={storage}/.cache", "data.limit=600", "model.width=8", "training.batch_size=32",
                 "training.total_images=640", "training.report_every_images=640", "evaluation.every_images=640",
                 "evaluation.samples=256", "evaluation.trial_samples=256", "assessor.images=2000", "assessor.width=8",
                 "assessor.attributes=[glasses, smiling]", "search.trials=1", "latents.candidates=512",
                 "name=submitted"]  # fmt: skip
    pipeline = shlex.join(["python", "-m", "jobs.pipeline", "configs/demo.yaml", *overrides])
    both = f"{pipeline} || {pipeline} {shlex.quote(f'storage.path={storage}')}"
    command = [RAY, "job", "submit", "--working-dir", ".", "--", "sh", "-c", both]
    tried = []

    def taken():  # Ray takes jobs some seconds after its nodes are there
        environment = cluster.environment
        tried.append(
            subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS)
        )
        return "No available agent" not in tried[-1].stderr

    wait_until(taken, what="a cluster that takes jobs")
    return tried[-1]


def test_a_submitted_job_leaves_its_results_where_it_was_told(submitted, storage):
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert (storage / "submitted" / "report.html").stat().st_size > 100_000


def test_a_submitted_job_refuses_a_storage_path_that_would_vanish(submitted):
    assert "storage.path: ./runs would vanish with this submitted job" in submitted.stdout + submitted.stderr
