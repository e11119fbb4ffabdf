"""The page's part on the latent space: what it says of directions, and how little of it need be there."""

import json
import re
import shutil

import pytest

from framework.latents.directions.edits import EDITS
from framework.report.charts.heatmap import heat_map
from framework.report.read.directions import effects_of, strongest
from framework.report.read.films import read_strips_and_films
from framework.report.run_page.latent import path_lengths
from framework.storage import open_folder

pytestmark = pytest.mark.long

ODD = ("no JSON", "[]", "null", '"text"', "[" * 100_000, "")
EVIL = """<script>alert("x")</script>'"&<img src=x onerror=alert(1)>{{ 7 * 7 }}"""


def direction(target="", method="sefa", **slopes):
    """A direction's part of effects.json, each slope beside random directions of which 99% stay under 1."""
    attributes = {
        name: {
            "slope": slope, "interval": [slope - 0.1, slope + 0.1], "right_share": 0.9 if slope > 0 else 0.2,
            "random_rank": 1.0 if abs(slope) > 1 else 0.5, "random_99th": 1.0, "random_directions": 100,
        }
        for name, slope in slopes.items()
    }  # fmt: skip
    return {"method": method, "target": target, "attributes": attributes, "latents": 1000, "strengths": [-3, 0, 3]}


