"""A conditional generator obeys its labels and keeps its variety, on drawn faces."""

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


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """2,000 drawn faces: half of them to train on, half for the assessor."""
    config = DataConfig(source="drawn_faces", limit=2_000, resolution=32, held_out=0.5)
    return prepare(config, cache=tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def assessor(faces):
    """Of the labels, by faces that the generator never sees."""
    others = dataclasses.replace(faces, held_out=~faces.held_out)
    config = AssessorConfig(attributes=["glasses", "background"], images=2_000, width=16)
    return train_half(others, config, half=0, device="cpu")


@pytest.fixture(scope="module")
def generator(faces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    Trainer(
        experiment=with_overrides(Experiment(), SETTINGS),
        images=faces,
        store=CheckpointStore(open_folder(folder), digest="", learned={}, keep=1),
        workers=WorkerGroup(),
        report=lambda _: None,
        log=lambda _: None,
    ).run()
    return load_generator(folder)


def distance(images):
    """The mean difference of two of these images, in levels of 255."""
    some = images.astype(np.float32)
    pairs = [np.abs(image - some[:number]).mean(axis=(1, 2, 3)) for number, image in enumerate(some)]
    return np.concatenate(pairs).mean()


@pytest.mark.slow  # 2 minutes on a quiet core
@pytest.mark.timeout(3_600)
def test_labels_are_obeyed_and_samples_with_the_same_labels_differ(faces, assessor, generator):
    ours = faces.training_indices
    seen = []
    for number, kind in enumerate(faces.label_classes["background"]):
        for glasses in (0.0, 1.0):
            asked = {"background": kind, "glasses": glasses}
            images = generator.images(generator.conditioned(asked).sample_latents(100, seed=1))
            found = assessor.predict(images)
            shares = {
                "background": float((found["background"].argmax(axis=1) == number).mean()),
                "glasses": float(((found["glasses"].ravel() > 0.5) == glasses).mean()),
            }
            like = (faces.labels["background"][ours] == number) & (faces.labels["glasses"][ours] == glasses)
            spread = distance(images) / distance(faces.images[ours[like][:100]])
            print(f"{asked}: obeyed {shares}, spread {spread:.2f} of that of real images")
            seen.append((asked, shares, spread))
    # The assessor itself is right on 91% and 82% of real images; 25% and 50% would be chance.
    assert np.mean([shares["background"] for _, shares, _ in seen]) > 0.7
    assert np.mean([shares["glasses"] for _, shares, _ in seen]) > 0.65
    assert min(spread for *_, spread in seen) > 0.6  # 0.1 with the code embedded into as many numbers as z has
