"""10,000 damaged inputs: each works or is refused by an error of ours, in time and within memory.

LATENTSCAPE_CHAOS_CASES=300 LATENTSCAPE_CHAOS_ONLY=keras pytest -m chaos tests/chaos/test_fuzz.py tries fewer;
LATENTSCAPE_CHAOS_ONLY=keras:17 tries one. A finding is mended, and kept as a small test beside the module's others.
"""

import os

import pytest

from tests.chaos import (
    fuzz_archives,
    fuzz_configs,
    fuzz_directions,
    fuzz_images,
    fuzz_keras,
    fuzz_runs,
    fuzz_statistics,
    fuzz_tables,
)
from tests.chaos.conftest import SEED
from tests.chaos.fuzzing import fuzz

CASES = int(os.environ.get("LATENTSCAPE_CHAOS_CASES", "10000"))  # of all fuzzers together
NAME, _, NUMBER = os.environ.get("LATENTSCAPE_CHAOS_ONLY", "").partition(":")
# Another kind of input is a module with a FUZZER, and its line here.
FUZZERS = {
    fuzzer.name: fuzzer
    for fuzzer in (
        fuzz_archives.FUZZER,
        fuzz_configs.FUZZER,
        fuzz_directions.FUZZER,
        fuzz_images.FUZZER,
        fuzz_statistics.FUZZER,
        fuzz_keras.FUZZER,
        fuzz_runs.FUZZER,
        fuzz_tables.FUZZER,
    )
}


@pytest.mark.parametrize("name", FUZZERS)
def test_what_is_damaged_works_or_is_refused(name, tmp_path):
    if NAME not in ("", name):
        pytest.skip(f"LATENTSCAPE_CHAOS_ONLY={NAME}")
    fuzzer = FUZZERS[name]
    count = round(CASES * fuzzer.share / sum(each.share for each in FUZZERS.values()))
    found = list(fuzz(fuzzer, count, seed=SEED, folder=tmp_path, only=int(NUMBER) if NUMBER else None))
    assert not found, f"{len(found)} of {count}:\n" + "\n".join(found[:40])
