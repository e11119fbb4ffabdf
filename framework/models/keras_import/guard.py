"""A damaged HDF5 file can keep the library that reads it busy for ever, or bring it down: a child process goes first.

Seen: of a golden file with 200 bytes overwritten at 5040 h5py never comes back with an attribute.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from framework.errors import CheckpointError

_PROBE = Path(__file__).with_name("probe.py")
_CPU_SECONDS = 2
_BYTES_A_SECOND = 50 << 20
_MEMORY_BYTES = 4 << 30


def check_survived(place: str, source: Path | bytes) -> None:
    """Returns if a process of its own has read the file, whatever it thought of it.

    Args:
        place: What the fault calls it.
        source: The file, or its content.

    Raises:
        CheckpointError: That process did not come to an end within its limits, or was brought down.
    """
    path, content = (str(source), b"") if isinstance(source, Path) else ("-", source)
    size = source.stat().st_size if isinstance(source, Path) else len(source)
    limits = [str(_CPU_SECONDS + size // _BYTES_A_SECOND), str(_MEMORY_BYTES + 4 * size)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-I", str(_PROBE), path, *limits]
    ended = subprocess.run(
        command, input=content, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=one_thread, check=False
    )
    if ended.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise CheckpointError(f"{place}: is damaged (HDF5 does not come to an end with it)")
    if ended.returncode < 0:
        raise CheckpointError(f"{place}: is damaged (HDF5 was brought down by it)")
