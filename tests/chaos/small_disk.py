"""A disk of any size: a tmpfs in a mount namespace of its own, which is gone with the process that holds it."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.ray.conftest import MARK, ROOT

PAGE = os.sysconf("SC_PAGE_SIZE")
ROOMY = 2 << 30


def pages(size: int) -> int:
    """What a file of so many bytes takes of it."""
    return -(-size // PAGE) * PAGE


@dataclass
class Ended:
    """What a job left: exit status and stderr."""

    code: int
    err: str


class SmallDisk:
    """A folder whose disk can be full.

    Args:
        place: An empty folder. What is on the disk is seen by jobs that it starts, and below `inside`.
        temporary: For temporary files and Ray's sessions, which lie on another disk.
    """

    def __init__(self, place: Path, temporary: Path) -> None:
        self.place, self._temporary = place, temporary
        mount = f"mount -t tmpfs -o size={ROOMY} none {shlex.quote(str(place))} && echo && exec sleep infinity"
        command = ["unshare", "--mount", "sh", "-c", mount]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._holder.stdout.readline() == "\n", self._holder.communicate()[1]
        self.inside = Path(f"/proc/{self._holder.pid}/root{place}")

    def end(self) -> None:
        self._holder.kill()
        self._holder.communicate()

    def leave(self, size: int) -> None:
        """Leaves so many free bytes, in whole pages."""
        disk = os.statvfs(self.inside)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        self._enter("mount", "-o", f"remount,size={used + size}", str(self.place))

    def fill(self, folder: Path) -> None:
        """A copy of a folder, in the place of all that was there."""
        self.read_only(False)
        self.leave(ROOMY)
        for path in self.inside.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(folder, self.inside, dirs_exist_ok=True)
        (self.inside / ".ballast").write_bytes(bytes(PAGE))  # a tmpfs of size 0 would have no limit

    def read_only(self, value: bool) -> None:
        """Makes it read-only or writable again. That fails while a file is open for writing: then again."""
        word, end = "ro" if value else "rw", time.monotonic() + 60.0
        while self._enter("mount", "-o", f"remount,{word}", str(self.place), check=False).returncode:
            assert time.monotonic() < end, "files are always open for writing"

    def start(self, name: str, *arguments: str) -> subprocess.Popen:
        """A job, as a process of its own."""
        self._temporary.mkdir(exist_ok=True)
        own = {"TMPDIR": str(self._temporary), "RAY_TMPDIR": str(self._temporary / "ray"), MARK: "1"}
        unwanted = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "LATENTSCAPE_CACHE")
        environment = {key: value for key, value in os.environ.items() if key not in unwanted} | own
        command = self._inside(sys.executable, "-m", f"jobs.{name}", *arguments)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def run(self, name: str, *arguments: str) -> Ended:
        """A job from its start to its end."""
        process = self.start(name, *arguments)
        _, err = process.communicate()
        return Ended(process.returncode, err)

    def _inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", f"--wd={ROOT}", "--", *command]

    def _enter(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        return subprocess.run(self._inside(*command), capture_output=True, text=True, check=check)
