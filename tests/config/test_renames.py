"""Renamed keys: old names are accepted wherever a key is, and no digest or document of a study depends on a name."""

import json
from pathlib import Path

import pytest

from framework.config import (
    RENAMED,
    Experiment,
    experiment_from_text,
    flat_latents,
    known_keys,
    load_experiment,
    parse_overrides,
    to_yaml,
    with_overrides,
)
from framework.config.describe import default_of
from framework.errors import ConfigError
from framework.latents.directions.discover import settings_of

# Made by the version before `latents` had sections: overrides, and what it made of them.
GOLDEN = Path(__file__).parents[1] / "golden" / "settings"
BEFORE = json.loads((GOLDEN / "before_sections.json").read_text())
OLD = BEFORE["cases"]["gan"]["overrides"]
NEW = {RENAMED.get(key, key): value for key, value in OLD.items()}


def nested(overrides):
    """Dotted keys as the sections of a YAML file."""
    document = {}
    for dotted, value in overrides.items():
        *path, name = dotted.split(".")
        section = document
        for step in path:
            section = section.setdefault(step, {})
        section[name] = value
    return json.dumps(document)


def faults_of(read, *arguments, **more):
    with pytest.raises(ConfigError) as fault:
        read(*arguments, **more)
    return list(fault.value.faults)


def test_every_new_name_is_a_key_and_no_old_one_is():
    assert set(RENAMED.values()) <= set(known_keys())
    assert not RENAMED.keys() & set(known_keys())
    assert len(set(RENAMED.values())) == len(RENAMED)


@pytest.mark.parametrize("case", BEFORE["cases"])
def test_no_digest_and_no_document_of_a_study_changed(case):
    before = BEFORE["cases"][case]
    for keys in (before["overrides"], {RENAMED.get(key, key): value for key, value in before["overrides"].items()}):
        experiment = with_overrides(Experiment(), keys)
        assert experiment.digest("abc") == before["digest"]
        assert experiment.learned() == before["learned"]
        assert json.dumps(flat_latents(experiment.latents)) == json.dumps(before["latents"])


@pytest.mark.parametrize("method", BEFORE["directions"])
def test_what_a_direction_records_of_its_settings_did_not_change(method):
    experiment = with_overrides(Experiment(), BEFORE["cases"]["latents"]["overrides"] | {"latents.method": method})
    assert settings_of(experiment.latents) == BEFORE["directions"][method]


def test_every_key_of_latents_is_in_the_documents_of_studies():
    """One that came after the sections is there only if it was changed; otherwise artifacts would be made again."""
    keys = {key for key in known_keys() if key.startswith("latents.")}
    old = {f"latents.{name}" for name in BEFORE["cases"]["default"]["latents"]}
    assert {RENAMED.get(key, key) for key in old} <= keys
    assert list(flat_latents(Experiment().latents)) == list(BEFORE["cases"]["default"]["latents"])


def test_old_and_new_names_mean_the_same_in_every_form(tmp_path):
    expected = with_overrides(Experiment(), NEW)
    assert expected != Experiment()
    assert with_overrides(Experiment(), OLD) == expected
    words = [f"{key}={json.dumps(value)}" for key, value in OLD.items()]
    assert parse_overrides(words) == NEW
    for keys in (OLD, NEW):
        assert experiment_from_text(nested(keys), source="x") == expected
        (tmp_path / "experiment.yaml").write_text(nested(keys))
        assert load_experiment(tmp_path / "experiment.yaml") == expected
        assert load_experiment(tmp_path / "experiment.yaml", keys) == expected


def test_text_is_taken_as_typed_under_an_old_name_too():
    assert parse_overrides(["latents.expression=- a + b", "latents.piles=on", "latents.name=2024"]) == {
        "latents.arithmetic.expression": "- a + b",
        "latents.directions.sorted_samples": "on",
        "latents.directions.name": "2024",
    }


def test_the_experiment_yaml_of_a_run_made_before_is_read_and_written_with_new_names():
    text = (GOLDEN / "before_sections.yaml").read_text()
    said = []
    experiment = experiment_from_text(text, source="experiment.yaml", say=said.append)
    (line,) = said
    assert line.startswith("Renamed: 39 keys have new names, for example evaluation.batch_size is now evaluation.feat")
    assert experiment == with_overrides(Experiment(), {**NEW, "name": "before"})
    assert experiment.digest("abc") == BEFORE["cases"]["gan"]["digest"]
    written = to_yaml(experiment)
    said = []
    assert experiment_from_text(written, source="experiment.yaml", say=said.append) == experiment
    assert said == []


