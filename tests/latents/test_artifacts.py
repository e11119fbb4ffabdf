import io

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from framework.config.schema import LatentsConfig
from framework.latents.arithmetic.run import run_arithmetic
from framework.latents.artifacts import (
    read_sheet_latents,
    write_arithmetic,
    write_corners,
    write_interpolation,
    write_loop,
    write_samples,
    write_sheet,
)
from framework.storage import open_folder


@pytest.fixture
def folder(tmp_path):
    return open_folder(tmp_path / "artifacts")


def picture(folder, name):
    return np.asarray(Image.open(io.BytesIO(folder.read_bytes(name))))


def test_all_files_of_a_run(toy, make_judges, folder, tmp_path):
    config = LatentsConfig(seed=2, walks={"loop_samples": 2, "corner_steps": 2})
    names = write_samples(folder, toy, config)
    names += write_corners(folder, toy, config)
    names += write_loop(folder, toy, config)
    names += write_interpolation(folder, toy, config, about={"checkpoint": "000000128000"})
    names += write_sheet(folder, toy, config, about={"generator": "abc"})
    made = run_arithmetic(toy, config, assessors=make_judges())
    names += write_arithmetic(folder, made, about={"checkpoint": "000000128000"})
    assert sorted(names) == folder.list()
    assert picture(folder, "samples.png").shape == (3 * 136 + 8, 3 * 136 + 8, 3)
    assert folder.read_json("interpolation.json")["checkpoint"] == "000000128000"
    document = folder.read_json("arithmetic.json")
    assert document.pop("checkpoint") == "000000128000"
    assert document == made.document
    assert np.array_equal(picture(folder, "arithmetic.png"), made.picture)
    assert np.array_equal(read_sheet_latents(folder), toy.sample_latents(100, 2))
    with safe_open(tmp_path / "artifacts" / "sheet_latents.safetensors", framework="numpy") as stored:
        assert stored.metadata() == {"seed": "2", "numbers": "1 to 100", "generator": "abc"}


def test_a_tile_of_the_sheet_is_the_image_of_its_latent(toy, folder):
    write_sheet(folder, toy, LatentsConfig(arithmetic={"sheet_samples": 23}))
    sheet = picture(folder, "sheet.png")
    for number in (1, 7, 23):
        tile = toy.images(read_sheet_latents(folder)[[number - 1]])[0].repeat(4, axis=0).repeat(4, axis=1)
        left = 24 + (number - 1) % 5 * 140
        tops = [top for top in range(sheet.shape[0] - 127) if (sheet[top : top + 128, left : left + 128] == tile).all()]
        assert len(tops) == 1
        assert (tops[0] - 24 - 41) // 164 == (number - 1) // 5


def test_no_old_film_stays_where_none_is_wanted(toy, folder):
    write_loop(folder, toy, LatentsConfig(walks={"loop_samples": 2}))
    assert folder.list() == ["loop.gif", "loop.mp4"]
    assert write_loop(folder, toy, LatentsConfig(walks={"loop_samples": 0})) == []
    assert folder.list() == []


def test_no_old_equation_stays_beside_a_document_without_one(toy, make_judges, folder):
    write_arithmetic(folder, run_arithmetic(toy, LatentsConfig(), assessors=make_judges()))
    assert folder.exists("arithmetic.png")
    assert write_arithmetic(folder, run_arithmetic(toy, LatentsConfig(), assessors=None)) == ["arithmetic.json"]
    assert folder.list() == ["arithmetic.json"]
