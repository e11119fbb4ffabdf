"""Autoencoder and VAE against the same written plainly; what their checkpoints give."""

import copy
import re
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from framework.checkpoint import CheckpointStore, load_generator
from framework.config import Experiment, with_overrides
from framework.errors import CheckpointError, LatentsError
from framework.images import to_model_range
from framework.models import derive_seed, sample_latents
from framework.storage import open_folder
from framework.training import Trainer, WorkerGroup
from framework.training.precision import Precision, choose_precision
from framework.training.steps.families import family_of

CPU = torch.device("cpu")
SMALL = {
    "data.resolution": 32,
    "model.width": 4,
    "model.latent_size": 3,
    "training.batch_size": 8,
    "optimizer.generator_lr": 1e-3,
}


def settings(family, **overrides):
    return SMALL | {"model.family": family} | {key.replace("__", "."): value for key, value in overrides.items()}


def start(family, precision="float64", **overrides):
    experiment = with_overrides(Experiment(), settings(family, **overrides))
    chosen = family_of(experiment)
    state = chosen.state.fresh(experiment, resolution=32, channels=3, precision=precision, device=CPU)
    step = chosen.step(state, experiment=experiment, workers=WorkerGroup(), precision=Precision(precision, CPU))
    return experiment, state, step


def pixels(number):
    return torch.from_numpy(np.random.default_rng(number).integers(0, 256, (8, 32, 32, 3), np.uint8))


def plainly(experiment, state, losses, steps=3):
    """Steps of `losses(images, encoder, body, step) -> (loss, figures)` on copies of the networks."""
    encoder, decoder = copy.deepcopy(state.encoder), copy.deepcopy(state.generator)
    both = [*encoder.parameters(), *decoder.parameters()]
    adam = torch.optim.Adam(both, lr=1e-3, betas=(0.5, 0.999), eps=1e-7)
    told = []
    for number in range(steps):
        loss, figures = losses(to_model_range(pixels(number)).double(), encoder, decoder.body, number)
        adam.zero_grad()
        loss.backward()
        adam.step()
        told.append(figures)
    return encoder, decoder, told


def assert_same(network, expected):
    for (name, found), other in zip(network.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, other, rtol=1e-9, atol=1e-12, msg=name)


def test_a_vaes_step_is_the_textbooks():
    experiment, state, step = start(
        "vae", objective__likelihood="bernoulli", objective__beta=4.0, objective__beta_warmup_images=16
    )

    def losses(images, encoder, body, number):
        mean, log_variance = encoder(images).chunk(2, dim=1)
        noise = sample_latents(8, 3, seed=derive_seed(0, "latents", "posterior", number))
        logits = body(mean + (log_variance / 2).exp() * torch.from_numpy(noise).double())
        lost = F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="sum") / 8
        kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / 8
        beta = min(4.0, 4.0 * number * 8 / 16)
        return lost + beta * kl, (-lost.item(), kl.item(), (-lost - kl).item(), beta)

    encoder, decoder, expected = plainly(experiment, state, losses)
    found = [step(pixels(number)).tolist() for number in range(3)]
    assert_same(state.encoder, encoder)
    assert_same(state.generator, decoder)
    assert step.METRIC_NAMES[:4] == ("reconstruction_nats", "kl_nats", "elbo_nats", "beta")
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[:4] == pytest.approx(theirs, rel=1e-9)
    assert (state.steps, state.images_seen, state.real_images_seen) == (3, 24, 24)


def test_an_autoencoders_step_is_the_squared_error():
    experiment, state, step = start("autoencoder", objective__deviation=0.5)

    def losses(images, encoder, body, number):
        squares = ((images + 1) / 2 - body(encoder(images)).sigmoid()).square().sum() / 8
        constant = 32 * 32 * 3 * np.log(0.5 * np.sqrt(2 * np.pi))
        return squares / (2 * 0.5**2), -(squares.item() / (2 * 0.5**2) + constant)

    encoder, decoder, expected = plainly(experiment, state, losses)
    found = [step(pixels(number))[0].item() for number in range(3)]
    assert_same(state.encoder, encoder)
    assert_same(state.generator, decoder)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("family", ["autoencoder", "vae"])
def test_both_averages_follow(family):
    _, state, step = start(family, training__ema_half_life_images=8)
    state.images_seen = 1_000
    before = {name: average.network.dense.weight.clone() for name, average in parts(state)}
    step(pixels(0))
    for name, average in parts(state):
        tracked = {"ema": state.generator.body, "encoder_ema": state.encoder}[name].dense.weight.detach()
        torch.testing.assert_close(average.network.dense.weight, 0.5 * (before[name] + tracked))


class Part:
    def __init__(self, network):
        self.network = network


def parts(state):
    yield "ema", Part(state.ema.network.body)
    yield "encoder_ema", state.encoder_ema


