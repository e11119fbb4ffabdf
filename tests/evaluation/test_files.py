"""Which files of a folder or archive are scored."""

import io

import pytest
from PIL import Image

from framework.config import DataConfig
from framework.data import prepare
from framework.errors import EvaluationError
from framework.evaluation.sources.source import find_source, open_source


def png(number):
    data = io.BytesIO()
    Image.new("RGB", (16, 16), (number, 0, 0)).save(data, "PNG")
    return data.getvalue()


def test_a_score_takes_the_files_that_are_packed(tmp_path):
    names = ["a.png", "b", "c.jpg.chip", "55_0_0_20170116jpg", "e.pg", "24_0_1 .jpg", "g.dat"]
    others = {
        "features.h5": b"\x89HDF\r\n\x1a\n" + bytes(200),
        "paper.pdf": b"%PDF-1.4\n",
        "walk.mpg": b"\0\0\1\xba" + bytes(50),
        "labels.csv": b"file,x\na.png,1\n",
        "empty": b"",
        ".hidden.png": png(99),
    }
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(png(number))
    for name, data in others.items():
        (tmp_path / name).write_bytes(data)
    source = find_source(str(tmp_path), samples=0, seed=0)
    packed = prepare(
        DataConfig(source="folder", path=str(tmp_path), resolution=28, max_rejected=0.5, held_out=0.0),
        cache=tmp_path / ".cache",
    )
    assert source.count == len(packed) == len(names)
    assert dict(source.left_out) == {"not an image": 4, "empty file": 1, "hidden": 1}
    assert open_source(source)(0, 7)[:, 0, 0, 0].tolist() == [names.index(name) for name in sorted(names)]


@pytest.mark.parametrize("data", [b"", b"<html>", png(3)[:40]])
def test_a_file_that_is_named_like_an_image_must_be_one(tmp_path, data):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(EvaluationError, match=r"bad\.png"):
        find_source(str(tmp_path), samples=0, seed=0)
