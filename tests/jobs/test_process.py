"""A job as a process: signals from its first moment to its last, and standard streams of every kind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from framework.config import Experiment, with_overrides
from framework.runs import RunFolder
from jobs.cli.job import Job, run_job

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
TOLD = {**ENVIRONMENT, "PYTHONPROFILEIMPORTTIME": "1"}  # each module's name is written to stderr when it is imported
SHORT = "import sys; from jobs.cli.main import main; sys.exit(main())"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was begun, in a folder whose name is not ASCII."""
    place = tmp_path_factory.mktemp("process") / "rü"
    experiment = with_overrides(Experiment(), {"name": "faces", "storage.path": str(place)})
    made = RunFolder.create(experiment, ["python"])
    made.trial("a").write_state(state="finished")
    return made.folder.location


def interrupted(command, number, module, *, nth=1):
    """Starts a process, and sends its group a signal when it has imported a module; its exit status and stderr."""
    process = subprocess.Popen(
        command, env=TOLD, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    said, seen = [], 0
    for line in process.stderr:
        if not line.startswith("import time:"):
            said.append(line)
        elif line.rpartition("|")[2].strip() == module:
            seen += 1
            if seen == nth:
                os.killpg(process.pid, number)
    process.stderr.close()
    code = process.wait()
    assert seen >= nth, said
    return code, "".join(said)


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("pydantic.warnings", signal.SIGINT),
        ("numpy", signal.SIGTERM),
        ("torch._C", signal.SIGINT),
        ("torch.nn.functional", signal.SIGTERM),
        ("scipy.special", signal.SIGINT),
        ("ray._raylet", signal.SIGTERM),
    ],
)
def test_a_signal_while_modules_are_imported_ends_with_one_line(module, number):
    code, said = interrupted([sys.executable, "-m", "jobs.train", "gone.yaml"], number, module)
    assert (code, said) == (130, "Interrupted before the job began.\n")


@pytest.mark.parametrize(("module", "nth"), [("jobs.cli.job_files", 1), ("site", 2), ("pydantic.warnings", 1)])
def test_the_short_command_has_no_moment_of_its_own(tmp_path, module, nth):
    """It replaces itself by the job: what comes meanwhile waits."""
    script = tmp_path / "latentscape"
    script.write_text(SHORT)
    code, said = interrupted([sys.executable, str(script), "status", "gone"], signal.SIGINT, module, nth=nth)
    assert (code, said) == (130, "Interrupted before the job began.\n")


def test_a_signal_after_the_result_changes_nothing(run):
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.status", run, "--json"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    document = ""
    for line in process.stdout:
        document += line
        if line == "}\n":
            process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert json.loads(document)["name"] == "faces"


def test_a_job_that_ignores_sigint_goes_on_ignoring_it(run):
    """A script that starts a job with `&` has it so."""
    command = f"trap '' INT; {sys.executable} -m jobs.status '{run}' --json"
    code, said = interrupted(["sh", "-c", command], signal.SIGINT, "pydantic.warnings")
    assert (code, said) == (0, "")


def test_an_interrupt_that_became_another_exception_is_still_one(capsys):
    def body(arguments):
        try:
            arguments.console.interrupt(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("a module was only half imported") from None

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as ended:
        run_job(Job("train", "", "CONFIG", ()), body, ["x.yaml"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "Interrupted. Resume with: python -m jobs.train x.yaml\n"
    assert signal.getsignal(signal.SIGINT) is before


STATUS, HELP, EXPORT = "-m jobs.status RUN", "-m jobs.import_keras --help", "-m jobs.export RUN given"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    ("words", "redirection", "environment", "code", "err"),
    [
        (f"{STATUS} --json", "| true", {}, 0, ""),
        (STATUS, "| head -1 | grep -q faces", {}, 0, ""),
        (HELP, "| true", {}, 0, ""),
        (STATUS, "2>&1 >/dev/null | true", {}, 0, ""),
        (EXPORT, "2>&1 | true", {}, 2, ""),
        (STATUS, ">&-", {}, 0, ""),
        (f"{STATUS} --json", "2>&- | grep -q faces", {}, 0, ""),
        (EXPORT, ">&- 2>&-", {}, 2, ""),
        (STATUS, "<&- >&- 2>&-", {}, 0, ""),
        (f"{STATUS} --json", ">/dev/full", {}, 2, "error: stdout: No space left on device\n"),
        (STATUS, ">/dev/full", {}, 2, "error: stdout: No space left on device\n"),
        (HELP, ">/dev/full", {}, 2, "error: stdout: No space left on device\n"),
        (EXPORT, "2>/dev/full", {}, 2, ""),
        (STATUS, "| grep -q faces", {"PYTHONIOENCODING": "ascii"}, 0, ""),
        (f"{STATUS} --json", "| grep -q faces", ASCII, 0, ""),
        (HELP, "| grep -q usage", {"PYTHONIOENCODING": "latin-1"}, 0, ""),
        ("-m jobs.project --help", "| grep -qF 'PHOTO\\u2026'", {"PYTHONIOENCODING": "ascii"}, 0, ""),
        ("SHORT", "| true", {}, 0, ""),
        ("SHORT", ">/dev/full", {}, 2, "error: stdout: No space left on device\n"),
        ("SHORT", ">&-", {}, 0, ""),
    ],
)
def test_no_stream_makes_a_job_fail(run, tmp_path, words, redirection, environment, code, err):
    """The exit status is the job's own, also after a reader that has left; only a full disk is an error."""
    script = tmp_path / "latentscape"
    script.write_text(SHORT)
    words = words.replace("RUN", f"'{run}'").replace("SHORT", str(script))
    ended = subprocess.run(
        ["bash", "-c", f"{sys.executable} {words} {redirection}; exit ${{PIPESTATUS[0]}}"],
        env={**ENVIRONMENT, **environment}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (code, err)