def test_bfloat16_computes_nearly_the_same():
    _, _, step = start("vae", "bfloat16")
    _, _, exact = start("vae", "float64")
    assert step(pixels(0))[:3].tolist() == pytest.approx(exact(pixels(0))[:3].tolist(), rel=0.05)
    experiment = with_overrides(Experiment(), settings("vae"))
    name, reason = choose_precision(experiment, resolution=32, channels=3, device=CPU)
    assert name in ("float32", "bfloat16")
    assert re.search(r"bfloat16 .* \d+\.\d\d .*float32", reason)  # the share of the time that was measured


@pytest.fixture
def run(images, tmp_path):
    """Trains a little in one process and gives the reports and the newest checkpoint's place."""

    def run(family, **overrides):
        usual = {
            "training__total_images": 160,
            "training__report_every_images": 40,
            "training__samples_every_images": 80,
            "compute__precision": "float32",
            "training__ema_half_life_images": 0,
        }
        experiment = with_overrides(Experiment(), settings(family, **(usual | overrides)))
        place = tmp_path / family
        store = CheckpointStore(open_folder(place), digest=experiment.digest(images.digest), learned={}, keep="all")
        reports, said = [], []
        Trainer(
            experiment=experiment,
            images=images,
            store=store,
            workers=WorkerGroup(),
            report=reports.append,
            log=said.append,
        ).run()
        return reports, place / f"{experiment.training.total_images:012d}"

    return run


def test_a_vae_is_trained_reported_and_opened(run, images):
    reports, place = run("vae", objective__beta_warmup_images=320)
    rows = [report.metrics for report in reports]
    assert [row["images_seen"] for row in rows] == [0, 40, 80, 120, 160]
    for row in rows[1:]:
        assert row["elbo_nats"] == pytest.approx(row["reconstruction_nats"] - row["kl_nats"])
        assert row["real_images_seen"] == row["images_seen"]
    # the mean over the five steps since the last report, each at the clock it began with
    assert [row["beta"] for row in rows[1:]] == pytest.approx([clock / 320 for clock in (16, 56, 96, 136)])
    assert rows[-1]["elbo_nats"] > rows[1]["elbo_nats"]
    generator = load_generator(place)
    latents = generator.encode(images.images[:40])
    assert latents.shape == (40, 3)
    assert latents.dtype == np.float32
    np.testing.assert_array_equal(generator.encode(images.images[33:37]), latents[33:37])
    assert generator.images(latents).shape == (40, 32, 32, 3)


@pytest.mark.long
def test_an_autoencoder_samples_from_the_gaussian_of_its_codes(run, images):
    reports, place = run("autoencoder", training__total_images=320)
    assert "kl_nats" not in reports[-1].metrics
    generator = load_generator(place)
    latents = generator.encode(images.images[images.training_indices]).astype(np.float64)
    np.testing.assert_allclose(latents.mean(0), 0.0, atol=1e-3)
    np.testing.assert_allclose(np.cov(latents.T), np.eye(3), atol=1e-2)
    # what a real image becomes on the way there and back is what training saw of it: nearer than another image
    back = generator.images(generator.encode(images.images[:40])).astype(float)
    apart = [np.abs(back - np.roll(images.images[:40], k, axis=0)).mean() for k in (0, 1)]
    assert apart[0] < apart[1]
    shown = generator.images(sample_latents(64, 3, seed=derive_seed(0, "samples")))
    assert np.abs(shown.astype(int) - reports[-1].samples).max() <= 1


@pytest.mark.long
def test_it_goes_on_bit_for_bit(run):
    for family in ("autoencoder", "vae"):
        _, place = run(family)
        expected = contents(place)
        shutil.rmtree(place.parent)
        run(family, training__total_images=80)
        run(family)
        assert contents(place) == expected, family


def contents(place):
    return {file.name: file.read_bytes() for folder in ("state", "generator") for file in (place / folder).iterdir()}


def test_a_damaged_encoder_is_said_and_a_gan_has_none(run):
    _, place = run("vae")
    weights = place / "generator" / "encoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    with pytest.raises(CheckpointError, match=r"encoder\.safetensors: is damaged"):
        load_generator(place)
    experiment = with_overrides(Experiment(), SMALL)
    state = family_of(experiment).state.fresh(experiment, resolution=32, channels=3, precision="float32", device=CPU)
    store = CheckpointStore(open_folder(place.parent / "gan"), digest="any", learned={}, keep="all")
    generator = load_generator(state.save(store).folder.location)
    with pytest.raises(LatentsError, match="has no encoder; autoencoders and VAEs"):
        generator.encode(np.zeros((1, 32, 32, 3), np.uint8))


def test_images_of_another_size_are_refused(run):
    _, place = run("vae")
    with pytest.raises(LatentsError, match=r"must be uint8 \[n, 32, 32, 3\], not uint8 \[1, 28, 28, 3\]"):
        load_generator(place).encode(np.zeros((1, 28, 28, 3), np.uint8))
