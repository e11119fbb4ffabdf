"""YAML and overrides: every fault at once, by its dotted key; what is written is read back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.config import (
    Experiment,
    experiment_from_text,
    known_keys,
    load_experiment,
    parse_overrides,
    to_yaml,
    with_overrides,
)
from framework.config.schema import AUGMENTATIONS
from framework.config.yaml import parse_yaml
from framework.errors import ConfigError


def faults_of(text="", **overrides):
    with pytest.raises(ConfigError) as fault:
        experiment_from_text(
            text, source="x.yaml", overrides={key.replace("__", "."): v for key, v in overrides.items()}
        )
    return list(fault.value.faults)


def test_all_faults_come_out_together():
    text = """
    name: ../up
    data: {resolutoin: 64, held_out: 0.9}
    optimizer: {generator_lr: -1, beta1: fast}
    training: {batch_size: 3}
    compute: {workers: 2}
    sead: 3
    """
    assert faults_of(text) == [
        "name: must be text like ^[A-Za-z0-9][A-Za-z0-9._-]*$, not '../up'",
        "data.held_out: must be a number from 0 to 0.5 or folders, not 0.9",
        "data.resolutoin: unknown key; did you mean data.resolution?",
        "optimizer.generator_lr: must be a number greater than 0 and at most 1 or a schedule {from, to, over}, not -1",
        "optimizer.beta1: must be a number of at least 0 and less than 1, not 'fast'",
        "sead: unknown key; did you mean seed?",
        "training.batch_size: 3 is odd; the notebook schedule splits it into real and fake",
        "compute.workers: 2 workers cannot share 1 images per pass; raise training.batch_size or use at most 1",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("optimizer: {lr: 0.1}", "optimizer.lr: unknown key; did you mean optimizer.generator_lr?"),
        ("generator_lr: 0.1", "generator_lr: unknown key; did you mean optimizer.generator_lr?"),
        ("model: {batch_size: 4}", "model.batch_size: unknown key; did you mean training.batch_size?"),
        ("optimiser: {beta1: 0}", "optimiser: unknown key; did you mean optimizer?"),
        ("zebra: 1", "zebra: unknown key"),
        ("training: 5", "training: must be a mapping of keys, not 5"),
        ("training: []", "training: must be a mapping of keys, not []"),
        ("data: {1: 2}", "data.1: keys must be text, not 1"),
        ("true: 2", "1: keys must be text, not true"),
        ("model: {width: true}", "model.width: must be a whole number from 4 to 2048, not true"),
        ("model: {width: 64.5}", "model.width: must be a whole number from 4 to 2048, not 64.5"),
        ("model: {width: '64'}", "model.width: must be a whole number from 4 to 2048, not '64'"),
        ("model: {width: null}", "model.width: must be a whole number from 4 to 2048, not null"),
        ("data: {limit: 3}", "data.limit: must be a whole number from 64 to 1,000,000,000 or null, not 3"),
        ("data: {path: 3}", "data.path: must be text or null, not 3"),
        ("data: {horizontal_flip: on}", "data.horizontal_flip: must be true or false, not 'on'"),
        ("data: {resolution: 30}", "data.resolution: must be 28, 32, 64, 128 or 256, not 30"),
        ("evaluation: {tap: 65}", "evaluation.tap: must be auto, 64, 192, 768 or 2048, not 65"),
        ("evaluation: {workers: 0}", "evaluation.workers: must be a whole number from 1 to 4096 or auto, not 0"),
        ("checkpoint: {keep: some}", "checkpoint.keep: must be a whole number from 1 to 1,000,000 or all, not 'some'"),
        (
            "objective: {r1_gamma: .inf}",
            "objective.r1_gamma: must be a number of at least 0, auto or a schedule {from, to, over}, not inf",
        ),
        ("optimizer: {beta1: .nan}", "optimizer.beta1: must be a number of at least 0 and less than 1, not nan"),
        (
            "objective: {augmentations: [color, blur]}",
            f"objective.augmentations[1]: must be {', '.join(AUGMENTATIONS[:-1])} or {AUGMENTATIONS[-1]}, not 'blur'",
        ),
        (
            "objective: {augmentation_probability: {from: 0, to: 2, over: 1000}}",
            "objective.augmentation_probability.to: must be a number from 0 to 1, not 2.0",
        ),
        (
            "{data: {channels: 1}, objective: {augmentations: [color, hue]}}",
            "objective.augmentations: hue has no effect on grey images (data.channels=1)",
        ),
        ("latents: {groups: {g: 3}}", "latents.groups.g: must be a list of whole numbers or a mapping, not 3"),
        ("latents: {loop_samples: 1}", "latents.walks.loop_samples: must be 0 (no film) or from 2 to 64, not 1"),
        ("latents: {loop_samples: 65}", "latents.walks.loop_samples: must be a whole number from 0 to 64, not 65"),
        ("latents: {groups: {g: [1, x]}}", "latents.groups.g[1]: must be a whole number, not 'x'"),
        (
            "latents: {groups: {g: [0]}}",
            "latents.groups.g: must be numbers from 1 to 100 (latents.arithmetic.sheet_samples), not [0]",
        ),
        (
            "latents: {groups: {g: {attribute: a}}}",
            "latents.groups.g: must be a list of numbers or {attribute: …, at: …}, not {'attribute': 'a'}",
        ),
        ("search: {space: {model.width: 3}}", "search.space.model.width: must be a mapping, not 3"),
        ("- a", "x.yaml: must be a mapping of sections, not list"),
        ("a: b: c", "x.yaml: not valid YAML: mapping values are not allowed here"),
        (
            "seed: 1\ndata:\n\tpath: x",
            "x.yaml, line 3: not valid YAML: found character '\\t' that cannot start any token",
        ),
    ],
)
def test_each_fault_names_its_key_and_what_it_wants(text, line):
    assert line in faults_of(text)
    for found in faults_of(text):
        assert "\n" not in found


def test_one_wrong_value_of_a_choice_of_types_is_one_fault():
    assert len(faults_of("latents: {groups: {g: 3}}")) == 1
    assert len(faults_of("checkpoint: {keep: some}")) == 1
    assert len(faults_of("latents: {groups: {g: [1, x]}}")) == 1


def test_a_key_given_twice_is_refused():
    assert "duplicate key" in faults_of("seed: 1\ndata:\n  path: a\n  path: b")[0]


def test_yaml_builds_plain_values_only():
    assert "tag" in faults_of("seed: !!python/object/apply:os.system [echo]")[0]


def test_a_section_with_nothing_in_it_is_its_defaults():
    assert experiment_from_text("data:\ntraining:\n", source="x", name="e") == Experiment(name="e")
    assert experiment_from_text("", source="x") == Experiment()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("2e-4", 2e-4), ("1e3", 1000.0), (".5", 0.5), ("-1", -1), ("0x10", 16), ("0o17", 15), ("010", 10)],
        *[("on", "on"), ("Yes", "Yes"), ("off", "off"), ("n", "n"), ("12:30:00", "12:30:00")],
        *[("2024-01-31", "2024-01-31"), ("~", None), ("", None), ("null", None), ("true", True), ("'true'", "true")],
        *[("[a, 1]", ["a", 1]), ("{a: {b: 1}}", {"a": {"b": 1}})],
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    found = parse_yaml(text, source="x")
    assert found == value
    assert type(found) is type(value)


def test_the_name_is_the_files_stem(tmp_path):
    path = tmp_path / "utkface.yaml"
    path.write_text("model: {width: 64}\n")
    assert load_experiment(path).name == "utkface"
    assert load_experiment(str(path), {"name": "other"}).name == "other"
    path.write_text("name: own\n")
    assert load_experiment(path).name == "own"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    for path in (tmp_path / "missing.yaml", tmp_path, tmp_path / "latin.yaml"):
        with pytest.raises(ConfigError) as fault:
            load_experiment(path)
        assert str(fault.value).startswith(f"{path}: cannot be read")
        assert "\n" not in str(fault.value)


def test_overrides_reach_every_kind_of_key():
    experiment = with_overrides(
        Experiment(),
        {
            "seed": 3,
            "optimizer.generator_lr": 1,
            "data.limit": None,
            "latents.groups.glasses": [1, 2],
            "search.space.optimizer.beta1": {"choice": [0.0, 0.5]},
            "search.space.model.width": {"choice": [32, 64]},
        },
    )
    assert (experiment.seed, experiment.optimizer.generator_lr) == (3, 1.0)
    assert experiment.latents.groups == {"glasses": [1, 2]}
    assert experiment.search.space == {
        "optimizer.beta1": {"choice": [0.0, 0.5]},
        "model.width": {"choice": [32, 64]},
    }
    again = with_overrides(experiment, {"latents.groups.smiling": [3]})
    assert again.latents.groups == {"glasses": [1, 2], "smiling": [3]}
    assert experiment.latents.groups == {"glasses": [1, 2]}, "the original is untouched"


def test_an_override_wins_over_the_file_and_leaves_the_rest():
    experiment = experiment_from_text(
        "model: {width: 64, dropout: 0.1}", source="x", overrides={"model.width": 32, "training.batch_size": 4}
    )
    assert (experiment.model.width, experiment.model.dropout, experiment.training.batch_size) == (32, 0.1, 4)


def test_overrides_are_checked_like_the_file():
    assert faults_of(model__width="x", model__wodth=1, model__width__deep=1) != []
    with pytest.raises(ConfigError, match=r"model\.wodth: unknown key; did you mean model\.width\?"):
        with_overrides(Experiment(), {"model.wodth": 3})
    with pytest.raises(ConfigError, match="model: must be a mapping of keys, not 3"):
        with_overrides(Experiment(), {"model": 3})


def test_the_command_line_is_yaml_and_text_is_text():
    arguments = [
        *("optimizer.generator_lr=2e-4", "model.width=64", "data.horizontal_flip=true", "data.limit=null"),
        *("data.path=on", "name=2024", "latents.expression=- a + b", "data.labels=a=b #c", 'evaluation.weights="x y"'),
        """model.entry="a b" - 'c'""",
        *("objective.augmentations=[color, cutout]", "search.space={seed: {grid: [1, 2]}}", "data.path=", "seed = 3"),
    ]
    assert parse_overrides(arguments) == {
        "optimizer.generator_lr": 2e-4,
        "model.width": 64,
        "data.horizontal_flip": True,
        "data.limit": None,
        "data.path": None,
        "name": "2024",
        "latents.arithmetic.expression": "- a + b",
        "data.labels": "a=b #c",
        "model.entry": """"a b" - 'c'""",
        "evaluation.weights": "x y",
        "objective.augmentations": ["color", "cutout"],
        "search.space": {"seed": {"grid": [1, 2]}},
        "seed": 3,
    }


@pytest.mark.parametrize("argument", ["model.width", "=3", "model.width=[1"])
def test_an_argument_that_is_no_override_is_one_line(argument):
    with pytest.raises(ConfigError) as fault:
        parse_overrides([argument])
    assert argument.partition("=")[0] in str(fault.value)
    assert "\n" not in str(fault.value)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@pytest.mark.long
@settings(max_examples=40)  # each writes and reads a whole experiment
@given(
    path=texts, labels=st.none() | st.sampled_from(["on", "1e3", "null", "~", "2024-01-31", "0x1", " a", "- b", "#"])
)
def test_text_survives_the_round_trip(path, labels):
    experiment = with_overrides(Experiment(), {"data.path": path, "data.labels": labels, "latents.expression": path})
    assert experiment_from_text(to_yaml(experiment), source="x") == experiment


@pytest.mark.long
@settings(max_examples=40)
@given(
    rate=st.floats(min_value=1e-300, max_value=1.0, exclude_min=True),
    width=st.integers(4, 2048),
    grid=st.lists(
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**18), 10**18) | st.booleans() | texts,
        max_size=4,
    ),
)
def test_numbers_survive_the_round_trip_bit_for_bit(rate, width, grid):
    changes = {"optimizer.generator_lr": rate, "model.width": width, "search.space": {"model.width": {"grid": grid}}}
    experiment = with_overrides(Experiment(), changes)
    assert experiment_from_text(to_yaml(experiment), source="x") == experiment


@settings(max_examples=200)
@given(st.text(max_size=40) | st.text("{}[]:,-&*!|>'\"%@ \n#?<=ab01~.", max_size=20))
def test_any_text_is_yaml_or_a_config_error(text):
    faults: tuple[str, ...] = ()
    try:
        experiment_from_text(text, source="x")
    except ConfigError as fault:
        faults = fault.faults
    assert all(line and "\n" not in line for line in faults)


def test_the_written_yaml_has_every_key_in_the_schemas_order():
    document = parse_yaml(to_yaml(Experiment()), source="x")
    known = list(known_keys())

    def written(section, prefix=""):
        for name, value in section.items():
            if isinstance(value, dict) and prefix + name not in known:
                yield from written(value, f"{prefix}{name}.")
            else:
                yield prefix + name

    assert list(written(document)) == known
