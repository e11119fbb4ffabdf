import json

import numpy as np
import pytest

from framework.config.experiment import Experiment
from framework.config.loading import parse_overrides
from framework.config.schema import LatentsConfig
from framework.errors import LatentsError
from framework.latents.arithmetic.run import run_arithmetic
from framework.latents.arithmetic.selection import SURE
from framework.latents.attributes.shares import Share
from framework.latents.protocols import assess_latents, merge_assessed
from tests.conftest import missing

GLASSES_RATE, HALF, OLD_RATE = 0.2119, 0.5, 0.2420  # of normal latents past 0.8, 0 and 0.7


def within(row: dict, rate: float) -> bool:
    """Whether a known rate is where the measured interval, widened from 95% to about 99.9%, says it is."""
    low, high = row["random_interval"]
    return low - 0.7 * (high - low) / 2 <= rate <= high + 0.7 * (high - low) / 2


@pytest.fixture
def config():
    return LatentsConfig(arithmetic={"group_size": 12})


@pytest.fixture
def usual(toy, make_judges, config):
    return run_arithmetic(toy, config, assessors=make_judges())


def test_what_is_linear_succeeds_always_and_chance_by_the_product_of_rates(usual):
    together, glasses, smiling = usual.document["measured"]
    assert [row["attribute"] for row in (together, glasses, smiling)] == ["glasses and smiling", "glasses", "smiling"]
    assert together["share"] == glasses["share"] == smiling["share"] == 1.0
    assert together["count"] == together["repeats"] == 100
    assert together["interval"] == [round(end, 4) for end in Share(100, 100).interval]
    assert within(together, GLASSES_RATE * HALF)
    assert within(glasses, GLASSES_RATE)
    assert within(smiling, HALF)
    assert together["random_samples"] == 2000


def test_the_picture_is_of_the_surest_samples_and_their_means(usual, toy):
    document = usual.document
    latents = toy.sample_latents(2000, 0)
    means = {}
    for name, group in document["groups"].items():
        members = latents[[number - 1 for number in group["numbers"]]]
        assert group["chosen_by"] == "assessor"
        assert len(members) == 12
        assert min(group["scores"]) >= SURE
        assert sorted(group["scores"], reverse=True) == group["scores"]
        means[name] = members.mean(axis=0)
    assert (latents[[n - 1 for n in document["groups"]["glasses"]["numbers"]], 0] > 0.8).all()
    result = means["glasses"] - means["no_glasses"] + means["smiling"]
    np.testing.assert_allclose(usual.latent, result, atol=1e-6)
    assert document["latent_norm"]["result"] == pytest.approx(np.linalg.norm(result), abs=1e-3)
    assert document["latent_norm"]["typical"] == pytest.approx(3.084, abs=1e-3)
    assert min(document["result"]["assessed"].values()) > 0.9
    large = toy.images(result[None])[0].repeat(8, axis=0).repeat(8, axis=1)  # the result, at 256 pixels
    height, width = usual.picture.shape[:2]
    corners = [(top, left) for top in range(height - 255) for left in range(width - 280 - 8, width - 255)]
    assert any((usual.picture[top : top + 256, left : left + 256] == large).all() for top, left in corners)


def test_members_are_chosen_by_the_finder_and_judged_by_the_measurer(toy, make_judges, config, usual):
    blind = run_arithmetic(toy, config, assessors=make_judges(measurer_wrong=True))
    assert blind.document["groups"] == usual.document["groups"]
    assert {row["share"] for row in blind.document["measured"]} == {0.0}
    assert {row["random_share"] for row in blind.document["measured"]} == {0.0}
    assert blind.document["protocol"]["measurer"] == "measurer"
    assert blind.document["protocol"]["finder"] == "finder"


def test_how_the_work_is_shared_out_changes_nothing(toy, make_judges, config, usual):
    calls = []

    def in_parts(latents):
        calls.append(len(latents))
        parts = [assess_latents(toy, make_judges(), latents[k : k + 64]) for k in range(0, len(latents), 64)]
        return merge_assessed(parts)

    shared = run_arithmetic(toy, config, assessors=make_judges(), assess=in_parts)
    assert sum(calls) == 2000 + 100 + 3 * 12 + 1
    assert json.dumps(shared.document) == json.dumps(usual.document)
    assert np.array_equal(shared.picture, usual.picture)


