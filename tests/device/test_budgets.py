"""What a step asks of the GPU, as the loop runs it, is held to budgets.json; see count.py.

Larger sides are the slow ones: a layer more costs what the others do.
"""

import pytest

from tests.device.count import CASES, budgets, check, counted

pytestmark = pytest.mark.long


def test_each_case_has_a_budget():
    assert budgets().keys() == CASES.keys()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if side <= 32 else pytest.mark.slow) for name, (_, side) in CASES.items()]
)
def test_a_step_keeps_within_its_budget(name):
    found = counted(name)
    assert found.counts.operations > 50  # it was computed there, not on the CPU
    check(name, found, budgets()[name])
