"""What a step asks of the GPU, as the loop runs it, is held to budgets.json; see count.py."""

import pytest

from tests.device.count import CASES, budgets, check, counted


def test_each_case_has_a_budget():
    assert budgets().keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_step_keeps_within_its_budget(name):
    found = counted(name)
    assert found.counts.operations > 50  # it was computed there, not on the CPU
    check(name, found, budgets()[name])
