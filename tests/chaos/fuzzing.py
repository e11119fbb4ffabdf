"""The loop of the fuzzers: damaged files, each read in a forked process with bounds on its time and memory.

A fuzzer makes good files once, and damages a copy for each case. Reading must work or raise an error of
framework/errors.py. Anything else is a finding, named with its number, which `LATENTSCAPE_CHAOS_ONLY=NAME:NUMBER`
repeats alone.
"""

import contextlib
import faulthandler
import hashlib
import os
import resource
import select
import shutil
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framework.errors import LatentscapeError

CASE_CPU_SECONDS = 10
CASE_SECONDS = 60  # of waiting without computing
CASE_BYTES = 1 << 30
MESSAGE_LETTERS = 20_000  # a key may be long, and is shown
BATCH = 100  # cases per process


@dataclass(frozen=True)
class Fuzzer:
    """One kind of input.

    Args:
        name: In findings.
        make: Writes good files into an empty folder; each is a file or a folder directly in it.
        damage: Writes a damaged copy of one of them to a path that is not there yet; gives what was done, in words.
        read: Reads what was written, and uses it as a job would. It may be called in any process.
        guarded: For formats whose library hangs or crashes: what the product calls, which reads in a process of its
            own. It is asked about the cases in which `read` hung or crashed.
        share: Its part of all cases, relative to the other fuzzers' parts: those of slow cases have fewer, so that
            10,000 cases take about a quarter of an hour.
    """

    name: str
    make: Callable[[Path], Any]
    damage: Callable[[Path, Path, np.random.Generator], str]
    read: Callable[[Path], Any]
    guarded: Callable[[Path], Any] | None = None
    _: KW_ONLY
    share: float


def fuzz(fuzzer: Fuzzer, count: int, *, seed: int, folder: Path, only: int | None = None) -> Iterator[str]:
    """Tries `count` cases, or one; yields the findings."""
    good, place = folder / "good", folder / "damaged"
    good.mkdir()
    place.mkdir()
    torch.set_num_threads(1)  # its threads do not survive a fork, and it would wait for them
    fuzzer.make(good)
    known = sorted(good.iterdir())
    fuzzer.read(known[0])  # what is imported or opened once does not count as a case's memory
    number, end = (0, count) if only is None else (only, only + 1)
    while number < end:
        cases = range(number, min(number + BATCH, end))
        done, what, fault = _in_a_process(lambda: _try_all(fuzzer, known, place, cases, seed), place / "log")  # noqa: B023
        yield from what
        number += done
        if fault is not None:
            if not _is_survived(fuzzer, place, number):
                log = (place / "log").read_text(errors="replace")
                yield f"{fuzzer.name}:{number}: {_damage(fuzzer, known, place, number, seed)}: {fault}; {log[-2000:]}"
            number += 1
        for left in place.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _damage(fuzzer: Fuzzer, known: list[Path], place: Path, number: int, seed: int) -> str:
    """Writes a case; gives what was done."""
    target = place / f"{number}"
    if target.is_symlink() or target.exists():
        shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
    rng = np.random.default_rng([seed, number, *hashlib.sha256(fuzzer.name.encode()).digest()])
    return fuzzer.damage(known[int(rng.integers(len(known)))], target, rng)


def _try_all(fuzzer: Fuzzer, known: list[Path], place: Path, cases: range, seed: int) -> Iterator[str | None]:
    """In the forked process: each case in turn; None or a finding."""
    for number in cases:
        what = _damage(fuzzer, known, place, number, seed)
        signal.setitimer(signal.ITIMER_PROF, CASE_CPU_SECONDS)
        before = _used()
        fault = _fault(fuzzer, place / f"{number}")
        fault = _over_bounds(before, _used()) if fault is None else fault
        yield None if fault is None else f"{fuzzer.name}:{number}: {what}: {fault}"
    signal.setitimer(signal.ITIMER_PROF, 0)


def _used() -> tuple[int, int, float]:
    """Peak bytes of this process and of the largest one that it waited for, and the seconds that those computed."""
    own, waited = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_maxrss << 10, waited.ru_maxrss << 10, waited.ru_utime + waited.ru_stime


def _over_bounds(before: tuple[int, int, float], after: tuple[int, int, float]) -> str | None:
    largest = after[1] if after[1] > before[1] else 0  # of this case, if it is the largest so far
    taken, seconds = max(after[0] - before[0], largest), after[2] - before[2]
    if taken > CASE_BYTES:
        return f"it took {taken >> 20} MiB"
    return f"its processes took {seconds:.0f} s" if seconds > CASE_CPU_SECONDS else None


def _fault(fuzzer: Fuzzer, path: Path) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fuzzer.read(path)
    except LatentscapeError as fault:
        told = fault.faults and all(line.strip() and "\n" not in line for line in fault.faults)
        return None if told and len(str(fault)) < MESSAGE_LETTERS else f"its message is {str(fault)[:200]!r}…"
    except Exception as fault:
        frames = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(fault.__traceback__)]
        return f"{type(fault).__name__}: {str(fault)[:200]} ({' '.join(frames[-4:])})"
    return None


def _in_a_process(work: Callable[[], Iterator[str | None]], log: Path) -> tuple[int, list[str], str | None]:
    """Does some work in a forked process, where each item counts as one case.

    Returns:
        The cases that ended, the findings among them, and how the process died before the end, else None.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions of Python warn of threads
        child = os.fork()
    if not child:
        os.close(reading)
        _work(work, writing, log)
    os.close(writing)
    done, found, rest, hangs = 0, [], b"", False
    with open(reading, "rb", buffering=0) as lines:  # noqa: PTH123 - a descriptor
        while True:
            if not select.select([lines], [], [], CASE_SECONDS)[0]:
                hangs = True
                os.kill(child, signal.SIGPROF)  # it writes where it waits
                time.sleep(1)
                os.killpg(child, signal.SIGKILL)
            data = lines.read(65536)
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            done += len(whole)
            found += [line.decode() for line in whole if line]
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # processes that it started
    if code == 0:
        return done, found, None
    if hangs or code == -signal.SIGPROF:
        return done, found, f"it hangs ({'waits' if hangs else 'computes'})"
    return done, found, f"the process died ({signal.Signals(-code).name if code < 0 else code})"


def _work(work: Callable[[], Iterator[str | None]], writing: int, log: Path) -> None:
    """The forked process; it never returns."""
    code = 1
    with log.open("w") as errors:
        try:
            os.setsid()
            os.dup2(errors.fileno(), 2)
            faulthandler.enable(errors)
            # Default, not Python's own handler: that would wait for a library that hangs.
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            faulthandler.register(signal.SIGPROF, errors, chain=True)
            signal.setitimer(signal.ITIMER_REAL, 0)  # pytest's timeout is the parent's
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 2 * CASE_BYTES, resource.RLIM_INFINITY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            for finding in work():
                os.write(writing, f"{(finding or '').encode('unicode_escape').decode()}\n".encode())
            code = 0
        except BaseException:
            traceback.print_exc(file=errors)
        os._exit(code)


def _is_survived(fuzzer: Fuzzer, place: Path, number: int) -> bool:
    """Whether what the product calls refuses a case in which the library itself hung or crashed."""
    guarded, path = fuzzer.guarded, place / f"{number}"
    if guarded is None or not os.path.lexists(path):  # the damage itself failed
        return False

    def ask() -> Iterator[str | None]:
        refused = None
        with contextlib.suppress(LatentscapeError):
            guarded(path)
            refused = "it was not refused"
        yield refused

    _, found, fault = _in_a_process(ask, place / "guarded")
    return not found and fault is None
