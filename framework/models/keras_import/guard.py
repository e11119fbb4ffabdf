"""Reads a file in a child process first, because a damaged HDF5 file can make the library hang or crash.

For example, h5py hangs while it reads an attribute of a golden file in which 200 bytes at 5040 were overwritten.
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
    """Returns if a child process can read the file without hanging or crashing, even if it reports an error.

    Args:
        place: The file's name in error messages.
        source: The path or the content of the file.

    Raises:
        CheckpointError: The child process exceeded its limits or crashed.
    """
    path, content = (str(source), b"") if isinstance(source, Path) else ("-", source)
    size = source.stat().st_size if isinstance(source, Path) else len(source)
    limits = [str(_CPU_SECONDS + size // _BYTES_A_SECOND), str(_MEMORY_BYTES + 4 * size)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-I", str(_PROBE), path, *limits]
    child = subprocess.run(
        command, input=content, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=one_thread, check=False
    )
    if child.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise CheckpointError(f"{place}: is damaged (HDF5 hangs while reading it)")
    if child.returncode < 0:
        raise CheckpointError(f"{place}: is damaged (HDF5 crashes while reading it)")
