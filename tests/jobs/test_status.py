"""The status of a run as lines, and as a real terminal gets it."""

import contextlib
import fcntl
import importlib.util
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from framework.config import Experiment, with_overrides
from framework.report.status import RunStatus, TrialStatus
from framework.runs import RunFolder
from framework.runs.lease import lease
from jobs import status
from jobs.cli.job import run_job
from jobs.cli.status_table import status_lines
from tests.conftest import missing

HOME, ENTER, LEAVE = "\x1b[H", "\x1b[?1049h\x1b[H\x1b[?25l", "\x1b[?25h\x1b[?1049l"
AT_WORK = ("0 of 2", "1 running", "1 pending")
FAULT = "TrainingError: step 3: generator loss is nan"
PARAMS = {"optimizer.generator_lr": 0.00043347, "model.latent_size": 64}


def trial(name, state="running", **more):
    known = {
        "rank": None, "params": PARAMS, "images_seen": 56_016, "total_images": 1_497_600, "metric": "fid1k_768",
        "score": 0.53412, "score_images_seen": 50_016, "last_score": 21.0, "images_per_second": 322.2,
        "report_age_seconds": 14.0, "error": "",
    }  # fmt: skip
    return TrialStatus(id=name, state=state, **{**known, **more})


def table(*trials, quiet=1.0, working=True, **size):
    state = RunStatus("/runs/faces", "faces", list(trials), quiet, working, "python -m jobs.search faces.yaml")
    return status_lines(state, **size)


def test_every_figure_has_its_column():
    lines = table(
        trial("001-74fd", rank=1),
        trial("002-e6f1", "pending", images_seen=0, score=None, score_images_seen=None, last_score=None,
              images_per_second=None, report_age_seconds=None),
    )  # fmt: skip
    assert missing(lines[0], "faces", *AT_WORK, "fid1k_768", "0.5341", "001-74fd", "50k") == []
    cells = [re.split(r" {2,}", line) for line in lines[1:]]
    assert cells == [
        ["rank", "trial", "generator_lr", "latent_size", "state", "images seen", "best score", "at images",
         "last score", "images/s", "last report"],
        ["1", "001-74fd", "4.33e-4", "64", "running", "56k/1.5M", "0.5341", "50k", "21", "322", "14 s"],
        ["-", "002-e6f1", "4.33e-4", "64", "pending", "0/1.5M", "-", "-", "-", "-", "-"],
    ]  # fmt: skip


def test_eighty_columns_hold_two_searched_settings_and_say_their_names():
    lines = table(trial("001-74fd", rank=12), trial("002-e6f1", "finished"), width=79)
    assert max(map(len, lines)) <= 79
    assert lines[2].split() == [
        "#", "trial", "g_lr", "l_size", "state", "images", "best", "at", "last", "img/s", "heard"
    ]  # fmt: skip
    assert lines[-1] == "(g_lr: optimizer.generator_lr, l_size: model.latent_size)"


@pytest.mark.parametrize("width", [20, 40, 60, 79, 100, 139, 200])
def test_no_line_is_wider_than_it_may_be(width):
    many = {f"model.setting_{index}": 0.123456 for index in range(6)}
    fault = "TrainingError: generator loss is nan at step 325; lower optimizer.generator_lr " * 3
    lines = table(trial("001-74fd", params=many), trial("002-e6f1", "failed", error=fault, params=many), width=width)
    assert max(map(len, lines)) <= width
    assert any(line.startswith("      error: Trai") for line in lines)


def test_what_leaves_first_is_what_matters_least():
    wide = table(trial("a"), width=79)[-3].split()
    narrow = table(trial("a"), width=50)[-3].split()
    assert [head for head in wide if head not in narrow] == ["at", "last", "img/s", "heard"]


