"""What all tests share: where the real data lies."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real UTKFace files, MNIST and Inception weights; it is beside the checkout, not in it."""
    folder = Path(os.environ.get("LATENTSCAPE_TEST_DATA", ROOT.parent / "shared"))
    if not (folder / "data" / "UTKFace-5k.tar").exists():
        pytest.skip(
            "real UTKFace files are not part of the project: set LATENTSCAPE_TEST_DATA to a folder that has them"
        )
    return folder
