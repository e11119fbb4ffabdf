"""Every shipped YAML says only what differs from the defaults, under a header that says how it is run."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from framework.config import load_experiment
from framework.config.describe import default_of
from framework.search.space import settings

SINGLE = {"faces"}  # one training, no search
CONFIGS = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_loads_and_its_space_is_sound(path):
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    trials = len(settings(experiment))
    assert trials == 1 if path.stem in SINGLE else trials >= 4


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_its_header_says_the_command(path):
    job, place = ("search", f"recipes/{path.name}") if path.parent.name == "recipes" else ("pipeline", path.name)
    assert f"python -m jobs.{job} configs/{place}" in path.read_text()


def stated_keys(section, prefix=""):
    """Dotted key -> value of each key below a section that the file states."""
    for name in section.model_fields_set:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from stated_keys(value, f"{prefix}{name}.")
        elif prefix:  # not the name
            yield prefix + name, value


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_states_no_default(path):
    experiment = load_experiment(path)
    stated = dict(stated_keys(experiment))
    looked_for = {"data.source", "data.resolution", "search.trials"}  # what a reader wants to see, default or not
    assert not {key for key, value in stated.items() if value == default_of(key)} - looked_for
