"""A generator of the user's own, its module in the current directory alone, on Ray workers."""

import functools
import subprocess
import sys

import numpy as np
import pytest

from framework.checkpoint import as_generator
from framework.latents.directions.direction import load_direction
from framework.runs import RunFolder
from tests.conftest import missing
from tests.ray.conftest import ROOT, SECONDS, TINY, Ended

MINE = '''
"""Three layers with weights that are the same in every process."""

import torch
from torch import nn

class Net(nn.Module):
    latent_size = 12

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(12, 8, 8)
        self.on = nn.ConvTranspose2d(8, 3, 4, stride=4)
        random = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(std=0.4, generator=random)

    def forward(self, latents):
        return self.on(self.up(latents[:, :, None, None]).relu()).tanh()

class Drawn:
    """The same without its network."""

    def __init__(self):
        self._net = Net()
        self.latent_size = 12

    @torch.no_grad()
    def images(self, latents):
        made = self._net(torch.from_numpy(latents))
        return ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
'''


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A user's own folder: neither our code nor anything that is installed."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "mine_on_ray.py").write_text(MINE)
    return folder


def called(here, storage, environment, name, subject, *arguments) -> Ended:
    """A job run there, as a user does who has the project installed."""
    command = [sys.executable, "-m", f"jobs.{name}", str(subject), f"storage.path={storage}", *arguments, "--json"]
    environment = {**environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=SECONDS)
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def call(attached, here, storage):
    return functools.partial(called, here, storage, attached.environment)


@pytest.fixture(scope="module")
def ours(here):
    """The same generator in this process."""
    made: dict = {}
    exec((here / "mine_on_ray.py").read_text(), made)
    return as_generator(made["Net"]())


@pytest.fixture(scope="module")
def scores(call, here, run):
    """Of its run, which begins so, at two truncations."""
    metrics = ("evaluation.metrics=[fid, precision, recall]", "evaluation.truncation=[1.0, 0.5]")
    scored = call("evaluate", TINY, "name=foreign", "model.entry=mine_on_ray:Net", "evaluation.workers=1", *metrics)
    assert scored.code == 0, scored.err
    assert missing(scored.err, "mine_on_ray:Net", str(here / "mine_on_ray.py")) == []  # whose code is run
    return scored.document["scores"]


@pytest.fixture(scope="module")
def score(scores):
    """Its distance at ψ = 1."""
    (score,) = (each for each in scores if each["metric"].endswith("frechet_distance"))
    return score


def test_it_is_scored_like_any_other(ours, scores, score, storage):
    assert (score["checkpoint"], score["generator"]) == ("entry:mine_on_ray:Net", ours.digest)
    assert RunFolder.open(storage / "foreign").scores() == scores


def test_its_figure_over_psi_shows_the_scores(scores, storage):
    artifacts = RunFolder.open(storage / "foreign").artifacts
    assert artifacts.read_bytes("truncation.png").startswith(b"\x89PNG")
    shown = [
        [point["truncation"], point["frechet_distance"], point["precision"], point["recall"]]
        for point in artifacts.read_json("truncation.json")["points"]
    ]
    values = [score["value"] for score in scores]  # in ascending order of ψ
    assert shown == [[0.5, *values[:3]], [1.0, *values[3:]]]
    assert values[0] != values[3]


@pytest.mark.slow  # that it can be called on Ray the score shows; what SeFa finds, tests/latents/test_layers.py
def test_directions_are_those_of_its_first_layer(call, ours, score, storage):
    settings = ("model.entry=mine_on_ray:Net", "latents.directions.method=sefa", "latents.directions.components=2")
    found = call("discover", storage / "foreign", *settings)
    assert found.code == 0, found.err
    assert found.document["directions"] == ["sefa_1.safetensors", "sefa_2.safetensors"]
    first = load_direction(RunFolder.open(storage / "foreign").directions, "sefa_1.safetensors")
    assert first.generator == ours.digest
    weight = ours.network.up.weight.flatten(1).T.double().numpy()
    assert abs(np.linalg.svd(weight)[2][0] @ first.vector) > 0.9999


@pytest.mark.slow
def test_an_object_is_the_same_generator_in_every_process(call, score):
    scored = call("evaluate", TINY, "name=drawn", "model.entry=mine_on_ray:Drawn", "evaluation.metrics=[fid]")
    assert scored.code == 0, scored.err
    (of_object,) = scored.document["scores"]
    assert of_object["value"] == pytest.approx(score["value"], rel=1e-3)


@pytest.mark.slow
def test_a_cluster_s_nodes_are_sent_the_module(empty_cluster, may_mount, here, storage):
    empty_cluster.start(cores=1, hidden=here)
    settings = (
        "name=sent",
        "model.entry=mine_on_ray:Net",
        "latents.directions.method=sefa",
        "latents.directions.components=1",
    )
    found = called(here, storage, empty_cluster.environment, "discover", TINY, *settings)
    assert found.code == 0, found.err
    assert any(line.startswith("Ray:") and "1 node" in line for line in found.err.splitlines())
    assert found.document["directions"] == ["sefa_1.safetensors"]
