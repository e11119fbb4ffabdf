"""A run on real storage, with checkpoints of real generators."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.config import Experiment, with_overrides
from framework.models import build_generator
from framework.runs import RunFolder

SMALL = {"data.resolution": 32, "model.width": 4, "model.latent_size": 6}


@dataclass
class MadeRun:
    """A run with its trials; `save` adds a checkpoint whose generator's weights come from `images_seen` as a seed."""

    folder: RunFolder
    stores: dict[str, CheckpointStore] = field(default_factory=dict)

    def save(self, trial: str, images_seen: int, *, value: float | None = None, keep: int = 9) -> Checkpoint:
        experiment = self.folder.experiment
        store = self.stores.setdefault(
            trial,
            CheckpointStore(self.folder.trial(trial).checkpoints, digest="d", learned=experiment.learned(), keep=keep),
        )
        network = build_generator(experiment.model, resolution=32, channels=3, seed=images_seen)
        config = {**experiment.model.model_dump(), "resolution": 32, "channels": 3, "images_seen": images_seen}
        generator = (network.state_dict(), {**config, "weights": "ema"})
        checkpoint = store.save({}, info={}, images_seen=images_seen, generator=generator)
        if value is not None:
            store.record_score(checkpoint, {"metric": "m", "value": value, "protocol": {}}, value)
        return checkpoint


@pytest.fixture
def make_run(location) -> Callable[..., MadeRun]:
    def make(name: str = "faces", **overrides) -> MadeRun:
        experiment = with_overrides(Experiment(), {**SMALL, "name": name, "storage.path": location, **overrides})
        return MadeRun(RunFolder.create(experiment, ["python", "-m", "jobs.train"]))

    return make
