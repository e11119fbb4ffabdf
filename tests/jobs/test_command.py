"""The command `latentscape`: a real process each, as the installed script starts it."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import jobs
from jobs.cli.completion import declared
from jobs.cli.main import job_names
from tests.conftest import missing

ROOT = Path(__file__).parents[2]
MODULE, FUNCTION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["latentscape"].split(":")
SCRIPT = f"import sys; from {MODULE} import {FUNCTION}; sys.argv[0] = 'latentscape'; sys.exit({FUNCTION}())"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
HEAVY = ("torch", "ray", "rich", "pyarrow")


def called(*words, code=SCRIPT, **more):
    environment = {**ENVIRONMENT, **more}
    return subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True)


def heavy_after(*words, **more):
    """Which of the heavy packages the process had imported at its end."""
    code = f"import atexit, sys; atexit.register(lambda: print(*(set({HEAVY}) & set(sys.modules)), file=sys.stderr))\n"
    return called(*words, code=code + SCRIPT, **more).stderr.split()


def completed(line):
    """What the shell is offered; argcomplete writes it to the descriptor 8 and ends the process without a word."""
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "bash", "_ARGCOMPLETE_IFS": "\n"}
    environment = {**ENVIRONMENT, **asked, "COMP_LINE": line, "COMP_POINT": str(len(line))}
    shell = ["bash", "-c", '"$0" -c "$1" 8>&1 9>/dev/null', sys.executable, SCRIPT]
    ended = subprocess.run(shell, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.split()


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_alone_it_lists_every_job_with_a_line_of_its_own(words):
    ended = called(*words)
    assert (ended.returncode, ended.stderr) == (0, "")
    listed = dict(line[2:].split("  ", 1) for line in ended.stdout.splitlines() if line.startswith("  "))
    modules = [file for file in Path(str(jobs.__file__)).parent.glob("*.py") if file.name != "__init__.py"]
    said = {file.stem: ast.get_docstring(ast.parse(file.read_text())) for file in modules}
    assert {name: line.strip() for name, line in listed.items()} == said


def test_it_says_its_version():
    ended = called("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("latentscape ")
    assert len(ended.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("typed", "facts"),
    [
        ("trian", ["trian:", "train"]),
        ("status-", ["status-:", "status"]),
        ("import-kears", ["import-kears:"]),
        ("xyz", ["xyz:"]),
        ("../train", ["../train:", "mean train"]),
        ("\x1b[31m\n", ["\\x1b[31m\\n:"]),
        ("cli", ["cli:"]),
        ("__init__", ["__init__:"]),
        ("", []),
        ("--json", ["--json:", "--help", "--version"]),
    ],
)
def test_what_is_no_job_is_one_line(typed, facts):
    ended = called(typed)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.splitlines()) == 1
    assert missing(ended.stderr, *facts) == []


@pytest.mark.parametrize("words", [("--help",), ("gone.h5", "output=x", "--json")])
def test_behind_it_is_the_job_itself(words):
    """The same bytes and exit status, its name typed with a hyphen too."""
    plain = subprocess.run(
        [sys.executable, "-m", "jobs.import_keras", *words],
        env=ENVIRONMENT, capture_output=True, text=True,
    )  # fmt: skip
    short = called("import-keras", *words)
    assert (short.returncode, short.stdout, short.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert short.returncode == (0 if words == ("--help",) else 2)


def test_nothing_heavy_is_imported_before_a_job_is_asked_for():
    assert heavy_after() == []
    assert heavy_after("--help") == []
    assert heavy_after("--version") == []
    assert [word for word in heavy_after("trian") if word in HEAVY] == []


def test_the_arguments_of_every_job_need_neither_torch_nor_ray_nor_rich():
    code = f"import sys, jobs.cli.job, jobs.cli.completion; print(*(set({HEAVY}) & set(sys.modules)))"
    ended = called(code=code)
    assert (ended.stdout, ended.stderr) == ("\n", "")


def test_no_job_waits_for_packages_that_it_does_not_need():
    # They took more than half of the time that a job needs to start.
    slow = {"torchmetrics", "torchvision", "matplotlib", "scipy.stats", "sklearn", "pandas"}
    with_them = {"discover", "latent_map", "train", "search", "pipeline"}
    imports = "; ".join(f"import jobs.{name}" for name in job_names() if name not in with_them)
    ended = called(code=f"import sys; {imports}; print(*({slow} & set(sys.modules)))")
    assert (ended.stdout, ended.stderr) == ("\n", "")


@pytest.mark.parametrize("name", job_names())
def test_a_declaration_that_is_read_is_the_one_that_runs(name):
    module = __import__(f"jobs.{name}", fromlist=["JOB"])
    assert declared(name) == module.JOB
    assert module.JOB.name == name


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("latentscape imp", ["import_keras"]),
        ("latentscape pr", ["prepare_data", "project"]),
        ("latentscape --v", ["--version"]),
        ("latentscape train conf", ["configs/"]),
        ("latentscape train configs/utkface-c", ["configs/utkface-cpu.yaml"]),
        ("latentscape train x.yaml --json model.archi", ["model.architecture="]),
        ("latentscape train x.yaml model.architecture=", ["model.architecture=dcgan", "model.architecture=skip",
                                                          "model.architecture=residual", "model.architecture=keras"]),
        ("latentscape train x.yaml compute.determ", ["compute.deterministic="]),
        ("latentscape train x.yaml compute.deterministic=f", ["compute.deterministic=false"]),
        ("latentscape train x.yaml data.path=conf", ["data.path=configs/"]),
        ("latentscape train x.yaml --dr", ["--dry-run"]),
        ("latentscape import-keras x.h5 out", ["output="]),
        ("latentscape arithmetic x model.e", ["model.entry="]),
        ("latentscape prepare-data x.yaml model.", []),
        ("latentscape train x.yaml training.batch_size=", []),
        ("latentscape nothing co", []),
    ],
)  # fmt: skip
def test_the_shell_is_offered_what_the_job_takes(line, offered):
    assert completed(line) == offered


def test_keys_come_after_the_first_arguments():
    first, then = completed("latentscape train "), completed("latentscape train configs/demo.yaml ")
    assert not [word for word in first if word.endswith("=")]
    assert {"configs/", "optimizer.generator_lr="} <= set(then)