def test_the_seed_decides(toy, make_judges, config, usual):
    other = run_arithmetic(toy, config.model_copy(update={"seed": 1}), assessors=make_judges())
    assert other.document["groups"]["glasses"]["numbers"] != usual.document["groups"]["glasses"]["numbers"]


def test_chosen_numbers_are_those_of_the_sheet(toy, make_judges):
    groups = {"glasses": [16, 37, 83], "no_glasses": [91, 92, 89], "smiling": [11, 21, 71]}
    config = LatentsConfig(groups=groups)
    plain = run_arithmetic(toy, config, assessors=None)
    sheet = toy.sample_latents(100, 0)
    pick = {name: sheet[[number - 1 for number in numbers]].mean(axis=0) for name, numbers in groups.items()}
    np.testing.assert_allclose(plain.latent, pick["glasses"] - pick["no_glasses"] + pick["smiling"], atol=1e-6)
    assert plain.document["measured"] == []
    assert plain.document["scores"] == []
    assert "assessor" in plain.notes[0]["text"]
    assert plain.picture is not None
    assert all(group["scores"] is None for group in plain.document["groups"].values())

    judged = run_arithmetic(toy, config, assessors=make_judges())
    assert np.array_equal(judged.latent, plain.latent)
    assert [group["numbers"] for group in judged.document["groups"].values()] == list(groups.values())
    assert judged.document["groups"]["glasses"]["chosen_by"] == "person"
    assert len(judged.document["groups"]["glasses"]["scores"]) == 3
    assert judged.document["measured"][0]["repeats"] == 100


def test_numbers_of_what_the_assessor_does_not_know_are_shown_and_not_measured(toy, make_judges):
    config = LatentsConfig(groups={"winking": [1, 2]}, arithmetic={"expression": "winking + smiling"})
    made = run_arithmetic(toy, config, assessors=make_judges())
    assert made.document["measured"] == []
    assert made.document["groups"]["winking"]["condition"] is None
    assert made.document["groups"]["smiling"]["chosen_by"] == "assessor"
    assert set(made.document["result"]["assessed"]) == {"smiling"}
    (note,) = made.notes
    assert missing(note["text"], "assessor", "winking") == []


def test_without_labels_what_there_is_is_run_and_the_way_to_finish_is_said(toy, make_judges):
    target = "'runs/a b' model.entry=faces:generator"
    made = run_arithmetic(
        toy, LatentsConfig(arithmetic={"group_size": 12}), assessors=make_judges(["female", "age_group"]), target=target
    )
    assert made.document["expression"] == "old - young + female"
    assert made.document["requested_expression"] == "glasses - no_glasses + smiling"
    assert [row["attribute"] for row in made.document["measured"]] == ["old and female", "old", "female"]
    assert within(made.document["measured"][0], OLD_RATE * HALF)
    note = made.notes[0]
    assert missing(note["text"], "glasses", "no_glasses", "smiling", "'old - young + female'") == []
    assert note["command"] == (
        f"python -m jobs.arithmetic {target} 'latents.groups={{glasses: […], no_glasses: […], smiling: […]}}'"
    )


def test_with_nothing_known_there_is_the_sheet_and_the_command(toy):
    config = LatentsConfig(groups={"mine": [4, 5], "glasses": [1], "odd": {"attribute": "hat", "at": "low"}})
    made = run_arithmetic(toy, config, assessors=None)
    assert made.picture is None
    assert made.latent is None
    assert made.document["measured"] == []
    (note,) = made.notes
    assert missing(note["text"], "sheet") == []
    command = note["command"].replace("…", "7, 8")
    groups = parse_overrides([command.split("'")[1]])["latents.groups"]
    assert groups == {
        "mine": [4, 5],
        "glasses": [1],
        "odd": {"attribute": "hat", "at": "low"},
        "no_glasses": [7, 8],
        "smiling": [7, 8],
    }
    finished = run_arithmetic(toy, Experiment.model_validate({"latents": {"groups": groups}}).latents, assessors=None)
    assert finished.document["expression"] == "glasses - no_glasses + smiling"