def test_a_low_window_keeps_who_runs_and_says_how_many_are_left_out():
    trials = [
        trial(f"{index:03d}", "running" if index in (50, 90) else "stopped", rank=index + 1) for index in range(100)
    ]
    lines = table(*trials, width=139, height=12)
    assert len(lines) == 12
    assert [line.split()[1] for line in lines[2:-1]] == [f"{index:03d}" for index in (0, 1, 2, 3, 4, 5, 6, 50, 90)]
    assert missing(lines[-1], 91) == []
    assert len(table(*trials, width=139, height=102)) == 102
    assert table(*trials, width=139, height=102)[-1].split()[1] == "099"


def test_a_run_that_was_left_says_so():
    lines = table(trial("a", "silent"), trial("b", "pending"), quiet=840.0, working=False)
    assert missing(lines[0], "faces", "0 of 2", "1 silent", "1 pending") == []
    assert lines[-1].endswith(" python -m jobs.search faces.yaml")
    assert "14 min 00 s" in lines[-1]
    assert "jobs.search" not in "".join(table(trial("a"), trial("b", "pending")))


def test_a_run_without_trials():
    (line,) = table(quiet=None)
    assert line.startswith("faces: ")


def make_drawn_run(destination, **more):
    path = Path(__file__).parents[1] / "report" / "make_run.py"
    spec = importlib.util.spec_from_file_location("make_run", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_run(destination, artifacts=False, **more)


def test_json_is_one_document(tmp_path, capsys):
    folder = make_drawn_run(tmp_path, trials=3)
    with pytest.raises(SystemExit) as ended:
        run_job(status.JOB, status.body, [str(folder), "--json"])
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (ended.value.code, said.err) == (0, "")
    counts = {name: count for name, count in document["counts"].items() if count}
    assert counts == {"trials": 3, "ended": 3, "failed": 1}
    assert document["working"] is False
    assert [entry["rank"] for entry in document["trials"]] == [1, 2, 3]
    assert document["best"] == document["trials"][0]["id"]
    assert document["trials"][0]["metric"] == "assessor_frechet_distance"


@pytest.mark.long
def test_without_a_terminal_it_prints_once_on_stdout_needs_no_ray_and_writes_nothing(tmp_path, live_run):
    run = live_run
    before = files(run)
    code = (
        "import runpy, sys\n"
        "try: runpy.run_module('jobs.status', run_name='__main__')\n"
        "finally: print('ray' in sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code, run.folder.location], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "False\n")
    assert missing(ended.stdout.splitlines()[0], "faces", *AT_WORK) == []
    assert "\x1b" not in ended.stdout
    assert before == files(run)


def files(run):
    """Each with when it was changed, but for the signs of life of the job at work."""
    every = Path(run.folder.location).rglob("*")
    return {path: path.stat().st_mtime_ns for path in every if path.is_file() and path.name != "lease.json"}


@contextlib.contextmanager
def held(run, *, on_lost=pytest.fail):
    with lease(run.folder, ["python", "-m", "jobs.search"], on_lost=on_lost):
        yield run


@pytest.fixture
def begun_run(tmp_path):
    """A run with a trial that runs and one that waits, and no job that holds it."""
    experiment = with_overrides(Experiment(), {"name": "faces", "storage.path": str(tmp_path / "runs")})
    run = RunFolder.create(experiment, ["python", "-m", "jobs.search"])
    for name, state in (("001-74fd", "running"), ("002-e6f1", "pending")):
        run.trial(name).write_params(PARAMS)
        run.trial(name).write_state(state=state)
    run.trial("001-74fd").append_metrics({"images_seen": 6400, "images_per_second": 100.0})
    return run


@pytest.fixture
def live_run(begun_run):
    """The same at work."""
    with held(begun_run):
        yield begun_run


@dataclass
class Terminal:
    """The job behind a real pseudo-terminal; `got` is all that it wrote."""

    command: list[str]
    columns: int
    lines: int
    got: str = ""
    process: subprocess.Popen = field(init=False)

    def __post_init__(self):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", self.lines, self.columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            self.command, stdin=slave, stdout=slave, stderr=slave, env={**environment, "TERM": "xterm"}
        )
        os.close(slave)

    def wait_for(self, text, *, seconds=60):
        deadline = time.monotonic() + seconds
        while text not in self.got:
            assert time.monotonic() < deadline, self.got
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self.got += os.read(self._master, 65536).decode()
                except OSError:  # the other end is closed
                    assert text in self.got, self.got
                    return

    def ended(self):
        code = self.process.wait(60)
        while select.select([self._master], [], [], 0.2)[0]:
            try:
                self.got += os.read(self._master, 65536).decode()
            except OSError:
                break
        return code

    def frames(self):
        """Each picture of the second screen, its escapes off, and the blanks that fill it."""
        inside = self.got.partition(ENTER)[2].partition(LEAVE)[0]
        plain = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame) for frame in inside.split(HOME)[1:]]
        return [[line.rstrip() for line in frame.replace("\r", "").split("\n")] for frame in plain]

    def after(self):
        """What stays on the first screen."""
        return self.got.partition(LEAVE)[2].replace("\r\n", "\n").splitlines()

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal():
    opened = []

    def start(run, *, columns=80, lines=24):
        command = [sys.executable, "-m", "jobs.status", run.folder.location]
        opened.append(Terminal(command, columns, lines))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.mark.long
