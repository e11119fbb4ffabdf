"""A cluster that is there: attached to, submitted to, spread over two nodes."""

import subprocess

import pytest

from framework.runs import RunFolder
from tests.ray.conftest import RAY, ROOT, Cluster, Jobs, wait_until


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Two raylets of one core each."""
    made = Cluster(tmp_path_factory.mktemp("cluster") / "log")
    try:
        made.start(cores=1)
        made.start(cores=1)
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def cluster(nodes):
    """The environment of a job that finds them."""
    return nodes.environment


def submit(environment, *arguments):
    """`ray job submit` of the pipeline, as the README has it; Ray takes jobs some seconds after its nodes are there."""
    command = [RAY, "job", "submit", "--working-dir", ".", "--", "python", "-m", "jobs.pipeline", *arguments]
    tried = []

    def taken():
        tried.append(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400))
        return "No available agent" not in tried[-1].stderr

    wait_until(taken, seconds=60, what="a cluster that takes jobs")
    return tried[-1]


def test_a_job_attaches_and_its_workers_spread_over_both_nodes(nodes, storage, run):
    attached = Jobs(storage, nodes.environment)
    process = attached.start(
        "train", "tests/ray/tiny.yaml", f"storage.path={storage}", "name=spread", "compute.cpus_per_worker=0.9"
    )
    homes = set()

    def on_two_nodes():
        if process.poll() is None:
            actors = nodes.listed("actors", "--detail", "--filter", "state=ALIVE", "--limit=500")
            homes.update(actor["node_id"] for actor in actors if "RayTrainWorker" in actor["class_name"])
        return len(homes) == 2 or process.poll() is not None

    wait_until(on_two_nodes, seconds=200, what="workers on two nodes")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert len(homes) == 2
    assert "Ray: the cluster at" in err
    assert "2 nodes" in err
    assert RunFolder.open(storage / "spread").best() is not None


@pytest.mark.parametrize(
    ("changed", "which"),
    [({"RAY_AUTH_TOKEN": "0" * 64}, "of RAY_AUTH_TOKEN"), ({"RAY_AUTH_MODE": "disabled"}, "none")],
)
def test_a_wrong_token_is_one_line_at_once(nodes, storage, run, changed, which):
    here = Jobs(storage, {**nodes.environment, **changed})
    ended = here.run_tiny("search", "name=wrong-token")
    assert ended.code == 2
    last = ended.err.splitlines()[-1]
    assert last.startswith(
        f"error: the Ray cluster at {nodes.environment['RAY_ADDRESS']} does not take this token ({which})"
    )
    assert "gcs_client" not in ended.err


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