@pytest.fixture(scope="module")
def found(make_run, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs"), trials=1, directions=14)


@pytest.fixture(scope="module")
def few(make_run, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("few"), trials=1, directions=8)


def table(page):
    return page.source.split('<table class="directions sortable">')[1].split("</table>")[0]


def test_a_direction_is_told_by_its_own_attribute_or_the_one_it_moves_most_beyond_random():
    document = {
        "a.safetensors": direction("smiling", smiling=1.5, hat=4.0),
        "b.safetensors": direction("zoom", smiling=-2.0, hat=0.9),
        "c.safetensors": direction("smiling", smiling=3.0),
        "d.safetensors": direction("sefa_1", hat=0.5, smiling=-0.7),
        "e.safetensors": {"method": "sefa"},
    }
    found = effects_of(document)
    assert [(effect.stem, effect.attribute) for effect in found] == [
        ("c", "smiling"), ("b", "smiling"), ("a", "smiling"), ("d", "smiling"), ("e", None),
    ]  # fmt: skip
    shares = {effect.stem: effect.right_share for effect in found}
    # b has no right way round but its own; of what was made for smiling, what rises is right
    assert shares == {"a": 0.9, "b": pytest.approx(0.8), "c": 0.9, "d": pytest.approx(0.8), "e": None}


def test_each_attribute_has_one_strongest_direction_and_chance_has_none():
    found = effects_of(
        {
            "a.safetensors": direction(smiling=1.5, hat=-4.0, old=0.9),
            "b.safetensors": direction(smiling=-2.0, hat=3.0, old=0.2),
            "c.safetensors": direction(smiling=1.9, beard=5.0),
        }
    )
    assert strongest(found, most=8) == {"c": ["beard"], "a": ["hat"], "b": ["smiling"]}
    assert strongest(found, most=2) == {"c": ["beard"], "a": ["hat"]}


def test_the_heat_map_is_symmetric_and_leaves_chance_without_colour():
    document = {"a.safetensors": direction("hat", smiling=-4.0, hat=4.0), "b.safetensors": direction(smiling=0.99)}
    document["b.safetensors"]["attributes"]["hat"] = {"slope": 2.0}  # of which random directions nothing is known
    heat = heat_map(effects_of(document))
    assert heat.attributes == ["smiling", "hat"]
    assert heat.most == 4.0
    first, second = ({row.stem: row for row in heat.rows}[stem] for stem in "ab")
    assert [(cell.text, cell.style) for cell in first.cells] == [("−4.00", "down"), ("+4.00", "up")]
    assert first.cells[0].percent == first.cells[1].percent > 0
    assert [(cell.text, cell.style, cell.percent) for cell in second.cells] == [
        ("+0.99", "faint", 0), ("+2.00", "faint", 0),
    ]  # fmt: skip
    assert (first.own, second.own) == (1, None)


def test_the_page_shows_every_direction_and_films_of_the_strongest(found, page_of):
    page = page_of(found)
    assert page.unbalanced == []
    effects = json.loads((found / "artifacts" / "effects.json").read_text())
    rows = table(page).split("<tr>")[2:]
    assert len(rows) == len(effects) == 14
    stems = [re.search(r'data-value="([^"]+)"', row)[1] for row in rows]
    assert {f"{stem}.safetensors" for stem in stems} == set(effects)
    best = next(row for row in rows if 'data-value="smiling-interfacegan"' in row)
    slope = effects["smiling-interfacegan.safetensors"]["attributes"]["smiling"]["slope"]
    assert f'data-value="{slope!r}">+{slope:.2f}<small>95%: +' in best
    assert "100 of 100" in best
    heat = page.source.split('<table class="heat">')[1].split("</table>")[0]
    cells = {style: heat.count(f'<td class="{style}') for style in ("up", "down", "faint")}
    assert min(cells.values()) > 0
    assert sum(cells.values()) == 14 * 6
    assert heat.count(" own") == 13  # a zoom is for none
    walked = page.source.split('<table class="walked">')[1].split("</table>")[0]
    assert walked.count("<tr>") == 1 + 1
    for said in (EDITS["zoom"].unit, "-1.20 to +1.20", ">2<", "± 0.45"):
        assert said in walked.replace("−", "-"), said
    chosen = strongest(effects_of(effects), most=8)
    assert 1 < len(chosen) <= 6
    shown = page.source.split("The strongest directions")[1].split("<details>")[0]
    assert shown.count("<figure") == shown.count("<video") == len(chosen)
    assert page.source.count("<video") == 14 + 1
    assert page.source.count('src="data:video/mp4;base64,') == 14 + 1
    for said in ("anna", "21.2", "30.2", "median of 16, 14 recovered", "2 starts: 21.2 to 24.2",
                 "12.3 along the straight line", "15.5 along the sphere"):  # fmt: skip
        assert said in page.text, said
    assert page.section("interpolation").count("<video") == 1  # through many samples
    assert page.section("interpolation").count("<img") == 2  # and between four


def test_films_take_no_more_room_than_they_may_and_the_strongest_come_first(found):
    artifacts = open_folder(found / "artifacts")
    effects = effects_of(artifacts.read_json("effects.json"))
    every = read_strips_and_films(artifacts, effects)
    size, loop = len(every.strongest[0].film.uri), len(every.loop.uri)
    moving = read_strips_and_films(artifacts, effects, film_bytes=loop + 7 * size, rest_bytes=0)
    count = len(moving.strongest)
    assert [strip.film is not None for strip in moving.strongest] == [True] * count
    assert moving.loop is not None
    assert sum(strip.film is not None for strip in moving.rest) == 8 - count - 1
    assert len(moving.films_left_out) == 14 + 1 - 8
    assert moving.strips_left_out == 14 - count
    assert "artifacts/directions/sefa_1.gif" not in moving.films_left_out  # each is one film, whatever its formats


REMOVED = {
    "measurements": (["artifacts/effects.json"], "assessor (an attribute classifier)"),
    "pictures": (["artifacts/directions"], "python -m jobs.steer"),
    "all that was drawn": (["artifacts/directions", "artifacts/effects.json"], "8 directions"),
    "everything": (["artifacts", "directions"], "python -m jobs.discover"),
    "walks": (
        ["artifacts/loop.mp4", "artifacts/loop.gif", "artifacts/corners.png"],
        "python -m jobs.interpolate",
    ),
    "photographs": (["artifacts/projected.png", "artifacts/projections.json"], "python -m jobs.project"),
}


@pytest.mark.parametrize("missing", REMOVED)
def test_what_is_missing_leaves_the_rest(missing, few, page_of, tmp_path):
    run = shutil.copytree(few, tmp_path / "run")
    names, said = REMOVED[missing]
    for name in names:
        shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    page = page_of(run)
    assert page.unbalanced == []
    assert said in page.text
    assert ("errors" in page.by_class) == (missing not in ("photographs", "everything"))


@pytest.mark.parametrize("first", [0, 2])
def test_a_damaged_document_is_named_and_nothing_else_suffers(first, few, page_of, tmp_path):
    run = shutil.copytree(few, tmp_path / "run")
    for name, odd in zip(("effects", "projections", "interpolation", "arithmetic"), ODD[first:], strict=False):
        (run / "artifacts" / f"{name}.json").write_text(odd)
    page = page_of(run)
    assert page.unbalanced == []
    damaged = [f"artifacts/{name}.json" for name in ("effects", "projections", "interpolation", "arithmetic")]
    assert all(name in page.text for name in damaged)
    assert page.source.count("<video") == 8 + 1


def odd_effects():
    yield {EVIL: {"method": EVIL, "target": EVIL, "attributes": {EVIL: {"slope": 2.0, "random_99th": 1.0}}}}
    fields = (
        "direction",
        "method",
        "target",
        "attributes",
        "strengths",
        "latents",
        "data_strengths",
        "data_distance",
        "leaves_data_at",
    )
    for value in (None, [], {}, "x", 1e300, [[1]], {"a": 1}, -1, True):
        whole = direction("hat", hat=2.0)
        yield {"a.safetensors": {**whole, **dict.fromkeys(fields, value)}, "b.safetensors": value}
        yield {"a.safetensors": {**whole, "attributes": {"hat": value}}}
        for name in ("slope", "interval", "right_share", "random_rank", "random_99th", "random_directions"):
            yield {"a.safetensors": {**whole, "attributes": {"hat": {**whole["attributes"]["hat"], name: value}}}}


def test_odd_measurements_never_break_the_page(few, page_of, tmp_path):
    run = shutil.copytree(few, tmp_path / "run")
    for path in (run / "artifacts" / "directions").glob("*"):
        if "smiling-interfacegan." not in path.name:
            path.unlink()
    for path in (run / "trials").rglob("*.png"):
        path.unlink()
    every = list(odd_effects())
    # One page holds many oddities at once: what each of them does to a row does not hang on the others.
    merged = {f"../{number}-{file}": effect for number, one in enumerate(every) for file, effect in one.items()}
    (run / "artifacts" / "effects.json").write_text(json.dumps(merged))
    odd = [None, [], {}, "x", -1, [1, "x"], {"pixel_error": "x"}, {"name": EVIL, "start_errors": "x"}]
    projections = {"photos": [*odd, {"pixel_error": -5, "random_error": 1e300}], "held_out_generated": odd[1]}
    (run / "artifacts" / "projections.json").write_text(json.dumps(projections))
    page = page_of(run)
    assert page.unbalanced == []
    assert page.source.count("<script") == 1
    assert "onerror" not in {name for _, name, _ in page.attributes}
    assert "{{ 7 * 7 }}" in page.text
    for leaked in ("None", "nan", "inf", "Undefined"):
        assert leaked not in re.sub(r"none|information|Infinity", "", page.text), leaked


def test_a_damaged_film_gives_way_to_the_gif_and_a_damaged_strip_is_left_out(few, page_of, tmp_path):
    run = shutil.copytree(few, tmp_path / "run")
    folder = run / "artifacts" / "directions"
    for name in ("hat-interfacegan.mp4", "hat-interfacegan.png"):
        (folder / name).write_bytes(b"damaged")
    for name in ("beard-interfacegan.mp4", "beard-interfacegan.gif", "beard-interfacegan.png"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()  # of that name, and no file
    page = page_of(run)
    assert page.source.count("<video") == 8 + 1 - 2
    assert page.by_class["gif"] == 1


def test_path_lengths_that_are_odd_say_nothing():
    for odd in (None, [], {}, {"lerp": "x"}, {"lerp": None, "slerp": float("inf")}):
        assert path_lengths({"path_length": odd}) == ""
    only = path_lengths({"path_length": {"slerp": 2.0}})
    assert "2" in only.split()
    assert "straight" not in only
