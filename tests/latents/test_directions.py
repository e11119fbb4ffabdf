"""Directions of known answers: a linear toy generator with known factors, and the file they are kept in."""

import dataclasses
import json

import numpy as np
import pytest
from torch import nn

from framework.config import LatentsConfig
from framework.errors import LatentsError
from framework.latents.directions.direction import (
    Direction,
    Walk,
    load_direction,
    name_of,
    save_direction,
    stem_of,
    unit,
)
from framework.latents.directions.methods.ganspace import ganspace
from framework.latents.directions.methods.interfacegan import boundary_normal, conditional, difference_normal, surest
from framework.latents.directions.methods.sefa import first_weight, sefa
from framework.models import sample_latents
from framework.orchestration.studies.chosen import chosen_files
from framework.orchestration.studies.discover import check_names, work_parts
from framework.storage import open_folder
from tests.conftest import missing

SIZE = 16


def orthogonal(size=SIZE, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


@pytest.fixture(scope="module")
def factors():
    """[z,z], row k the k-th strongest factor of the toy: its output is their coordinates, scaled."""
    return orthogonal()


@pytest.fixture(scope="module")
def weight(factors):
    """[out,z] of a toy whose factors have strengths 16, 15, …"""
    strengths = np.arange(SIZE, 0, -1.0)
    return np.linalg.qr(np.random.default_rng(1).normal(size=(40, SIZE)))[0] @ np.diag(strengths) @ factors


def cosine(a, b):
    return float(abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b))


def test_sefa_finds_the_factors(weight, factors):
    found = sefa(weight, count=SIZE)
    assert min(cosine(a, b) for a, b in zip(found.vectors, factors, strict=True)) >= 0.999
    strengths = np.arange(SIZE, 0, -1.0) ** 2
    np.testing.assert_allclose(found.shares, strengths / strengths.sum(), rtol=1e-9)
    with pytest.raises(LatentsError, match="17 is more than the 16 dimensions"):
        sefa(weight, count=17)


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(SIZE, 12), nn.ConvTranspose2d(SIZE, 3, 2), nn.Conv2d(SIZE, 12, 1)],
    ids=lambda x: type(x).__name__,
)
def test_the_first_layer_is_found_whatever_its_kind(layer):
    maps = [] if isinstance(layer, nn.Linear) else [nn.Unflatten(1, (SIZE, 1, 1))]
    network = nn.Sequential(*maps, layer, nn.Flatten(), nn.ReLU(), nn.Linear(12, 5))
    weight = first_weight(network, SIZE)
    assert weight.shape == (12, SIZE)
    latents = sample_latents(3, SIZE, seed=0)
    given = latents if isinstance(layer, nn.Linear) else latents[:, :, None, None]
    import torch

    with torch.no_grad():
        out = layer(torch.from_numpy(given)).numpy().reshape(3, -1)
        bias = layer(torch.zeros(given[:1].shape)).numpy().reshape(1, -1)
    np.testing.assert_allclose(latents @ weight.T, out - bias, atol=1e-5)
    with pytest.raises(LatentsError, match=f"whose input is the {SIZE} entries of a latent"):
        first_weight(nn.ReLU(), SIZE)


class Batches:
    """Latents and the toy's activations, batch by batch, as often as wanted."""

    def __init__(self, weight, *, count=8, rows=2_000):
        self.weight, self.count, self.rows = weight, count, rows

    def __iter__(self):
        for k in range(self.count):
            latents = sample_latents(self.rows, SIZE, seed=0, start=k * self.rows).astype(np.float64)
            yield latents, latents @ self.weight.T + 3.0


def test_ganspace_finds_the_factors():
    """Strengths far apart: with 16,000 samples neighbouring components still mix by their ratio over √n."""
    factors = orthogonal(seed=3)
    strengths = 2.0 ** -np.arange(SIZE)
    weight = np.linalg.qr(np.random.default_rng(1).normal(size=(40, SIZE)))[0] @ np.diag(strengths) @ factors
    found = ganspace(Batches(weight), count=4)
    assert min(cosine(a, b) for a, b in zip(found.vectors, factors, strict=False)) >= 0.999
    with pytest.raises(LatentsError, match="4 components need 4 samples, not 3"):
        ganspace(Batches(weight, rows=3), count=4)


def test_interfacegan_finds_the_normal():
    normal = unit(np.random.default_rng(5).normal(size=SIZE))
    latents = sample_latents(20_000, SIZE, seed=1)
    low, high = surest(latents @ normal, count=2_000)
    assert cosine(boundary_normal(latents[low], latents[high]), normal) >= 0.99
    assert boundary_normal(latents[low], latents[high]) @ normal > 0