def test_a_terminal_sees_reports_as_they_come_and_the_jobs_end_ends_it(terminal, begun_run):
    run = begun_run
    # Its lease is taken away below, and on a busy machine this is not over before the next heartbeat.
    with held(run, on_lost=lambda _: None):
        follow(terminal(run), run)


def follow(screen, run):
    screen.wait_for("6.4k/1.5M")
    score = {"metric": "fid1k_768", "value": 1.25, "protocol": {}}
    run.trial("001-74fd").append_metrics({"images_seen": 12_800, "images_per_second": 100.0, "score": score})
    screen.wait_for("12.8k/1.5M")
    run.trial("001-74fd").write_state(state="finished")
    run.trial("002-e6f1").write_state(state="failed", error=FAULT)
    run.folder.delete("lease.json")
    assert screen.ended() == 0
    assert "\x1b[2J" not in screen.got  # clearing first is what flickers
    frames = screen.frames()
    assert all(len(line) < 80 for frame in frames for line in frame)
    assert missing(frames[0][0], "faces", *AT_WORK) == []
    assert any("1.25" in line for line in frames[-1])
    after = screen.after()
    assert missing(after[0], "faces", "2 of 2", "1 failed", "fid1k_768", "1.25") == []
    assert f"error: {FAULT}" in map(str.strip, after)
    assert all(len(line) < 80 for line in after)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_the_normal_end_of_looking(terminal, live_run, number):
    screen = terminal(live_run, columns=140)
    screen.wait_for("6.4k/1.5M")
    screen.process.send_signal(number)
    assert screen.ended() == 0
    assert screen.got.count(LEAVE) == 1  # the cursor is back, and the screen that was there before
    assert missing(screen.after()[0], "faces", *AT_WORK) == []
    assert "Traceback" not in screen.got
    assert "interrupted" not in screen.got


@pytest.mark.long
def test_a_run_that_ended_is_printed_once(terminal, tmp_path):
    screen = terminal(RunFolder.open(make_drawn_run(tmp_path, trials=26)), lines=24)
    assert screen.ended() == 0
    assert ENTER not in screen.got
    lines = screen.got.replace("\r\n", "\n").splitlines()
    assert len(lines) == 2 + 1 + 26 + 1 + 1  # header of two, head, trials, the failed one's error, legend
    assert max(map(len, lines)) < 80


@pytest.mark.long
def test_a_low_terminal_scrolls_nothing(terminal, tmp_path):
    run = RunFolder.open(make_drawn_run(tmp_path, trials=14))
    run.trials()[9].write_state(state="running")
    with held(run):
        screen = terminal(run, lines=12)
        screen.wait_for("… and ")
        screen.process.send_signal(signal.SIGINT)
        assert screen.ended() == 0
    assert all(len(frame) == 12 for frame in screen.frames())
    assert any("running" in line for line in screen.frames()[0])
