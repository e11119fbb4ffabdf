"""Trainings that cannot go on: one line each, no restart, nothing held on to."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ray.conftest import ROOT, SECONDS


@pytest.fixture(scope="module")
def failed(attached, tmp_path_factory):
    """What measure_failing.py found."""
    overcommit = Path("/proc/sys/vm/overcommit_memory")
    if overcommit.exists() and overcommit.read_text().strip() == "1":
        # The test would not fail but fill the memory of a machine that other work runs on.
        pytest.skip("this machine's kernel promises any amount of memory, and a batch too large would take it all")
    script, folder = Path(__file__).with_name("measure_failing.py"), tmp_path_factory.mktemp("failing")
    command = [sys.executable, str(script), str(folder), str(folder / "found.json")]
    environment = {**attached.environment, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    return json.loads((folder / "found.json").read_text())


def test_one_rank_without_memory_ends_all_and_none_is_begun_again(failed):
    one = failed["rank 1"]  # rank 0 waited for it in an all-reduce
    assert one["kind"] == "WorkerGroupError"
    assert "rank 1 alone" in one["text"]
    assert one["workers_started"] == 2


def test_a_batch_that_no_machine_holds_fails_its_trial_with_a_line_that_names_the_keys(failed):
    one = failed["too large"]
    assert one["state"] == "failed"
    error = one["document"]["error"]
    assert error.startswith("out of memory: ")
    for key in ("training.batch_size=", "2 workers", "compute.images_per_pass=", "compute.workers"):
        assert key in error
    assert "\n" not in error
    assert one["workers_started"] == 2


def test_workers_that_cannot_talk_give_their_cores_back(failed):
    """gloo is told of a network interface that is not there; the trial after it needs the cores that this one had."""
    one = failed["no group"]
    assert one["kind"] == "ControllerError"
    assert "process group" in one["text"]
    assert "no-such-interface" in one["text"]
    assert one["workers_started"] == 2
    assert failed["too large"]["workers_started"] == 2
