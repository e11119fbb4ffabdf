"""What `import framework` costs."""

import subprocess
import sys

import pytest

import framework


def in_a_new_process(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_package_imports_neither_torch_nor_ray():
    program = (
        "import sys, framework; from framework import Experiment, load_experiment; "
        "print([name for name in ('torch', 'ray', 'numpy', 'pyarrow') if name in sys.modules])"
    )
    assert in_a_new_process(program) == "[]"


@pytest.mark.long
def test_the_rest_comes_when_it_is_asked_for():
    program = (
        "import sys, framework; framework.load_generator; from framework import CheckpointStore, RunFolder; "
        "print('torch' in sys.modules, 'ray' in sys.modules)"
    )
    assert in_a_new_process(program) == "True False"
    for name in framework.__all__:
        assert getattr(framework, name).__doc__
    assert not hasattr(framework, "nothing")