def test_a_compass_of_ten_an_end_finds_the_normal():
    cosines = []
    for seed in range(20):
        normal = unit(np.random.default_rng(seed).normal(size=SIZE))
        latents = sample_latents(100, SIZE, seed=seed)
        low, high = surest(latents @ normal, count=10)
        cosines.append(boundary_normal(latents[low], latents[high]) @ normal)
    assert np.median(cosines) >= 0.8
    assert min(cosines) > 0.6


def test_a_difference_of_means_points_from_low_to_high():
    latents = sample_latents(4_000, SIZE, seed=2)
    normal = unit(np.ones(SIZE))
    low, high = surest(latents @ normal, count=500)
    assert difference_normal(latents[low], latents[high]) @ normal > 0.99


def test_a_conditional_direction_leaves_the_others_alone():
    a, b, c = orthogonal(seed=7)[:3]
    found = conditional(a + 0.5 * b - 0.2 * c, [b, b + c])
    assert abs(found @ b) < 1e-6
    assert abs(found @ c) < 1e-6
    assert found @ a == pytest.approx(1)
    with pytest.raises(LatentsError, match="nothing is left"):
        conditional(b, [a, b])


def test_one_pile_or_too_few_is_one_line():
    latents = sample_latents(5, SIZE, seed=0)
    with pytest.raises(LatentsError, match="at least 2 samples on each side, but the high side has 1"):
        boundary_normal(latents[:4], latents[4:])
    with pytest.raises(LatentsError, match="10 samples per side need at least 20 candidates, not 5"):
        surest(latents[:, 0], count=10)


def direction(**more):
    vector = unit(np.arange(1.0, SIZE + 1))
    about = {"settings": {"samples": 100}, "made_of": {"assessor": "c" * 64}, "effect": {"slope": 0.5}}
    return Direction("smiling", "interfacegan", vector, 1.5, "a" * 64, **about, **more)


def walk(seed):
    rng = np.random.default_rng(seed)
    shapes = {"in_weight": (8, SIZE), "in_bias": (8,), "out_weight": (SIZE, 8), "out_bias": (SIZE,)}
    return Walk(**{name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})


@pytest.mark.parametrize("nonlinear", [False, True])
def test_a_file_gives_back_what_was_saved(tmp_path, nonlinear):
    given = direction(**({"forward": walk(0), "backward": walk(1)} if nonlinear else {}))
    folder = open_folder(tmp_path)
    assert save_direction(given, folder) == f"{folder.location}/smiling.safetensors"
    found = load_direction(folder, "smiling.safetensors")
    for field in dataclasses.fields(Direction):
        a, b = getattr(given, field.name), getattr(found, field.name)
        if field.name in ("vector", "forward", "backward"):
            continue
        assert a == b, field.name
    assert np.array_equal(found.vector, given.vector)
    latents = sample_latents(5, SIZE, seed=0)
    for strength in (-2.5, 0.0, 1.0):
        assert np.array_equal(found.moved(latents, strength), given.moved(latents, strength))


