"""The measurements for a card: what can be held to an answer without one."""

import json
import time

import pytest
import torch

from benchmarks.gpu import kernels
from benchmarks.gpu.bench import Bench, Stage
from benchmarks.gpu.cases import CASES
from benchmarks.gpu.memory import META, _Held, step_bytes
from framework.config import Experiment, with_overrides
from framework.models import build_companion, build_generator

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


def test_what_is_held_counts_storages_from_birth_to_death():
    with _Held() as held:
        one = torch.empty(256, device=META)
        view = one.view(16, 16)
        two = one + 1
        assert (held.now, held.most) == (2048, 2048)
        del one, view
        assert held.now == 1024
        two = two * 2  # old and new, for a moment
        assert (held.now, held.most) == (1024, 2048)


def test_a_step_holds_its_activations_a_pass_at_a_time():
    """What stays: weights, gradients, two moments, and the generator's average."""
    small = {"model.width": 8, "model.dropout": 0.0}
    whole, staying = step_bytes("dcgan 32", batch=64, **small)
    half, same = step_bytes("dcgan 32", batch=64, **small, **{"compute.images_per_pass": 32})
    double, _ = step_bytes("dcgan 32", batch=128, **small)
    assert same == staying
    model = with_overrides(Experiment(), {**CASES["dcgan 32"], **small}).model
    shape = {"resolution": 32, "channels": 3, "seed": 0}
    sizes = [sum(p.numel() for p in build(model, **shape).parameters()) for build in (build_generator, build_companion)]
    assert staying == pytest.approx(4 * (5 * sizes[0] + 4 * sizes[1]), rel=0.02)  # beside pixels, numbers, figures
    assert 0.45 < (half - staying) / (whole - staying) < 0.75
    assert (double - staying) / (whole - staying) == pytest.approx(2, abs=0.1)


def test_r1_through_a_transposed_convolution_is_r1(bench):
    kernels.penalty(bench)
    assert bench.found["R1, benchmark off"]["apart"] < 1e-5
