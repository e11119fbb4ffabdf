"""The chaos suite, `make test-chaos`: real processes killed at random moments, full disks, damaged files.

Everything random is drawn from LATENTSCAPE_CHAOS_SEED. A failure names the seed and what was done to the process.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.storage.folder import TEMPORARY
from tests.chaos.small_disk import SmallDisk

HERE = Path(__file__).parent
SEED = int(os.environ.get("LATENTSCAPE_CHAOS_SEED", "21"))
SECONDS = 3600  # for one test; a training or a job that hangs fails before that
_ENDINGS = (".part", ".building", ".swp", "~")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is chaos, and has longer than pyproject.toml's timeout."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.chaos)
            item.add_marker(pytest.mark.timeout(SECONDS))


def draws(*words: Any) -> np.random.Generator:
    """The random numbers of one test, the same in any order of tests.

    Args:
        words: What the test does.
    """
    return np.random.default_rng([SEED, *hashlib.sha256(repr(words).encode()).digest()])


def digests(folder: Path, *patterns: str) -> dict[str, str]:
    """Relative path -> sha256 of each file that a pattern matches."""
    files = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def left_over(*folders: Path) -> list[str]:
    """Temporary and half files, leases, and locks that a process holds, in folders that nobody should write to now."""
    return [str(path) for folder in folders for path in sorted(folder.rglob("*")) if _is_left(path)]


def _is_left(path: Path) -> bool:
    if path.suffix == ".lock":  # the file stays, and the system releases the lock
        return _is_held(path)
    return path.name.startswith(TEMPORARY) or path.name.endswith(_ENDINGS) or path.name == "lease.json"


def _is_held(path: Path) -> bool:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    """For every job's temporary files and Ray's sessions."""
    folder = Path(f"/tmp/ls-chaos-{os.getpid()}")
    folder.mkdir(exist_ok=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory, temporary) -> Iterator[SmallDisk]:
    """A disk that can be full or read-only."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("a disk of its own wants the right to mount one (root)")
    made = SmallDisk(tmp_path_factory.mktemp("disk"), temporary)
    yield made
    made.end()
