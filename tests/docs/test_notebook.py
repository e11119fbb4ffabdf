"""The notebook runs as it is written, and shows what it says that it shows."""

import base64
import json
from pathlib import Path

import pytest

from tests.docs.notebook import run, source

PLACE = Path(__file__).parents[2] / "docs" / "foreign_generator.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return json.loads(PLACE.read_text())


def test_its_cells_run_and_show_what_lies_there(notebook):
    again = run(notebook)
    for there, here in zip(notebook["cells"], again["cells"], strict=True):
        kinds = [[(out["output_type"], sorted(out.get("data", {}))) for out in cell.get("outputs", [])]
                 for cell in (there, here)]  # fmt: skip
        assert kinds[0] == kinds[1], source(there)
        assert there.get("execution_count") == here.get("execution_count")


def test_its_pictures_are_small_and_no_path_of_a_machine_is_in_it(notebook):
    pictures = [
        base64.b64decode(out["data"]["image/png"])
        for cell in notebook["cells"]
        for out in cell.get("outputs", [])
        if "image/png" in out.get("data", {})
    ]
    assert pictures
    assert sum(map(len, pictures)) < 100_000
    assert not [word for word in ("/home/", "/work/", "/root/", "/tmp/") if word in PLACE.read_text()]
