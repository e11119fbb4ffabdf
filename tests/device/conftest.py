"""Skips everything here on another torch than the pretended GPU is held to."""

import re
from pathlib import Path

import pytest
import torch

HELD_TO = re.search(r"^torch==(\d+\.\d+)", (Path(__file__).parents[2] / "constraints.txt").read_text(), re.M)


@pytest.fixture(autouse=True, scope="session")
def _torch_is_the_one_that_it_is_held_to():
    assert HELD_TO is not None
    if not torch.__version__.startswith(f"{HELD_TO[1]}."):
        pytest.skip(f"the pretended GPU is made of torch {HELD_TO[1]}'s insides, and this is torch {torch.__version__}")
