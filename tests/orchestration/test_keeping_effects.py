"""A measured effect is written twice, into the direction and into effects.json; a job may end between the two."""

import numpy as np
import pytest

from framework.config import Experiment, with_overrides
from framework.errors import StorageError
from framework.latents.directions.direction import Direction, load_direction, save_direction
from framework.orchestration.studies.steer import keep_effect, known_effects
from framework.runs import RunFolder

FILE = "smiling-difference.safetensors"
MEASURED = {"slope": 0.25, "interval": [0.2, 0.3], "right_share": 0.9, "random_rank": 0.99, "random_99th": 0.1}
EFFECT = {"method": "difference", "target": "smiling", "attributes": {"smiling": MEASURED}}


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(with_overrides(Experiment(), {"storage.path": str(tmp_path), "name": "run"}), [])


def test_the_direction_has_its_effect_before_the_list_says_that_it_is_measured(run, tmp_path):
    direction = Direction("smiling", "difference", np.eye(1, 6, dtype=np.float32)[0], 2.0, "d")
    save_direction(direction, run.directions, FILE)
    (tmp_path / "run" / "artifacts").write_text("in the way")
    with pytest.raises(StorageError):
        keep_effect(run, FILE, direction, {FILE: EFFECT})
    (tmp_path / "run" / "artifacts").unlink()
    assert known_effects(run) == {}  # so it is measured again
    kept = load_direction(run.directions, FILE)
    assert (kept.effect, kept.digest) == (EFFECT, direction.digest)
    keep_effect(run, FILE, kept, {FILE: EFFECT})
    assert known_effects(run) == {FILE: EFFECT}
