"""Documents and values that would hang the reader, or that no machine has: each is one line, at once."""

import itertools

import pytest

from framework.config import Experiment, experiment_from_text, load_experiment, parse_overrides, to_yaml, with_overrides
from framework.config.yaml import MOST_CHARACTERS, MOST_VALUES, parse_yaml
from framework.errors import ConfigError
from framework.search.space import check_space, number_of_settings

LETTERS = "abcdefgh"
BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in itertools.pairwise(LETTERS)
)

SURROGATE = r"'utf-8' codec can't encode character '\ud800' in position 0: surrogates not allowed"


def fault(text):
    with pytest.raises(ConfigError) as raised:
        experiment_from_text(text, source="c.yaml")
    return str(raised.value)


def test_aliases_and_merges_are_read():
    text = """
        search: {space: {optimizer.generator_lr: &lr {loguniform: [1.0e-4, 1.0e-3]}, optimizer.discriminator_lr: *lr}}
        model: &small {width: 64}
        assessor: {<<: *small, images: 640}
    """
    experiment = experiment_from_text(text, source="c.yaml")
    assert experiment.assessor.width == 64
    assert experiment.search.space["optimizer.discriminator_lr"] == {"loguniform": [1e-4, 1e-3]}


def test_aliases_count_as_often_as_they_are_used():
    # 10 to the power of k+1 numbers and the lists around them, for each of 8 lists, below one mapping with 8 keys
    size = 1 + sum(1 + sum(10**power for power in range(level + 2)) for level in range(8))
    assert fault(BOMB) == f"c.yaml: its aliases expand to {size:,} values; at most {MOST_VALUES:,} are allowed"
    assert "its aliases expand to" in fault(f"search: {{space: {{x: {{{BOMB.replace(chr(10), ',')}}}}}}}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("&a [*a]", "the alias of line 1 refers to itself"),
        ("model:\n  layers: [&a {x: *a}]", "the alias of line 2 refers to itself"),
        ("[" * 100_000, "is nested more than 32 levels deep"),
        ("{" * 100_000, "is nested more than 32 levels deep"),
        ("- " * 100_000, "is nested more than 32 levels deep"),
        ("? " * 100_000, "is nested more than 32 levels deep"),
        ("seed: " + "9" * 5_000, "line 1: a whole number of 5,000 digits"),
        ("optimizer:\n  beta1: 0x" + "f" * 5_000, "line 2: a whole number of 5,002 digits"),
        ("seed: 0b" + "1" * 5_000, "line 1: a whole number of 5,002 digits"),
        (r'latents: {groups: {"\ud800": [1]}}', SURROGATE),
    ],
)  # fmt: skip
def test_what_no_config_has_is_one_line(text, why):
    assert fault(text) == f"c.yaml: not valid YAML: {why}"


def test_a_text_beyond_all_configs_is_not_read():
    assert fault("#" * (MOST_CHARACTERS + 1)).startswith("c.yaml: has 1,000,001 characters")
    with pytest.raises(ConfigError, match=r"^seed: .*a whole number of 5,000 digits"):
        parse_overrides(["seed=" + "9" * 5_000])
    assert parse_yaml("#" * MOST_CHARACTERS, source="c.yaml") is None


def test_a_key_of_any_length_is_compared_with_no_other():
    assert fault(f'{{? "{"a" * 100_000}" : 1}}') == f"{'a' * 100}…: unknown key"
    with pytest.raises(ConfigError) as raised:
        with_overrides(Experiment(), {"x" * 100_000: 1})
    assert len(str(raised.value)) < 200


LONG = "x" * 50_000


@pytest.mark.parametrize(
    "text",
    [
        f"model: {{entry: {LONG}}}",
        f"training: {{start_from: entry:{LONG}:go}}",
        f"search: {{space: {{model.width: {{{LONG}: [1]}}}}}}",
        f"search: {{space: {{model.width: {{uniform: [1, {LONG}]}}}}}}",
    ],
)
def test_a_value_of_any_length_is_shortened_in_the_message(text):
    with pytest.raises(ConfigError) as raised:
        check_space(experiment_from_text(text, source="c.yaml"))
    assert max(map(len, raised.value.faults)) < 1000


def test_of_very_many_faults_the_first_are_told():
    lines = fault("\n".join(f"trainin{number}: 1" for number in range(2_000))).splitlines()
    assert (len(lines), lines[-1]) == (101, "… and 1,900 more faults")
    assert lines[0] == "trainin0: unknown key; did you mean training?"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 2**64),
        ("training.total_images", 10**30),
        ("training.batch_size", 10**13),
        ("data.resolution", 100_000),
        ("data.limit", 10**12),
        ("compute.workers", 10**9),
        ("evaluation.workers", 10**9),
        ("evaluation.samples", 10**15),
        ("search.trials", 10**9),
        ("latents.seed", 2**64),
        ("latents.steering.strengths", [1e300]),
        ("checkpoint.every_images", 10**12),
        ("search.space", {"seed": {"randint": [0, float("inf")]}}),
        ("model.discriminator_layers", [{"slope": float("nan")}]),
    ],
)
def test_sizes_that_no_machine_has_are_refused_by_their_key(key, value):
    with pytest.raises(ConfigError) as raised:
        with_overrides(Experiment(), {key: value})
    assert any(line.startswith(key) for line in raised.value.faults)


def test_the_trials_of_all_grid_values_together_are_bounded():
    space = {"seed": {"grid": list(range(200))}, "model.latent_size": {"grid": list(range(1, 201))}}
    experiment = with_overrides(Experiment(), {"search.space": space, "search.trials": 1})
    assert number_of_settings(experiment) == 40_000
    with pytest.raises(ConfigError, match=r"search\.trials: 1 for each combination of grid values are 40,000 trials"):
        check_space(experiment)


def test_the_largest_allowed_values_are_written_and_read_again(tmp_path):
    values = {"seed": 10**18, "training.total_images": 10**12 - 1, "training.batch_size": 2**26}
    experiment = with_overrides(Experiment(), {**values, "name": "largest"})
    (tmp_path / "largest.yaml").write_text(to_yaml(experiment))
    assert load_experiment(tmp_path / "largest.yaml") == experiment
