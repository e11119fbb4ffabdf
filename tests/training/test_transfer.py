"""A training that begins with networks of another size takes the layers that fit, and may freeze the first of them."""

import numpy as np
import pytest
import torch

from framework.checkpoint import CheckpointStore
from framework.checkpoint.start import Start, open_start, with_start
from framework.config import Experiment, with_overrides
from framework.errors import ConfigError
from framework.models import build_discriminator
from framework.models.transfer import freeze
from framework.storage import open_folder
from framework.training import WorkerGroup
from framework.training.precision import Precision
from framework.training.state import TrainState
from framework.training.steps.gan_step import STEPS
from tests.conftest import missing
from tests.training.test_workers import assert_same, weights

PAIRS = {
    "dcgan": {"model.architecture": "dcgan", "model.width": 4},
    "skip": {"model.architecture": "skip", "model.width": 4},
    "residual": {"model.architecture": "residual", "model.width": 4, "model.blocks": 1},
}


def fresh(resolution, **overrides):
    settings = {"model.latent_size": 6, "data.resolution": resolution, "training.batch_size": 4} | overrides
    experiment = with_overrides(Experiment(), settings)
    return TrainState.fresh(experiment, resolution=resolution, channels=3, precision="float32", device="cpu")


def start_of(state):
    config = {**state.experiment.model.model_dump(mode="json"), "resolution": state.resolution, "channels": 3}
    parts = {"generator": state.generator, "averaged": state.ema.network, "discriminator": state.discriminator}
    return Start(config=config, digest="d", **{name: part.state_dict() for name, part in parts.items()})


# Kind, size before, size now, how much narrower; layers of the generator that are taken, of the discriminator and
# where they come from: one further from the image where the side is doubled; how many tensors.
HALF = {"dense", "ups.0", "ups.1", "to_image"}
STAGES = {f"stages.{stage}.0.{part}" for stage in range(4) for part in ("inner", "outer")}
MOVES = [
    ("dcgan", 32, 64, 1, HALF, {"downs.1": "downs.0", "downs.2": "downs.1"}, ["8 of 10", "8 of 10"]),
    ("dcgan", 64, 32, 1, HALF, {"downs.0": "downs.1", "downs.1": "downs.2"}, ["8 of 8", "8 of 8"]),
    # With half the width, the maps of 16 and 32 px are as wide as before.
    ("skip", 32, 64, 2, {"ups.1", "to_images.1", "to_images.2"}, {"downs.1": "downs.0"}, ["6 of 16", "2 of 12"]),
    (
        *("residual", 32, 64, 2),
        {"", "dense", "narrow.1", "narrow.2", *STAGES},
        {f"stages.{k + 1}": f"stages.{k}" for k in range(4)} | {"widen.1": "widen.0", "widen.2": "widen.1"},
        ["16 of 22", "17 of 22"],
    ),
]


@pytest.mark.parametrize(("kind", "before", "now", "narrower", "same", "moved", "told"), MOVES)
def test_stages_are_matched_by_the_side_of_their_maps(kind, before, now, narrower, same, moved, told):
    old = fresh(before, **PAIRS[kind] | {"model.width": 4 * narrower}, seed=1)
    new = fresh(now, **PAIRS[kind])
    untouched = {name: value.clone() for name, value in new.discriminator.state_dict().items()}
    taken = new.begin_with(start_of(old))
    assert missing(taken.line, f"{told[0]} tensors of the generator", f"{told[1]} tensors of the discriminator") == []
    assert {name.rpartition(".")[0] for name in taken.generator} == same
    had, has = old.generator.state_dict(), new.generator.state_dict()
    assert all(torch.equal(has[name], had[name]) for name in taken.generator)
    had, has = old.discriminator.state_dict(), new.discriminator.state_dict()
    for place, origin in moved.items():
        for name in (name for name in has if name.startswith(f"{place}.")):
            assert torch.equal(has[name], had[name.replace(place, origin, 1)]), name
            assert name in taken.discriminator
    for name in has.keys() - taken.discriminator.keys():
        assert torch.equal(has[name], untouched[name]), name
    assert_same({n: new.ema.network.state_dict()[n] for n in taken.averaged}, taken.averaged)


@pytest.mark.parametrize("kind", PAIRS)
def test_the_same_size_is_taken_whole(kind):
    old, new = fresh(32, **PAIRS[kind], seed=1), fresh(32, **PAIRS[kind])
    taken = new.begin_with(start_of(old))
    assert taken.is_whole
    assert_same(new.discriminator.state_dict(), old.discriminator.state_dict())
    assert_same(new.generator.state_dict(), old.generator.state_dict())


@pytest.fixture
def saved(tmp_path):
    """The place of a checkpoint of the dcgan pair at 32 px, and its state."""
    state = fresh(32, **PAIRS["dcgan"], seed=1)
    checkpoint = state.save(CheckpointStore(open_folder(tmp_path / "old"), digest="d", learned={}, keep="all"))
    return checkpoint.folder.location, state


