"""The import contracts of pyproject.toml: each holds, and each breaks at an import that it forbids."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")
# Contract -> (a module, an import that the contract forbids in it).
PLANTED = {
    "jobs over framework": ("framework/errors.py", "import jobs.train"),
    "the layers": ("framework/metrics/ordering.py", "import framework.training.loop"),
    "Ray stays in orchestration": ("framework/training/loop.py", "import ray"),
    "jobs: what they share is below them": ("jobs/cli/tables.py", "import jobs.search"),
    "floors of orchestration": ("framework/orchestration/pool/tasks.py", "import framework.orchestration.context"),
    "floors of report": ("framework/report/text/ticks.py", "import framework.report.shared.sections"),
    "floors of evaluation": ("framework/evaluation/features/weights.py", "import framework.evaluation.cost"),
    "floors of latents": ("framework/latents/directions/edits.py", "import framework.latents.steering.move"),
    "floors of training": ("framework/training/steps/draws.py", "import framework.training.reports.health"),
    "floors of models": ("framework/models/architectures/skip.py", "import framework.models.build"),
    "floors of data": ("framework/data/sources/mnist.py", "import framework.data.packing.prepare"),
    "no circles": ("framework/config/section.py", "import framework.config.schema"),
}


def lint(folder: Path) -> subprocess.CompletedProcess:
    command = [LINT, "--no-cache", "--config", folder / "pyproject.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(folder)})


def contracts() -> list[str]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["name"] for contract in document["tool"]["importlinter"]["contracts"]]


def copied(folder: Path) -> Path:
    for package in ("framework", "jobs"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_all_contracts_hold():
    found = lint(ROOT)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"Contracts: {len(contracts())} kept, 0 broken." in found.stdout


def test_each_contract_breaks_at_an_import_that_it_forbids(tmp_path):
    assert list(PLANTED) == contracts()
    folder = copied(tmp_path)
    for module, line in PLANTED.values():
        with (folder / module).open("a") as file:
            file.write(f"\n{line}\n")
    found = lint(folder)
    assert found.returncode == 1
    broken = re.findall(r"^(.+) BROKEN$", found.stdout, flags=re.MULTILINE)
    assert broken == contracts()


def test_a_package_that_no_layer_names_is_a_fault(tmp_path):
    folder = copied(tmp_path)
    (folder / "framework" / "helpers.py").write_text("")
    found = lint(folder)
    assert found.returncode == 1
    assert "framework.helpers" in found.stdout
