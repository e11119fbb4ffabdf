"""What the console writes: on a real pseudo-terminal of changing width, and in a log."""

import fcntl
import os
import pickle
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from jobs.cli.job import Console

ROOT = Path(__file__).parents[2]
ERASE = "\r\x1b[2K"
# Reads a line before each step, so that what happens in between is the test's to say.
CHILD = """
import sys
from jobs.cli import console
console._DRAW_EVERY_SECONDS = 0.0
told = console.Console()
show = told.counter("images prepared")
for line in sys.stdin:
    word, _, text = line.rstrip("\\n").partition(" ")
    if word == "at":
        show(int(text), 1000)
    elif word == "progress":
        told.update(text)
    else:
        told.say(text.encode().decode("unicode_escape"))
    print(word, flush=True)
"""


class Terminal:
    """A console whose stderr is a pseudo-terminal; `writes` has what each step wrote."""

    def __init__(self, columns, **environment):
        self._master, self._slave = pty.openpty()
        self.resize(columns)
        known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._slave, text=True,
            env={**known, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environment},
        )  # fmt: skip
        self.writes = []

    def resize(self, columns):
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def step(self, text):
        """What it makes the console write."""
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == f"{text.partition(' ')[0]}\n"
        written = b""
        os.set_blocking(self._master, False)
        while True:
            try:
                written += os.read(self._master, 65536)
            except BlockingIOError:
                break
        self.writes.append(written.decode())
        return self.writes[-1]

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def terminal():
    opened = []

    def start(columns, **environment):
        opened.append(Terminal(columns, **environment))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def seen(written):
    """The characters alone."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written).replace("\r", "")


def test_each_frame_replaces_the_last_and_fits_the_window_as_it_is_now(terminal):
    screen = terminal(80)
    for number, columns in enumerate((80, 80, 50, 20, 1, 33, 200)):
        screen.resize(columns)
        written = screen.step(f"at {number * 100}")
        assert written.startswith(ERASE)
        assert written.count(ERASE) == 1
        assert "\n" not in written
        assert len(seen(written)) <= max(columns - 1, 1)
    wide, narrow = (seen(screen.writes[number]) for number in (1, 3))
    assert re.match(r"━━[━╸╺]+  images prepared: 100 of 1,000, ", wide)
    assert narrow == "images prepared: 3…"
    assert "\x1b[?25l" not in "".join(screen.writes)  # a job that is killed leaves the cursor where it was


def test_a_line_that_stays_takes_the_frames_place(terminal):
    screen = terminal(60)
    screen.step("at 100")
    assert screen.step("say trial 3: fid 1.25") == f"{ERASE}trial 3: fid 1.25\r\n"
    assert screen.step("say and another") == "and another\r\n"
    assert screen.step("progress 3 of 12 trials ended").startswith(ERASE)


def test_what_users_wrote_is_no_markup_and_no_escape(terminal):
    screen = terminal(200)
    text = "[bold]a[/x] :smile: \\x1b]0;title\\x07 b"
    assert seen(screen.step(f"say {text}")) == f"{text}\n"
    assert seen(screen.step("progress [red]c[/x] :smile:")).rstrip() == "[red]c[/x] :smile:"


def test_no_colour_where_none_is_wanted(terminal):
    assert re.search(r"\x1b\[[0-9;]*m", terminal(80).step("at 500"))
    assert not re.search(r"\x1b\[[0-9;]*m", terminal(80, NO_COLOR="1").step("at 500"))


def test_a_terminal_that_obeys_nothing_is_a_log(terminal):
    screen = terminal(20, TERM="dumb")
    assert screen.step("progress 1 of 12 trials ended") == "1 of 12 trials ended\r\n"  # as long as it is
    assert screen.step("at 500") == ""
    assert screen.step("say done") == "done\r\n"
    assert "\x1b" not in "".join(screen.writes)


def test_a_log_gets_a_line_now_and_then_as_long_as_it_is_without_escapes():
    lines = [
        "progress 1 of 2",
        *(f"at {done}" for done in range(0, 1000, 100)),
        f"say {'x' * 300}",
        "progress soon again",
        "say done",
    ]
    ended = subprocess.run(
        [sys.executable, "-c", CHILD], input="\n".join(lines), capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "COLUMNS": "40"},
    )  # fmt: skip
    assert ended.stderr == f"1 of 2\n{'x' * 300}\ndone\n"


class Finalised:
    """Raises its interrupt where Python drops it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __del__(self) -> None:
        self._console.interrupt(signal.SIGINT, None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_was_lost_comes_with_the_next_progress(capsys):
    console = Console()
    console.update("1 of 2")
    Finalised(console)
    with pytest.raises(KeyboardInterrupt):
        console.update("2 of 2")
    console.say("interrupted")
    assert capsys.readouterr().err == "1 of 2\ninterrupted\n"


def test_a_copy_travels():
    """Tune pickles the callbacks that it is given, and one of them tells the console."""
    console = Console()
    console.say("a line")
    assert isinstance(pickle.loads(pickle.dumps(console)), Console)
