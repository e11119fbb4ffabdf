"""What only a folder of this machine can promise."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from framework.errors import StorageError
from framework.storage import open_folder

# Replaces one file for ever; each content is one letter repeated.
WRITER = """
import sys
from framework.storage import open_folder
folder = open_folder(sys.argv[1])
while True:
    for letter in "abcdefgh":
        folder.write_text("file", letter * 300_000)
        with (folder / "tree").staged() as place:
            for name in range(5):
                (place / str(name)).write_text(letter * 10_000)
"""


def test_the_home_folder_and_file_uris_are_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert open_folder("~/runs").location == str(tmp_path / "runs")
    assert open_folder("runs/../x").location == str(tmp_path / "x")
    assert open_folder((tmp_path / "a b").as_uri()).location == str(tmp_path / "a b")
    assert open_folder("~/runs").parent.location == str(tmp_path)
    with pytest.raises(StorageError, match="no-such-user"):
        open_folder("~no-such-user/runs")


def test_a_line_that_a_full_disk_takes_half_of_is_not_written(tmp_path):
    """Half a line would make one with the next one, and both would be lost."""
    folder = open_folder(tmp_path)
    folder.append_text("rows", "one\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (7, limits[1]))
    try:
        with pytest.raises(StorageError, match="rows: cannot be written"):
            folder.append_text("rows", "second\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    folder.append_text("rows", "three\n")
    assert folder.read_text("rows") == "one\nthree\n"


@pytest.mark.long
def test_a_killed_writer_leaves_whole_files_only(tmp_path):
    folder = open_folder(tmp_path)
    for life in range(5):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)])
        deadline = time.monotonic() + 30
        while not folder.exists("tree/0") and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05 + 0.013 * life)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        text = folder.read_text("file")
        assert len(text) == 300_000
        assert len(set(text)) == 1
        assert set(folder.list()) <= {"file", "tree"}
        for name in folder.files():
            assert len(set(folder.read_text(name))) == 1
        if folder.exists("tree"):
            assert len({folder.read_text(f"tree/{name}") for name in range(5)}) == 1
        folder.sweep()
        assert {path.name for path in tmp_path.iterdir()} <= {"file", "tree"}


def test_faults_of_the_file_system_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    below = open_folder(tmp_path / "file" / "below")
    for action in (
        lambda: below.write_text("x", ""),
        lambda: below.append_text("x", ""),
        lambda: below.read_bytes("x"),
    ):
        with pytest.raises(StorageError) as fault:
            action()
        assert str(fault.value).startswith(str(tmp_path / "file" / "below"))
        assert "\n" not in str(fault.value)
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(StorageError, match="bytes: is not UTF-8"):
        open_folder(tmp_path).read_text("bytes")


def test_files_have_the_usual_permissions(tmp_path):
    before = os.umask(0o022)
    try:
        folder = open_folder(tmp_path / "runs")
        folder.write_text("file", "")
        with (folder / "tree").staged() as place:
            (place / "file").write_text("")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "runs").iterdir()}
    assert modes == {"file": 0o644, "tree": 0o755}


def test_a_local_copy_is_the_folder_itself(tmp_path):
    assert open_folder(tmp_path).local_copy() == tmp_path
    files, path = open_folder(tmp_path).arrow()
    assert files.get_file_info(path).is_file is False
