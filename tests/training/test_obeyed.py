"""That a condition is obeyed, judged by an assessor that never saw an image of the training."""

import dataclasses

import numpy as np
import pytest

from framework.checkpoint import CheckpointStore, load_generator
from framework.config import AssessorConfig, DataConfig, Experiment, with_overrides
from framework.data import prepare
from framework.storage import open_folder
from framework.training import Trainer, WorkerGroup
from framework.training.assessor.train import train_half

SETTINGS = {
    "data.resolution": 32,
    "model.architecture": "skip",
    "model.width": 16,
    "model.latent_size": 32,
    "model.dropout": 0.0,
    "model.condition": ["glasses", "background"],
    "objective.loss": "hinge",
    "objective.r1_gamma": 1.0,
    "objective.r1_every_steps": 8,
    "optimizer.generator_lr": 1e-3,
    "optimizer.discriminator_lr": 1e-3,
    "training.schedule": "joint",
    "training.batch_size": 32,
    "training.total_images": 32 * 800,
    "training.ema_half_life_images": 1_000,
    "evaluation.every_images": 10**6,
    "compute.precision": "float32",
}


@pytest.mark.slow
def test_an_assessor_finds_in_samples_what_they_were_asked_for(tmp_path):
    store = prepare(DataConfig(source="drawn_faces", limit=6_000, resolution=32, held_out=0.5), cache=tmp_path)
    others = dataclasses.replace(store, held_out=~store.held_out)
    assert not {*store.training_indices} & {*others.training_indices}
    config = AssessorConfig(attributes=["glasses", "background"], images=6_000, width=16)
    assessor = train_half(others, config, half=0, device="cpu")
    experiment = with_overrides(Experiment(), SETTINGS)
    checkpoints = CheckpointStore(open_folder(tmp_path / "run"), digest="", learned={}, keep=1)
    Trainer(
        experiment=experiment,
        images=store,
        store=checkpoints,
        workers=WorkerGroup(),
        report=lambda _: None,
        log=lambda _: None,
    ).run()
    generator = load_generator(tmp_path / "run")

    def found(**asked):
        latents = generator.conditioned(asked).sample_latents(256, seed=1)
        return assessor.predict(generator.images(latents))

    shares = [float((found(glasses=value)["glasses"] > 0.5).mean()) for value in (0.0, 1.0)]
    kinds = store.label_classes["background"]
    hits = [float((found(background=name)["background"].argmax(axis=1) == at).mean()) for at, name in enumerate(kinds)]
    print(f"glasses found in {shares[0]:.2f} asked without, {shares[1]:.2f} asked with; backgrounds right {hits}")
    assert shares[1] > shares[0] + 0.5
    assert np.mean(hits) > 0.7  # a quarter by chance
