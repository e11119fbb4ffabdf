"""The measurements for a card: what can be held to an answer without one."""

import json
import time

import pytest
import torch

from benchmarks.gpu import kernels
from benchmarks.gpu.bench import Bench, Stage

pytestmark = pytest.mark.long


@pytest.fixture
def bench(tmp_path):
    return Bench(device=torch.device("cpu"), quick=True, out=tmp_path, weights=None)


def test_a_stage_that_fails_or_takes_too_long_leaves_the_next_ones_alone(bench, capsys):
    def fails(bench):
        raise ValueError("no such thing")

    def hangs(bench):
        time.sleep(30)

    def works(bench):
        bench.told("works", "it does", milliseconds=3.5)

    bench.run([Stage(fails, 10), Stage(hangs, 1.2), Stage(works, 10)], name="found", seconds=60)
    found = json.loads((bench.out / "found.json").read_text())
    assert found["FAILED fails"]["text"] == "ValueError: no such thing"
    assert "CUT OFF hangs" in found
    assert found["works"] == {"text": "it does", "milliseconds": 3.5}
    assert "works: it does" in capsys.readouterr().out


def test_r1_through_a_transposed_convolution_is_r1(bench):
    kernels.penalty(bench)
    assert bench.found["R1, benchmark off"]["apart"] < 1e-5
