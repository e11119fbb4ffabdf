"""The schema in words."""

import pytest
from pydantic import BaseModel

from framework.config import Experiment, known_keys
from framework.config.describe import KeyHelp, default_of, describe_keys, help_text
from framework.errors import ConfigError


def test_every_key_has_its_line():
    keys = describe_keys()
    assert [key.key for key in keys] == list(known_keys())
    for key in keys:
        assert key.text, key
        assert key.allowed, key


def test_a_key_tells_default_unit_and_bounds():
    keys = {key.key: key for key in describe_keys(["model", "seed", "checkpoint"])}
    assert keys["model.width"] == KeyHelp(
        "model.width", 128, "channels", "a whole number from 4 to 2048", keys["model.width"].text
    )
    assert keys["checkpoint.keep"].allowed == "a whole number from 1 to 1,000,000 or all"
    assert {key.partition(".")[0] for key in keys} == {"model", "seed", "checkpoint"}


def test_help_is_one_aligned_line_a_key_within_110_columns():
    lines = help_text().splitlines()
    assert len(lines) == len(describe_keys())
    assert max(len(line) for line in lines) <= 110
    assert "model.width=128 " in help_text(["model"])
    assert "[channels]" in help_text(["model"])
    assert "data.path=null" in help_text()
    assert "data.horizontal_flip=false" in help_text()
    starts = {line.index("  ") for line in help_text(["storage"]).splitlines()}
    assert (
        len({len(line) - len(line.split("  ", 1)[1].lstrip()) for line in help_text(["storage"]).splitlines()}) == 1
    ), starts


def test_a_section_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="modle: not a section"):
        describe_keys(["modle"])


def test_defaults_are_found_by_their_key():
    assert default_of("optimizer.generator_lr") == 2e-4
    assert default_of("seed") == 0
    for key in ("nothing", "model", "model.nothing", "model.width.deep"):
        assert default_of(key) is None


def test_every_section_says_what_it_is():
    for name, field in Experiment.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            assert field.annotation.__doc__, name
