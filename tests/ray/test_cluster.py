"""A cluster that is there: attached to, and submitted to."""

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from framework.runs import RunFolder
from tests.conftest import missing
from tests.ray.conftest import RAY, ROOT, SECONDS, Cluster, wait_until


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
import json, os
import ray
from framework.errors import ClusterError
from framework.orchestration.cluster.connect import connect
from framework.orchestration.cluster.environment import storage_keys
from framework.orchestration.cluster.nodes import warn_of_missing_keys

@ray.remote
class Worker:
    def planted(self):
        return sorted(value for value in os.environ.values() if value.startswith("planted-"))

try:
    with connect("a job", verbose=False, say=print) as cluster:
        warn_of_missing_keys(storage_keys("s3://bucket/runs"), cluster, print)
        worker = Worker.remote()
        print(json.dumps(ray.get(worker.planted.remote(), timeout=120)))
except ClusterError as fault:
    print(fault)
"""
AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
KEYS = {name: f"planted-{name}" for name in (*AWS, "WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "AZURE_CLIENT_SECRET")}


def connected(environment: dict[str, str]) -> list[str]:
    """The lines of a job that connects, and at its end which of KEYS its workers have, or why it was refused."""
    command = [sys.executable, "-c", CONNECT]
    environment = {**environment, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    assert "gcs_client" not in ended.stderr
    return ended.stdout.splitlines()


def with_text(folder: Path, text: str) -> set[str]:
    """The names of the files that contain it."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path.name for path in files if text.encode() in path.read_bytes()}


def submitted_by_a_stranger(cluster: Cluster) -> int:
    """The HTTP status of a job that somebody without a token submits."""
    url = cluster.environment["RAY_API_SERVER_ADDRESS"] + "/api/jobs/"
    body = json.dumps({"entrypoint": "true"}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.mark.parametrize(
    ("changed", "which"),
    [({"RAY_AUTH_TOKEN": "0" * 64}, "of RAY_AUTH_TOKEN"), ({"RAY_AUTH_MODE": "disabled"}, "none")],
)
def test_a_wrong_token_is_one_line(cluster, changed, which):
    (line,) = connected({**cluster.environment, **changed})
    address = cluster.environment["RAY_ADDRESS"]
    assert missing(line, address, f"token ({which}") == []


def test_no_token_where_one_is_wanted_is_one_line(cluster, tmp_path):
    nobody = {key: value for key, value in cluster.environment.items() if key != "RAY_AUTH_TOKEN_PATH"}
    (line,) = connected({**nobody, "HOME": str(tmp_path)})
    assert "does not accept this token (none)" in line


def test_an_attached_cluster_gets_a_token_and_no_keys(cluster):
    """The token by itself: RAY_AUTH_MODE is what `ray start` was given, and need not be set for a job."""
    unset = {key: value for key, value in cluster.environment.items() if key != "RAY_AUTH_MODE"}
    about_cluster, about_keys, planted = connected({**unset, **KEYS})
    assert about_cluster.startswith("Ray: the cluster at ")
    assert about_keys.startswith(f"{', '.join(AWS)}: this job has them, workers on 2 of 2 nodes do not")
    assert json.loads(planted) == []
    for folder in cluster.folders:
        assert with_text(folder, "planted-") == set()
    assert submitted_by_a_stranger(cluster) == 401


def test_an_embedded_ray_inherits_keys_and_writes_none_down(tmp_path):
    folder = Path(f"/tmp/latentscape-ray-{os.getpid()}-embedded")  # of a short path, for Ray's sockets
    unset = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "GLOO_"))}
    home = tmp_path / "home"
    home.mkdir()
    folder.mkdir()
    try:
        *_, planted = connected({**unset, **KEYS, "HOME": str(home), "RAY_TMPDIR": str(folder)})
        assert json.loads(planted) == sorted(KEYS.values())
        assert "runtime_env_agent.log" in with_text(folder, "GLOO_SOCKET_IFNAME")  # what is sent does lie here
        assert with_text(folder, "planted-") == set()
    finally:
        shutil.rmtree(folder)
    token = home / ".ray" / "auth_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64


def test_a_cluster_without_a_token_is_said_to_be_open_and_still_works(tmp_path):
    """Also where this machine has a token: Ray would send it, and every actor would die."""
    cluster = Cluster(tmp_path / "log", token=False)
    try:
        cluster.start(cores=1, gpus=0)
        (cluster.home / ".ray").mkdir()
        (cluster.home / ".ray" / "auth_token").write_text("0" * 64)
        address = cluster.environment["RAY_ADDRESS"]
        warning, _, planted = connected(cluster.environment)
        assert warning.startswith(f"Ray: the cluster at {address} asks for no token")
        assert json.loads(planted) == []
        (refused,) = connected({**cluster.environment, "RAY_AUTH_MODE": "token"})
        assert refused.startswith(f"RAY_AUTH_MODE=token: the Ray cluster at {address} asks for no token")
        assert submitted_by_a_stranger(cluster) == 200
    finally:
        cluster.end()


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
