"""A cluster that is there: attached to, and submitted to."""

import shlex
import shutil
import subprocess
import sys

import pytest

from framework.runs import RunFolder
from tests.conftest import missing
from tests.ray.conftest import RAY, ROOT, SECONDS, wait_until


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


CONNECT = """
from framework.errors import ClusterError
from framework.orchestration.cluster.connect import connect

try:
    with connect("no token", verbose=False, say=print):
        pass
except ClusterError as fault:
    print(fault)
"""


@pytest.mark.parametrize(
    ("changed", "which"),
    [({"RAY_AUTH_TOKEN": "0" * 64}, "of RAY_AUTH_TOKEN"), ({"RAY_AUTH_MODE": "disabled"}, "none")],
)
def test_a_wrong_token_is_one_line(cluster, changed, which):
    environment = {**cluster.environment, **changed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CONNECT]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    address = cluster.environment["RAY_ADDRESS"]
    assert missing(ended.stdout, address, f"token ({which}") == [], ended.stderr
    assert len(ended.stdout.splitlines()) == 1
    assert "gcs_client" not in ended.stderr


def test_a_submitted_job_leaves_its_results_where_it_was_told(cluster, storage, run):
    """`ray job submit`, as the README has it; by its variable a job knows that it was, and where results may lie."""
    overrides = ["data.limit=600", "model.width=8", "training.batch_size=32", "training.total_images=640",
                 "training.report_every_images=640", "evaluation.every_images=640", "evaluation.trial_samples=256",
                 "assessor.images=2000", "assessor.width=8", "assessor.attributes=[glasses, smiling]",
                 "search.trials=1", "name=submitted", f"storage.path={storage}"]  # fmt: skip
    search = shlex.join(["python", "-m", "jobs.search", "configs/demo.yaml", *overrides])
    entrypoint = f'test -n "$RAY_JOB_CONFIG_JSON_ENV_VAR" && {search}'
    command = [RAY, "job", "submit", "--working-dir", ".", "--", "sh", "-c", entrypoint]
    tried = []

    def taken():  # Ray takes jobs some seconds after its nodes are there
        environment = cluster.environment
        tried.append(
            subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS)
        )
        return "No available agent" not in tried[-1].stderr

    wait_until(taken, what="a cluster that takes jobs")
    assert tried[-1].returncode == 0, tried[-1].stdout + tried[-1].stderr
    (row,) = RunFolder.open(storage / "submitted").leaderboard()
    assert (row["state"], row["images_seen"]) == ("finished", 640)
