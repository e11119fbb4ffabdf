"""Each method through its one door, on a toy whose image is its latent and whose attributes are known planes."""

import numpy as np
import pytest
import torch
from torch import nn

from framework.config import LatentsConfig
from framework.errors import LatentsError
from framework.latents.directions.attributes import Attribute, attributes_of
from framework.latents.directions.discover import DiscoveryModels, discover
from framework.latents.directions.edits import EDITS, edits_for
from framework.latents.directions.sorted_samples import read_piles
from framework.models import sample_latents
from tests.conftest import missing

SIZE = 16
LABELS = {"smiling": None, "age": ["young", "old"]}
PLANES = np.linalg.qr(np.random.default_rng(2).normal(size=(SIZE, 3)))[0].T.astype(np.float32)
"""Of smiling, and of old (young is its opposite); the third is smiling's and old's common neighbour."""


def probabilities(latents):
    smiling, old = (1 / (1 + np.exp(-2 * latents @ plane)) for plane in PLANES[:2])
    return {"smiling": smiling, "age": np.stack([1 - old, old], axis=1)}


class Network(nn.Module):
    """A dense layer and one of maps; images are the latents themselves."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(SIZE, SIZE)
        self.up = nn.ConvTranspose2d(SIZE, SIZE, 1)
        with torch.no_grad():
            factors = np.linalg.qr(np.random.default_rng(3).normal(size=(SIZE, SIZE)))[0]
            self.dense.weight.copy_(torch.from_numpy(factors * 2.0 ** -np.arange(SIZE)[:, None]).float())
            self.dense.bias.zero_()
        self.factors = factors

    def forward(self, latents):
        return self.up(self.dense(latents)[:, :, None, None])


@pytest.fixture
def tools():
    def score(attribute):
        plane = torch.from_numpy(PLANES[0 if attribute.name == "smiling" else 1])
        sign = -1.0 if attribute.name == "young" else 1.0
        return lambda images: sign * 2 * images.flatten(1) @ plane

    network = Network()
    return DiscoveryModels(
        latent_size=SIZE,
        digest="a" * 64,
        sample=lambda n, start: sample_latents(n, SIZE, seed=0, start=start),
        assess=probabilities,
        generate=lambda z: z[:, :, None, None],
        network=network,
        score=score,
        made_of={"assessor": "b" * 64},
    )


def found_by(tools, method, shared=None, **keys):
    config = LatentsConfig(directions={"method": method, **keys}, **(shared or {}))
    return {one.name: one for one in discover(tools, config, LABELS)}


@pytest.mark.long
@pytest.mark.parametrize("method", ["difference", "interfacegan", "ganalyze"])
def test_an_assessors_attributes_are_found(tools, method):
    found = found_by(tools, method)
    assert list(found) == ["smiling", "young", "old"]
    for name, plane in (("smiling", PLANES[0]), ("old", PLANES[1]), ("young", -PLANES[1])):
        assert found[name].vector @ plane >= 0.97, name
        assert (found[name].method, found[name].generator) == (method, "a" * 64)
        assert (found[name].target, found[name].keeps_length) == (name, method == "ganalyze")
        assert found[name].settings["samples"] == 10_000
        assert found[name].made_of == {"assessor": "b" * 64}
    assert list(found_by(tools, method, attributes=["old"])) == ["old"]
    with pytest.raises(LatentsError, match="no attribute beard; known: smiling, young, old"):
        found_by(tools, method, attributes=["beard"])


def test_what_is_held_fixed_is_not_moved(tools):
    free = found_by(tools, "interfacegan", attributes=["smiling", "old"], samples=2_000, per_class=20)
    held = found_by(tools, "interfacegan", attributes=["smiling"], fixed=["old"], samples=2_000, per_class=20)
    assert abs(free["smiling"].vector @ free["old"].vector) > 1e-3
    assert abs(held["smiling_without_old"].vector @ free["old"].vector) < 1e-6


def test_a_compass_of_a_labels_file(tools, tmp_path):
    latents = sample_latents(100, SIZE, seed=0)
    order = np.argsort(latents @ PLANES[0])
    rows = [f"{k + 1},low" for k in order[:10]] + [f"{k + 1},High" for k in order[-10:]] + [f"{order[50] + 1},"]
    (tmp_path / "piles.csv").write_text("number,pile\n" + "\n".join(rows))
    (found,) = found_by(tools, "compass", sorted_samples=str(tmp_path / "piles.csv"), name="cheerful").values()
    assert (found.name, found.method) == ("cheerful", "compass")
    assert found.vector @ PLANES[0] >= 0.6


def test_a_difference_of_piles_is_that_of_their_means(tools, tmp_path):
    (tmp_path / "piles.csv").write_text("number,pile\n1,low\n2,low\n3,high\n4,high\n")
    (found,) = found_by(tools, "difference", sorted_samples=str(tmp_path / "piles.csv"), name="smiling").values()
    latents = sample_latents(4, SIZE, seed=0)
    apart = latents[2:].mean(axis=0) - latents[:2].mean(axis=0)
    assert found.vector == pytest.approx(apart / np.linalg.norm(apart), abs=1e-6)
    assert (found.target, found.settings["low"], found.settings["high"]) == ("smiling", [1, 2], [3, 4])


def test_a_signed_sum_of_groups_by_numbers_and_by_the_finder(tools):
    keys = {"name": "away", "samples": 1000, "per_class": 40}
    groups = {"mine": [3, 5]}
    shared = {"groups": groups, "arithmetic": {"expression": "mine - smiling"}}
    (found,) = found_by(tools, "difference", shared, **keys).values()
    latents = sample_latents(1000, SIZE, seed=0)
    surest = latents[np.argsort(-(latents @ PLANES[0]), kind="stable")[:40]]
    total = latents[[2, 4]].mean(axis=0) - surest.mean(axis=0)
    assert found.vector == pytest.approx(total / np.linalg.norm(total), abs=1e-5)
    assert found.settings["expression"] == "mine - smiling"
    with pytest.raises(LatentsError, match="no group 'beard'; known: mine, smiling"):
        found_by(tools, "difference", {"groups": groups, "arithmetic": {"expression": "mine - beard"}}, **keys)


def test_a_score_of_the_users_own(tools):
    import dataclasses

    plane = torch.from_numpy(PLANES[2])
    own = dataclasses.replace(tools, score=lambda _: lambda images: images.flatten(1) @ plane)
    (found,) = found_by(own, "ganalyze", score="mine.scores:beauty").values()
    assert found.vector @ PLANES[2] >= 0.99
    assert (found.name, found.target, found.settings["score"]) == ("beauty", "", "mine.scores:beauty")


@pytest.mark.parametrize("method", ["sefa", "ganspace"])
def test_the_layers_own_factors_are_found(tools, method):
    found = found_by(tools, method, components=3)
    assert list(found) == [f"{method}_{number}" for number in (1, 2, 3)]
    for one, factor in zip(found.values(), tools.network.factors, strict=False):
        assert abs(one.vector @ factor) >= 0.99
    shares = [one.settings["share"] for one in found.values()]
    assert shares == sorted(shares, reverse=True)


def test_a_walk_each_edit(tools):
    found = found_by(tools, "steerable", edits=["brightness"], samples=640)
    assert list(found) == ["brightness"]
    assert found["brightness"].forward is None
    bent = found_by(tools, "steerable", edits=["brightness"], path="nonlinear", samples=640)["brightness"]
    assert bent.forward is not None
    assert bent.backward is not None


def test_grey_images_have_no_colours_to_edit():
    assert edits_for("auto", channels=3) == list(EDITS)
    assert edits_for("auto", channels=1) == ["zoom", "shift_x", "shift_y", "rotate", "brightness"]
    with pytest.raises(LatentsError, match=r"grey images allow zoom, .*, brightness, not red, blue"):
        edits_for(["red", "zoom", "blue"], channels=1)


def test_what_a_method_lacks_is_one_line(tools):
    import dataclasses

    bare = dataclasses.replace(tools, assess=None, score=None, network=None, generate=None)
    for method, said in (
        ("interfacegan", "needs an assessor, but the data has no labels"),
        ("ganalyze", "needs an assessor"),
        ("sefa", "needs the first layer, but this generator is not a PyTorch module"),
        ("ganspace", "needs an early layer"),
        ("steerable", "needs a differentiable generator"),
        ("compass", "latents.directions.sorted_samples: compass needs a CSV"),
    ):
        with pytest.raises(LatentsError, match=said):
            found_by(bare, method)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("number\n1\n", ["number", "pile"]),
        ("number,pile\n1,low\n2,low\n", ["high", "0 samples", 2]),
        ("number,pile\n1,low\n2,middle\n", ["line 3", "pile", "low", "high", "'middle'"]),
        ("number,pile\n1,low\n101,high\n", ["line 3", "number", "1 to 100", "'101'"]),
        ("number,pile\nx,low\n", ["line 2", "number", "1 to 100", "'x'"]),
        ("number,pile\n1,low\n2,low\n1,high\n3,high\n", ["number 1"]),
        ("number,pile\n²,low\n", ["line 2", "number", "1 to 100", "'²'"]),
        ("number,pile\n" + "9" * 5_000 + ",low\n", ["line 2", "number", "1 to 100"]),
        ("number,pile\n1," + "x" * 200_000 + "\n", ["CSV", "field"]),
    ],
)
def test_a_labels_file_that_is_none_names_its_line(tmp_path, text, facts):
    (tmp_path / "piles.csv").write_text(text)
    with pytest.raises(LatentsError) as fault:
        read_piles(str(tmp_path / "piles.csv"), samples=100)
    assert missing(str(fault.value), "piles.csv", *facts) == []
    with pytest.raises(LatentsError, match=r"nowhere\.csv: No such file"):
        read_piles("nowhere.csv", samples=100)


def test_attributes_are_labels_and_classes():
    assert attributes_of(LABELS, None) == [
        Attribute("smiling", "smiling"), Attribute("young", "age", 0), Attribute("old", "age", 1)
    ]  # fmt: skip
