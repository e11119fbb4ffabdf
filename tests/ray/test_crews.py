"""Who computes what, how much at a time, and whether one is killed meanwhile, moves no bit of a score."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ray.conftest import ROOT, SECONDS


@pytest.fixture(scope="module")
def measured(run, attached, tmp_path_factory):
    script, out = Path(__file__).with_name("measure_crews.py"), tmp_path_factory.mktemp("crews") / "found.json"
    command = [sys.executable, str(script), run.folder.location, str(out)]
    environment = {**attached.environment, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    return json.loads(out.read_text())


def test_moments_are_the_same_bits_for_any_crew(measured):
    assert len(measured["found"]) == 4
    assert len({digest for digest, _ in measured["found"].values()}) == 1, measured["found"]
    assert {count for _, count in measured["found"].values()} == {1100}
    assert len(measured["killed"]) == 1


def test_a_stop_flag_is_up_when_it_was_raised_and_not_when_its_keeper_is_gone(measured):
    assert measured["flags"] == [[False, False], [False, False], [True, False]]