def test_strengths_are_natural_steps_and_walks_go_step_by_step():
    latents = sample_latents(3, SIZE, seed=0)
    straight = direction()
    np.testing.assert_allclose(straight.moved(latents, -2), latents - 3.0 * straight.vector, rtol=1e-6)
    curved = direction(forward=walk(0), backward=walk(1))
    once = latents + curved.forward.step(latents)
    np.testing.assert_allclose(curved.moved(latents, 1), once, rtol=1e-5)
    np.testing.assert_allclose(curved.moved(latents, 1.5), once + 0.5 * curved.forward.step(once), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(curved.moved(latents, -1), latents + curved.backward.step(latents), rtol=1e-5)
    assert np.array_equal(curved.moved(latents, 0), latents)


def test_another_generator_is_told_and_another_size_refused():
    place = "directions/smiling.safetensors"
    assert direction().check(latent_size=SIZE, generator="a" * 64, place=place) is None
    told = direction().check(latent_size=SIZE, generator="b" * 64, place=place)
    assert missing(told, f"{place}:", "a" * 8, "b" * 8) == []
    with pytest.raises(LatentsError, match=r"size 16,.* size 64"):
        direction().check(latent_size=64, generator="a" * 64, place=place)


def test_a_damaged_or_missing_file_is_one_line(tmp_path):
    folder = open_folder(tmp_path)
    save_direction(direction(), folder)
    with pytest.raises(LatentsError, match=r"frown\.safetensors: does not exist"):
        load_direction(folder, "frown.safetensors")
    data = (tmp_path / "smiling.safetensors").read_bytes()
    for damaged in (
        data[:40],
        b"",
        data.replace(b'"format\\": 1', b'"format\\": 9'),
        data.replace(b"method", b"mxthod"),
    ):
        (tmp_path / "smiling.safetensors").write_bytes(damaged)
        with pytest.raises(LatentsError, match=r"smiling\.safetensors: "):
            load_direction(folder, "smiling.safetensors")


@pytest.mark.parametrize("name", ["in_weight", "in_bias", "out_weight", "out_bias"])
@pytest.mark.parametrize("damage", [lambda array: array[..., :-1], lambda array: array * np.float32(np.nan)])
def test_a_walk_whose_parts_do_not_fit_is_one_line(tmp_path, name, damage):
    """It was read, and the job that moved latents along it ended with a traceback."""
    folder = open_folder(tmp_path)
    sides = {"in_weight": (3, SIZE), "in_bias": (3,), "out_weight": (SIZE, 3), "out_bias": (SIZE,)}
    walk = Walk(**{each: np.ones(sides[each], np.float32) for each in sides})
    damaged = dataclasses.replace(walk, **{name: damage(getattr(walk, name))})
    save_direction(dataclasses.replace(direction(), forward=walk, backward=damaged), folder)
    with pytest.raises(LatentsError, match=r"smiling\.safetensors: .*\(backward\.\w+ must be"):
        load_direction(folder, "smiling.safetensors")


def test_a_message_quotes_little_of_a_damaged_file(tmp_path):
    header = json.dumps({"vector": "x" * 100_000}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(LatentsError) as raised:
        load_direction(open_folder(tmp_path), "a.safetensors")
    assert len(str(raised.value)) < 500


def test_moved_latents_may_keep_their_length():
    latents = np.random.default_rng(0).normal(size=(20, 10)).astype(np.float32)
    free = Direction("a", "ganalyze", np.eye(10, dtype=np.float32)[0], 2.0, "")
    held = dataclasses.replace(free, keeps_length=True)
    moved = held.moved(latents, 1.5)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.linalg.norm(latents, axis=1), rtol=1e-6)
    away = latents + 3 * free.vector
    cosines = (moved * away).sum(axis=1) / np.linalg.norm(moved, axis=1) / np.linalg.norm(away, axis=1)
    assert cosines == pytest.approx(1, abs=1e-6)
    assert np.array_equal(free.moved(latents, 1.5), away)
    assert held.digest != free.digest == dataclasses.replace(free, name="b", effect={"x": 1}).digest


NAMES = ["a/b", "a\\b", "50%", "a%2Fb", ".tmp-x", "Ärmel 名", "a\nb", "C:", "-rf", "%", "x" * 200]


@pytest.mark.parametrize("name", NAMES)
def test_a_direction_of_any_name_is_a_file_that_is_listed(tmp_path, name):
    folder = open_folder(tmp_path)
    save_direction(dataclasses.replace(direction(), name=name), folder)
    (file,) = folder.list()
    assert load_direction(folder, file).name == name == name_of(stem_of(name))
    assert chosen_files([name], [file, "other-sefa.safetensors"]) == [file]


def test_a_direction_is_chosen_by_the_attribute_it_was_found_for():
    files = ["a%2Fb-ganalyze.safetensors", "b-ganalyze.safetensors"]
    assert chosen_files(["a/b"], files) == chosen_files(["a%2Fb-ganalyze"], files) == files[:1]


def test_a_file_of_another_name_is_read_and_written_back_as_it_is_named(tmp_path):
    folder = open_folder(tmp_path)
    save_direction(direction(), folder, "50% grey.safetensors")  # as it was written once
    known = load_direction(folder, "50% grey.safetensors")
    assert known.name == "50% grey"
    save_direction(known, folder, "50% grey.safetensors")
    assert folder.list() == ["50% grey.safetensors"]


@pytest.mark.parametrize(
    "name", ["", "..", ".", "../x", "a/../b", "/etc/x", "a\0b", "\ud800", "x" * 201, "Ä" * 101, "/" * 70]
)
def test_a_name_that_no_file_can_have_is_refused_before_the_work(tmp_path, name):
    with pytest.raises(LatentsError, match="a direction cannot be named") as refused:
        check_names([name], LatentsConfig())
    assert str(refused.value).isascii()
    with pytest.raises(LatentsError):
        save_direction(dataclasses.replace(direction(), name=name), open_folder(tmp_path))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("named", [None, ["old", "smiling"]])
def test_each_part_of_ganalyze_learns_one_attribute(named):
    settings = LatentsConfig.model_validate({"directions": {"method": "ganalyze", "attributes": named}})
    parts = work_parts(settings, {"smiling": None, "age_group": ["young", "old"]}, channels=3)
    names = named or ["smiling", "young", "old"]
    assert [part.directions.attributes for part, _ in parts] == [[name] for name in names]
    assert [stem for _, stem in parts] == [f"{name}-ganalyze" for name in names]
