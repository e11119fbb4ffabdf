"""Stages one after the other, each bounded; what they find, printed as it comes; times of calls."""

import gc
import json
import signal
import statistics
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

WARM_UPS = 4
REPEATS = 20


class OutOfTimeError(Exception):
    """A stage has had its seconds."""


@dataclass(frozen=True)
class Stage:
    """A stage and the seconds it may take."""

    work: Callable[["Bench"], None]
    seconds: float

    @property
    def name(self) -> str:
        return self.work.__name__


@dataclass
class Bench:
    """Where it is measured, and what has been found."""

    device: torch.device
    quick: bool
    out: Path
    weights: Path | None
    found: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    born: float = field(default_factory=time.perf_counter)

    @property
    def is_card(self) -> bool:
        return self.device.type == "cuda"

    def told(self, name: str, text: str, **numbers: Any) -> None:
        """Prints a finding and keeps it for the JSON."""
        self.found[name] = {"text": text, **numbers}
        print(f"{time.perf_counter() - self.born:6.1f}s  {name}: {text}", flush=True)

    def run(self, stages: list[Stage], *, name: str, seconds: float) -> None:
        """The stages in order; each its own seconds, all of them `seconds`."""
        self.found, began = {}, time.perf_counter()
        self._introduce()
        for stage in stages:
            left = min(stage.seconds, seconds - (time.perf_counter() - began))
            if left < 1:
                self.told(f"LEFT OUT {stage.name}", "no time left")
                continue
            try:
                with _within(left):
                    stage.work(self)
            except OutOfTimeError:
                self.told(f"CUT OFF {stage.name}", f"after {left:.0f} s")
            except Exception as fault:
                self.told(f"FAILED {stage.name}", f"{type(fault).__name__}: {str(fault)[:300]}")
                traceback.print_exc()
            self._clear()
            (self.out / f"{name}.json").write_text(json.dumps(self.found, indent=1, default=str))
        self.told("done", f"{name} took {time.perf_counter() - began:.0f} s")

    def drained(self, work: Callable[[], object]) -> float:
        """Milliseconds of one call, the device waited for before and after: the median of several."""
        self._warm(work)
        times = []
        for _ in range(self._repeats):
            start = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - start)
        return statistics.median(times) * 1e3

    def pipelined(self, work: Callable[[], object]) -> float:
        """Milliseconds a call with the host running ahead, as in a training."""
        self._warm(work)
        start = time.perf_counter()
        for _ in range(self._repeats):
            work()
        self.wait()
        return (time.perf_counter() - start) / self._repeats * 1e3

    def wait(self) -> None:
        """Until the device has done all that it was given."""
        if self.is_card:
            torch.cuda.synchronize(self.device)

    @property
    def _repeats(self) -> int:
        return 2 if self.quick else REPEATS

    def _warm(self, work: Callable[[], object]) -> None:
        for _ in range(1 if self.quick else WARM_UPS):
            work()
        self.wait()

    def _introduce(self) -> None:
        if self.is_card:
            with suppress(OSError, subprocess.SubprocessError):
                query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,pcie.link.gen.current"]
                told = subprocess.check_output([*query, "--format=csv,noheader"], text=True, timeout=20)
                self.told("card", told.strip())
            major, minor = torch.cuda.get_device_capability(self.device)
            self.told("capability", f"{major}.{minor}; the wheel is built for {', '.join(torch.cuda.get_arch_list())}")
        versions = f"{torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        self.told("torch", f"{versions}, {torch.get_num_threads()} threads")

    def _clear(self) -> None:
        torch.backends.cudnn.benchmark = False
        gc.collect()
        if self.is_card:
            with suppress(RuntimeError):
                torch.cuda.synchronize(self.device)
                torch.cuda.empty_cache()


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    def end(*_: object) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def replaced(where: Any, name: str, value: Any) -> Iterator[None]:
    """Another function in a module's or object's place, for this block."""
    kept = getattr(where, name)
    setattr(where, name, value)
    try:
        yield
    finally:
        setattr(where, name, kept)
