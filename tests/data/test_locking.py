"""Locks where others may have been first: links are not followed, and no folder of another user is used."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from framework.data.locking import locked, private_temporary_folder
from framework.errors import StorageError


@pytest.fixture
def shared(tmp_path, monkeypatch) -> Path:
    """A folder for temporary files that everybody can write, and the place of our own folder in it."""
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"latentscape-{os.getuid()}"


def test_a_lock_is_held_until_the_block_ends(tmp_path):
    lock = tmp_path / "a folder" / "x.lock"
    program = f"import fcntl; fcntl.flock(open({str(lock)!r}, 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with locked(lock):
        assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 1
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path):
    (tmp_path / "x.lock").symlink_to(tmp_path / "made through a link")
    with (
        pytest.raises(StorageError, match=r"x\.lock: cannot be opened as a lock \(it is a link\)"),
        locked(tmp_path / "x.lock"),
    ):
        pass
    assert not (tmp_path / "made through a link").exists()


def test_a_fifo_in_the_place_of_a_lock_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "x.lock")
    with pytest.raises(StorageError, match="it is no file"), locked(tmp_path / "x.lock"):
        pass


def test_the_private_folder_is_ours_alone(shared):
    for made in (private_temporary_folder(), private_temporary_folder()):
        assert made == shared
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    shared.chmod(0o777)
    assert stat.S_IMODE(private_temporary_folder().stat().st_mode) == 0o700


@pytest.mark.parametrize("there", ["a link", "a link to nothing", "a file"])
def test_what_is_no_folder_is_refused(shared, there):
    elsewhere = shared.with_name("elsewhere")
    if there == "a link":
        elsewhere.mkdir()
    if there == "a file":
        shared.touch()
    else:
        shared.symlink_to(elsewhere)
    with pytest.raises(StorageError, match="is not a folder of yours"):
        private_temporary_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_refused(shared):
    shared.mkdir()
    os.chown(shared, 65534, 65534)
    with pytest.raises(StorageError, match="is not a folder of yours"):
        private_temporary_folder()