def test_what_is_taken_is_said_before_anything_starts(saved):
    place, _ = saved
    said = []
    settings = {"training.start_from": place, "data.resolution": 64}
    experiment = with_start(with_overrides(Experiment(), settings), {}, say=said.append)
    assert (experiment.model.width, experiment.data.resolution) == (4, 64)
    assert missing(said[0], "of 32x32", "8 of 10 tensors of the generator, 8 of 10 tensors of the discriminator") == []
    assert experiment.training.start_digest == open_start(place).digest


def test_what_cannot_be_is_one_line(saved):
    place, _ = saved
    for changes, overrides, facts in [
        ({}, {"model.width": 5}, ["training.start_from", "width 4", "width 5"]),
        ({"training.freeze_discriminator": 4}, {}, ["training.freeze_discriminator: 4", "has 3 layers"]),
        (
            {"training.freeze_discriminator": 2, "data.resolution": 64},
            {},
            ["training.freeze_discriminator: 2", "downs.0.weight", "8 of 10"],
        ),
        (
            {"search.space": {"training.freeze_discriminator": {"choice": [0, 9]}}},
            {},
            ["training.freeze_discriminator: 9"],
        ),
        ({"training.start_from": None, "training.freeze_discriminator": 1}, {}, ["training.freeze_discriminator"]),
        ({}, {"model.architecture": "skip"}, ["model.architecture: skip", "training.start_from"]),
    ]:
        settings = {"training.start_from": place, "data.resolution": 32} | changes | overrides
        with pytest.raises(ConfigError) as fault:
            with_start(with_overrides(Experiment(), settings), overrides, say=[].append)
        assert missing(str(fault.value), *facts) == []


def test_layers_are_counted_from_the_image():
    frozen = {}
    for kind, overrides in PAIRS.items():
        model = with_overrides(Experiment(), overrides).model
        network = build_discriminator(model, resolution=32, channels=3, seed=0)
        frozen[kind] = {name.rpartition(".")[0] for name in freeze(network, 2)}, len(network.layers_from_image())
    assert frozen["dcgan"] == ({"from_image", "downs.0"}, 3)
    assert frozen["skip"] == ({"from_image", "downs.0"}, 4)
    blocks = {f"stages.{stage}.0.{part}" for stage in (0, 1) for part in ("inner", "outer")}
    assert frozen["residual"] == ({"from_image", "widen.0", *blocks}, 4)


@pytest.mark.parametrize("schedule", STEPS)
@pytest.mark.parametrize("kind", PAIRS)
def test_frozen_layers_stay_bit_for_bit_and_all_others_are_trained(schedule, kind):
    state = fresh(
        32,
        **PAIRS[kind],
        **{
            "training.schedule": schedule,
            "training.freeze_discriminator": 2,
            "objective.r1_gamma": 1.0,
            "objective.r1_every_steps": 2,
        },
    )
    networks = {"generator": state.generator, "discriminator": state.discriminator}
    before = {name: {k: v.clone() for k, v in network.state_dict().items()} for name, network in networks.items()}
    step = STEPS[schedule](
        state,
        experiment=state.experiment,
        workers=WorkerGroup(),
        precision=Precision("float32", torch.device("cpu")),
    )
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (step.real_images(4), 32, 32, 3), np.uint8)
        step(torch.from_numpy(pixels))
    frozen = {name for name, parameter in state.discriminator.named_parameters() if not parameter.requires_grad}
    assert len(frozen) == {"dcgan": 4, "skip": 4, "residual": 8}[kind]
    for network_name, network in networks.items():
        for name, value in network.state_dict().items():
            stayed = torch.equal(value, before[network_name][name])
            assert stayed == (network_name == "discriminator" and name in frozen), name


FROZEN = {
    "data.resolution": 32,
    "model.width": 4,
    "model.latent_size": 6,
    "training.batch_size": 12,
    "training.total_images": 12 * 4,
    "training.schedule": "joint",
    "training.freeze_discriminator": 2,
    "objective.r1_gamma": 1.0,
    "objective.r1_every_steps": 2,
    "evaluation.every_images": 12 * 4,
    "compute.precision": "float64",
}


@pytest.mark.long
@pytest.mark.timeout(200)
def test_frozen_layers_on_more_workers_and_after_a_stop(ranks):
    alone = ranks.job("alone", overrides=FROZEN)
    stopped = ranks.job("stopped", overrides=FROZEN, stop_at=2)
    resumed = ranks.job("resumed", store="stopped", overrides=FROZEN)
    shared = ranks.job("shared", overrides={**FROZEN, "compute.workers": 3})
    ranks.run(alone, stopped, resumed)
    ranks.run(shared, world=3)
    assert_same(weights(alone, 48), weights(stopped, 48))
    one, other = weights(alone, 48), weights(shared, 48)
    for name in one:
        torch.testing.assert_close(other[name], one[name], rtol=1e-7, atol=1e-10, msg=name)
    model = with_overrides(Experiment(), FROZEN).model
    first = build_discriminator(model, resolution=32, channels=3, seed=0).state_dict()["from_image.weight"]
    assert torch.equal(one["discriminator.from_image.weight"], first.double())
