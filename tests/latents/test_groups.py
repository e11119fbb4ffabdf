import numpy as np
import pytest

from framework.config import Experiment, parse_overrides, with_overrides
from framework.config.schema import LatentsConfig
from framework.errors import LatentsError
from framework.latents.attributes.groups import (
    Condition,
    Group,
    UnknownGroupError,
    known_names,
    labels_of,
    resolve_group,
)
from framework.latents.directions.attributes import attributes_of
from tests.conftest import missing

LABELS = {"glasses": None, "female": None, "age_group": ("child", "young", "old"), "hat": ("none", "cap")}


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("glasses", Condition("glasses", "high")),
        ("no_glasses", Condition("glasses", "low")),
        ("old", Condition("age_group", "old", 2)),
        ("cap", Condition("hat", "cap", 1)),
        ("bare_eyes", Condition("glasses", "low")),
        ("elders", Condition("age_group", "old", 2)),
    ],
)
def test_names(name, condition):
    given = {"bare_eyes": {"attribute": "glasses", "at": "low"}, "elders": {"attribute": "age_group", "at": "old"}}
    assert resolve_group(name, LatentsConfig(groups=given), LABELS) == Group(name, None, condition)


def test_chosen_numbers_come_first_and_keep_what_the_assessor_knows():
    config = LatentsConfig(groups={"glasses": [16, 37], "winking": [3]})
    assert resolve_group("glasses", config, LABELS) == Group("glasses", (16, 37), Condition("glasses", "high"))
    assert resolve_group("winking", config, LABELS) == Group("winking", (3,), None)
    assert resolve_group("glasses", config, {}) == Group("glasses", (16, 37), None)


@pytest.mark.parametrize(
    ("name", "groups", "labels", "facts"),
    [
        ("smiling", {}, LABELS, ["'smiling'", "glasses, no_glasses, female, no_female, child, young, old"]),
        ("no_old", {}, LABELS, ["'no_old'"]),
        ("glasses", {}, {}, ["none", "assessor"]),
        ("x", {"x": {"attribute": "beard", "at": "low"}}, LABELS, ["latents.groups.x:", "'beard'", "glasses"]),
    ],
)
def test_unknown_groups_say_what_is_known(name, groups, labels, facts):
    with pytest.raises(UnknownGroupError) as fault:
        resolve_group(name, LatentsConfig(groups=groups), labels)
    assert missing(str(fault.value), *facts) == []


@pytest.mark.parametrize(
    ("name", "groups", "facts"),
    [
        ("x", {"x": {"attribute": "glasses", "at": "hi"}}, ["latents.groups.x: glasses", "high, low", "'hi'"]),
        ("x", {"x": {"attribute": "age_group", "at": "high"}}, ["age_group", "child, young, old", "'high'"]),
        ("age_group", {}, ["age_group", "child, young, old"]),
        ("none", {}, ["hat and beard", '"hat=none"']),
    ],
)
def test_groups_said_wrongly_are_another_fault(name, groups, facts):
    with pytest.raises(LatentsError) as fault:
        resolve_group(name, LatentsConfig(groups=groups), {**LABELS, "beard": ("none", "full")})
    assert missing(str(fault.value), *facts) == []
    assert not isinstance(fault.value, UnknownGroupError)


def test_conditions_read_scores():
    scores = {
        "glasses": np.array([0.1, 0.5, 0.9], np.float32),
        "age_group": np.array([[0.2, 0.3, 0.5], [0.4, 0.35, 0.25], [0.1, 0.45, 0.45]], np.float32),
    }
    high, low = Condition("glasses", "high"), Condition("glasses", "low")
    np.testing.assert_allclose(high.probability(scores) + low.probability(scores), 1)
    assert high.holds(scores).tolist() == [False, True, True]
    assert low.holds(scores).tolist() == [True, False, False]
    old = Condition("age_group", "old", 2)
    assert old.probability(scores).tolist() == pytest.approx([0.5, 0.25, 0.45])
    assert old.holds(scores).tolist() == [True, False, False]
    assert [c.text for c in (high, low, old)] == ["glasses", "no glasses", "old"]


def test_labels_of_an_assessor(make_judges):
    labels = labels_of(make_judges().finder)
    assert labels == {"glasses": None, "smiling": None, "female": None, "age_group": ("child", "young", "old")}
    assert labels_of(None) == {}
    names = known_names(LatentsConfig(groups={"glasses": [1], "mine": [2]}), labels)
    assert names[:2] == ["glasses", "mine"]
    assert names.count("glasses") == 1
    assert {"no_glasses", "old", "no_female"} <= set(names)


TWICE = {"race": ("Asian", "other"), "hair": ("other", "red"), "red": None}


def test_a_class_of_two_labels_has_the_name_of_both():
    names = ["Asian", "race=other", "hair=other", "hair=red", "red", "no_red"]
    assert known_names(LatentsConfig(), TWICE) == names
    assert [attribute.name for attribute in attributes_of(TWICE, None)] == names[:-1]
    assert resolve_group("hair=other", LatentsConfig(), TWICE).condition == Condition("hair", "other", 0)
    assert resolve_group("race=Asian", LatentsConfig(), TWICE).condition == Condition("race", "Asian", 0)
    with pytest.raises(LatentsError) as caught:
        resolve_group("other", LatentsConfig(), TWICE)
    assert missing(str(caught.value), "race", "hair", '"race=other"') == []


@pytest.mark.parametrize(
    ("written", "condition"),
    [
        ("{attribute: glasses, at: True}", Condition("glasses", "high")),
        ("{attribute: glasses, at: false}", Condition("glasses", "low")),
        ("{attribute: glasses, at: Yes}", Condition("glasses", "high")),
        ("{attribute: glasses, at: 0}", Condition("glasses", "low")),
        ("{attribute: emotion, at: 3}", Condition("emotion", "3", 1)),
        ("{attribute: old, at: True}", Condition("old", "True", 1)),  # packed by an earlier version
    ],
)
def test_values_that_yaml_reads_as_no_text(written, condition):
    labels = {"glasses": None, "emotion": ("0", "3"), "old": ("False", "True")}
    config = with_overrides(Experiment(), parse_overrides([f"latents.groups={{it: {written}}}"])).latents
    assert resolve_group("it", config, labels).condition == condition