def test_where_the_user_named_the_expression_an_unknown_group_is_an_error(toy, make_judges):
    config = LatentsConfig(arithmetic={"expression": "glases + smiling"})
    with pytest.raises(
        LatentsError, match=r"latents.arithmetic.expression: no group 'glases'; known: glasses, no_glasses, smil"
    ):
        run_arithmetic(toy, config, assessors=make_judges(), fallback=False)


def test_rare_groups_take_the_surest_and_say_so(toy, make_judges):
    config = LatentsConfig(arithmetic={"candidates": 60, "expression": "glasses + smiling", "group_size": 4})
    made = run_arithmetic(toy, config, assessors=make_judges())
    texts = [note["text"] for note in made.notes]
    glasses = made.document["groups"]["glasses"]
    assert glasses["surely_assessed"] < 11
    assert glasses["repeats_draw_from"] == 7
    facts = (f"{glasses['surely_assessed']} of 60", 0.9, f"{glasses['repeats_least_score']:.2f}")
    assert any(not missing(text, "glasses", *facts) for text in texts)
    facts = ("7 samples", f"{glasses['repeats_a_sample_is_in']} times")
    assert any(not missing(text, "glasses", *facts) for text in texts)


def test_contradictions_and_expressions_without_plus_are_said(toy, make_judges):
    both = run_arithmetic(toy, LatentsConfig(arithmetic={"expression": "old + young"}), assessors=make_judges())
    assert both.document["measured"][0]["share"] == 0.0
    assert any(not missing(note["text"], "old", "young") for note in both.notes)
    minus = run_arithmetic(toy, LatentsConfig(arithmetic={"expression": "- glasses"}), assessors=make_judges())
    assert minus.document["measured"] == []
    assert any("added with +" in note["text"] for note in minus.notes)


def test_faults(toy, make_judges):
    with pytest.raises(LatentsError, match=r"latents.arithmetic.candidates: 60 samples are too few for 2 groups of 30"):
        run_arithmetic(
            toy,
            LatentsConfig(arithmetic={"candidates": 60, "group_size": 30, "expression": "old + female"}),
            assessors=make_judges(),
        )
    assessors = make_judges()
    assessors.measurer.known = ("smiling",)
    with pytest.raises(LatentsError, match="the two assessors have different labels"):
        run_arithmetic(toy, LatentsConfig(), assessors=assessors)
    with pytest.raises(LatentsError, match=r"latents.arithmetic.expression: 'a b', character 3"):
        run_arithmetic(toy, LatentsConfig(arithmetic={"expression": "a b"}), assessors=None)


def test_a_score_names_its_protocol(usual):
    (first, *_) = usual.document["scores"]
    assert first["metric"] == "latent_arithmetic_share"
    assert first["value"] == usual.document["measured"][0]["share"]
    wanted = {"expression", "finder", "measurer", "seed", "candidates", "group_size", "repeats", "random_share"}
    assert wanted <= set(first["protocol"])


def test_grey_images(grey_toy, make_judges, config):
    assert run_arithmetic(grey_toy, config, assessors=make_judges()).picture.shape[2] == 3


def test_a_photograph_is_a_group_of_its_own(toy, make_judges):
    """me + smiling - no_smiling, and me alone where nothing is asked of an assessor."""
    me = toy.sample_latents(1, 99)[0]
    config = LatentsConfig(arithmetic={"expression": "me + smiling - no_smiling", "candidates": 200})
    found = run_arithmetic(toy, config, assessors=make_judges(), photographs={"me": me})
    groups = found.document["groups"]
    assert (groups["me"]["chosen_by"], groups["me"]["numbers"]) == ("photograph", [])
    chosen = [
        toy.sample_latents(200, 0)[[number - 1 for number in groups[name]["numbers"]]].mean(axis=0)
        for name in ("smiling", "no_smiling")
    ]
    np.testing.assert_allclose(found.latent, me + chosen[0] - chosen[1], atol=1e-5)
    assert found.document["measured"] == []
    assert missing(found.document["notes"][-1]["text"], "repeats", "one me") == []
    alone = run_arithmetic(toy, LatentsConfig(arithmetic={"expression": "me"}), assessors=None, photographs={"me": me})
    assert np.array_equal(alone.latent, me)
