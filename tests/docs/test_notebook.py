"""The notebook runs as it is written, and shows what it says that it shows.

    python tests/docs/test_notebook.py

runs its cells in order and writes what they show into it, as Jupyter would: what is printed, and the last expression's
picture or text.
"""

import ast
import base64
import contextlib
import io
import json
import re
from pathlib import Path

import pytest
import torch

pytestmark = [pytest.mark.long, pytest.mark.timeout(200)]

PLACE = Path(__file__).parents[2] / "docs" / "foreign_generator.ipynb"


def run(notebook: dict) -> dict:
    """The same notebook with the outputs of this run; what a cell raises comes through."""
    names, cells, number, threads = {"__name__": "__main__"}, [], 0, torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine threads of small networks wait for each other, a hundred times as long
    for cell in notebook["cells"]:
        shown = {}
        if cell["cell_type"] == "code":
            number += 1
            shown = {"execution_count": number, "outputs": outputs(source(cell), names, number)}
        cells.append({**cell, **shown})
    torch.set_num_threads(threads)
    return {**notebook, "cells": cells}


def source(cell: dict) -> str:
    return "".join(cell["source"])


def outputs(code: str, names: dict, number: int) -> list[dict]:
    """What one cell shows."""
    tree = ast.parse(code)
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"<cell {number}>", "exec"), names)
        if last is not None:
            value = eval(compile(last, f"<cell {number}>", "eval"), names)
    found = []
    if printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(keepends=True)})
    if value is not None:
        data = {"text/plain": [re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))]}
        if hasattr(value, "_repr_png_"):
            data["image/png"] = base64.b64encode(value._repr_png_()).decode()
        found.append({"output_type": "execute_result", "execution_count": number, "data": data, "metadata": {}})
    return found


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
    cells = json.loads(PLACE.read_text())["cells"]
    shown = [out for cell in cells for out in cell.get("outputs", [])]
    words = [*map(source, cells), *("".join([*out.get("text", ()), *out.get("traceback", ())]) for out in shown)]
    words += [
        "".join(text) for out in shown for kind, text in out.get("data", {}).items() if not kind.startswith("image/")
    ]
    assert not re.findall(r"(?<![\w.:/)])/[a-z]+/\S*", "\n".join(words))


if __name__ == "__main__":
    PLACE.write_text(json.dumps(run(json.loads(PLACE.read_text())), indent=1, ensure_ascii=False) + "\n")
