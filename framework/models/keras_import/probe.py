"""Reads a whole HDF5 file within limits and returns nothing; `guard` runs this script as a child process."""

import io
import resource
import sys

import h5py


def main(path: str, cpu_seconds: int, most_bytes: int) -> None:
    """Exits normally even if reading raises an exception; a crash or a time-out is what `guard` detects."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with h5py.File(io.BytesIO(sys.stdin.buffer.read()) if path == "-" else path, "r") as file:
            _read(file, most_bytes // 4, set())
    except Exception:
        return  # the parent process reads the file again and reports the error


def _read(group: h5py.Group, most_bytes: int, seen: set[object]) -> None:
    if group.id in seen:
        return
    seen.add(group.id)
    _ = [*group.attrs.values()]
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        member = group[name]
        _ = [*member.attrs.values()]
        if isinstance(member, h5py.Group):
            _read(member, most_bytes, seen)
        elif isinstance(member, h5py.Dataset):
            is_inside = not (member.external or member.is_virtual)
            if is_inside and member.nbytes <= most_bytes:
                member[()]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
