"""Reads all of an HDF5 file, within limits, and gives nothing: run by its path, as a process of its own (see guard)."""

import io
import resource
import sys

import h5py


def main(path: str, cpu_seconds: int, most_bytes: int) -> None:
    """Ends well whether the file is good or raises; what kills or outlasts this process would have taken another's."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with h5py.File(io.BytesIO(sys.stdin.buffer.read()) if path == "-" else path, "r") as file:
            _read(file, most_bytes // 4, set())
    except Exception:
        return  # the reader that comes after says what is wrong


def _read(group: h5py.Group, most_bytes: int, seen: set[object]) -> None:
    if group.id in seen:
        return
    seen.add(group.id)
    _ = [*group.attrs.values()]
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        found = group[name]
        _ = [*found.attrs.values()]
        if isinstance(found, h5py.Group):
            _read(found, most_bytes, seen)
        elif (
            isinstance(found, h5py.Dataset) and found.nbytes <= most_bytes and not (found.external or found.is_virtual)
        ):
            found[()]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
