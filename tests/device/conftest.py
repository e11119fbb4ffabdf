"""Skips everything here on another torch than the pretended GPU is held to."""

import gc
import importlib.metadata
import re
from pathlib import Path

import pytest

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"


class _Skipped(pytest.Module):
    """Not even imported: torch's insides may not be there."""

    def collect(self):
        """Skips with the reason."""
        known, found = _minors()
        # Another torch has other insides, and this must not keep its users from running all other tests.
        pytest.skip(
            f"the pretended GPU is made of torch {known}'s insides, and this is {found}", allow_module_level=True
        )


def _minors():
    """Of torch, as constraints.txt names it and as it is here."""
    named = re.search(r"^torch==(\S+)", CONSTRAINTS.read_text(), re.M)
    assert named is not None
    return [".".join(version.split(".")[:2]) for version in (named[1], importlib.metadata.version("torch"))]


def pytest_pycollect_makemodule(module_path, parent):
    known, found = _minors()
    return None if known == found else _Skipped.from_parent(parent, path=module_path)


@pytest.fixture(autouse=True, scope="session")
def _what_is_imported_is_not_looked_through_again():
    """Each training ends in a collection, which takes a third of a second where torch is all imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
