"""Scores per class on a cluster: those of the images of a class, and what the assessor finds in them, by hand."""

import numpy as np
import pytest

from framework.checkpoint import CheckpointStore, load_generator
from framework.checkpoint.saved import generator_config
from framework.config import load_experiment, with_overrides
from framework.data.store import open_store
from framework.metrics import Moments, frechet_distance
from framework.models import build_generator
from framework.models.assessor.assessor import Assessor
from framework.runs import RunFolder
from framework.training.conditions import condition_of
from tests.ray.conftest import TINY

CHECKPOINT = "trials/000-ab12/checkpoints/000000000100"


def test_each_class_is_scored_and_asked_of(attached, run, storage):
    store = open_store(next((storage / ".cache").glob("**/manifest.json")).parent)
    settings = {"storage.path": str(storage), "name": "classes", "model.condition": ["glasses"]}
    experiment = with_overrides(load_experiment(TINY), {**settings, "model.latent_size": 8, "search.space": {}})
    made = RunFolder.create(experiment, ["python"])
    condition = condition_of(store, ["glasses"])
    network = build_generator(experiment.model, resolution=32, channels=3, seed=0, condition=condition)
    config = generator_config(experiment.model, resolution=32, channels=3, images_seen=100, condition=condition)
    place = CheckpointStore(made.trial("000-ab12").checkpoints, digest="d", learned={}, keep=9)
    place.save({}, info={}, images_seen=100, generator=(network.state_dict(), config))
    made.write_best({"trial": "000-ab12", "checkpoint": CHECKPOINT, "images_seen": 100})
    ended = attached.run(
        "evaluate", made.folder.location, "evaluation.per_class=glasses", "evaluation.metrics=[fid]", "--json"
    )
    assert ended.code == 0, ended.err
    scores = ended.document["scores"]
    assert scores == made.scores()
    distance, *_ = names = [score["metric"] for score in scores]
    assert names == [distance, *[f"{distance}_per_class"] * 2, *["obeyed_per_class"] * 2]
    generator = load_generator((made.folder / CHECKPOINT).location)
    found = [Assessor.load(folder) for folder in (storage / ".cache" / "assessors").glob("*/measurer")]
    (assessor,) = (each for each in found if each.digest == scores[-1]["protocol"]["assessor"])
    for value, scored, obeyed in zip((0, 1), scores[1:3], scores[3:], strict=True):
        known = store.labels["glasses"] == value
        real = [store.images[index] for index in store.training_indices if known[index]]
        held_out = store.images[store.held_out & known]
        count = scored["protocol"]["fake"]["count"]
        assert count == min((store.labels["glasses"][store.training_indices] == each).sum() for each in (0, 1))
        samples = generator.images(generator.conditioned({"glasses": value}).sample_latents(count, 0))
        sides = [Moments.of(assessor.features(np.stack(images))) for images in (real[:count], samples)]
        assert scored["value"] == pytest.approx(frechet_distance(*sides), rel=1e-6)
        shares = [np.mean((assessor.predict(images)["glasses"] >= 0.5) == value) for images in (samples, held_out)]
        assert [obeyed["value"], obeyed["detail"]["real"]] == pytest.approx(shares)
        assert obeyed["protocol"]["real"]["count"] == len(held_out)