def test_a_list_of_directions_is_the_old_key_and_a_mapping_the_section():
    listed = experiment_from_text("latents: {directions: [smiling], method: sefa}", source="x").latents
    assert (listed.steering.directions, listed.directions.method) == (["smiling"], "sefa")
    section = experiment_from_text("latents: {directions: {method: sefa}}", source="x").latents
    assert (section.steering.directions, section.directions.method) == ([], "sefa")
    assert experiment_from_text("latents:\n  directions:\n  walks:\n", source="x") == Experiment()
    assert parse_overrides(["latents.directions=[a]"]) == {"latents.steering.directions": ["a"]}
    assert parse_overrides(["latents.directions={method: sefa}"]) == {"latents.directions": {"method": "sefa"}}
    both = with_overrides(Experiment(), {"latents.directions": ["a"], "latents.directions.components": 2}).latents
    assert (both.steering.directions, both.directions.components) == (["a"], 2)
    (line,) = faults_of(parse_overrides, ["latents.directions=[a]", "latents.steering.directions=[b]"])
    assert line.startswith("latents.directions: is the old name of latents.steering.directions, and the two have")
    assert "['a'] and ['b']" in line
    assert faults_of(with_overrides, Experiment(), {"latents.directions": "a"}) == [
        "latents.steering.directions: must be a list of text, not 'a'"
    ]


def test_an_old_name_within_the_value_of_a_section_is_accepted():
    assert parse_overrides(["latents={method: sefa, seed: 3}", "evaluation={batch_size: 2}"]) == {
        "latents": {"directions": {"method": "sefa"}, "seed": 3},
        "evaluation": {"feature_batch_blocks": 2},
    }


def test_two_names_with_different_values_are_a_fault_that_names_both():
    line = (
        "latents.side: is the old name of latents.directions.per_class, and the two have different values, "
        "10 and 20; remove latents.side"
    )
    for keys in ({"latents.side": 10, "latents.directions.per_class": 20}, {
        "latents.directions.per_class": 20, "latents.side": 10,
    }):  # fmt: skip
        assert faults_of(with_overrides, Experiment(), keys) == [line]
        assert faults_of(experiment_from_text, nested(keys), source="x") == [line]
        assert faults_of(parse_overrides, [f"{key}={value}" for key, value in keys.items()]) == [line]
    same = {"latents.side": 20, "latents.directions.per_class": 20}
    assert with_overrides(Experiment(), same).latents.directions.per_class == 20
    assert experiment_from_text(nested(same), source="x").latents.directions.per_class == 20
    faults = faults_of(experiment_from_text, nested({**keys, "seed": -1}), source="x")
    assert faults == [line, "seed: must be a whole number from 0 to 1,000,000,000,000,000,000, not -1"]


@pytest.mark.parametrize("in_file", ["latents.side", "latents.directions.per_class"])
@pytest.mark.parametrize("override", ["latents.side", "latents.directions.per_class"])
def test_an_override_wins_over_the_file_by_either_name(in_file, override):
    experiment = experiment_from_text(nested({in_file: 10}), source="x", overrides={override: 20})
    assert experiment.latents.directions.per_class == 20
    assert with_overrides(experiment, {override: 30}).latents.directions.per_class == 30


def test_an_old_name_is_told_in_one_line_that_names_the_new_one(tmp_path, capsys):
    said = []
    (tmp_path / "x.yaml").write_text("latents: {side: 10, seed: 3}\nevaluation: {batch_size: 2}")
    load_experiment(tmp_path / "x.yaml", {"latents.components": 2}, say=said.append)
    parse_overrides(["latents.method=sefa", "latents.seed=3", "latents.walks.steps=3"], say=said.append)
    assert said == [
        "Renamed: evaluation.batch_size is now evaluation.feature_batch_blocks; the old name still works",
        "Renamed: latents.side is now latents.directions.per_class; the old name still works",
        "Renamed: latents.components is now latents.directions.components; the old name still works",
        "Renamed: latents.method is now latents.directions.method; the old name still works",
    ]
    load_experiment(tmp_path / "x.yaml", {"latents.components": 2})
    assert capsys.readouterr() == ("", "")


def test_a_fault_under_an_old_name_names_the_key_of_now():
    assert faults_of(with_overrides, Experiment(), {"latents.side": 1, "evaluation.batch_size": 0}) == [
        "evaluation.feature_batch_blocks: must be a whole number from 1 to 1024, not 0",
        "latents.directions.per_class: must be a whole number from 2 to 100,000,000, not 1",
    ]
    assert faults_of(experiment_from_text, "latents: {walks: 5, interpolation_steps: 3}", source="x") == [
        "latents.walks: must be a mapping of keys, not 5"
    ]


def test_a_default_is_found_by_either_name():
    for old, new in RENAMED.items():
        assert default_of(old) == default_of(new)
    assert default_of("latents.side") == 2_500


def test_a_document_is_left_as_it_is():
    keys = {"latents": {"method": "sefa"}}
    with_overrides(Experiment(), keys)
    assert keys == {"latents": {"method": "sefa"}}


def test_the_docs_list_every_old_name():
    text = (Path(__file__).parents[2] / "docs" / "latents.md").read_text()
    for old, new in RENAMED.items():
        assert f"| `{old}`{' with a list' if old == 'latents.directions' else ''} | `{new}` |" in text
