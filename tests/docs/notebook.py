"""Runs a notebook's code cells in order and keeps what they show, without Jupyter.

    python -m tests.docs.notebook docs/foreign_generator.ipynb

writes the outputs into the file: what is printed, and the last expression's picture or text, as Jupyter would.
"""

import ast
import base64
import contextlib
import io
import json
import re
import sys
from pathlib import Path


def run(notebook: dict) -> dict:
    """The same notebook with the outputs of this run; what a cell raises comes through."""
    names = {"__name__": "__main__"}
    cells, number = [], 0
    for cell in notebook["cells"]:
        shown = {}
        if cell["cell_type"] == "code":
            number += 1
            shown = {"execution_count": number, "outputs": outputs(source(cell), names, number)}
        cells.append({**cell, **shown})
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


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(json.dumps(run(json.loads(path.read_text())), indent=1, ensure_ascii=False) + "\n")
