"""Processes that decode: they die with an error that names why, never silently."""

import pytest

from framework.data.packing.pool import Pool, usable_cores
from framework.errors import DataError

SETTINGS = {"kind": "drawn_faces", "path": "", "start": 0, "resolution": 32, "channels": 1, "seed": 0}
SETTINGS |= {"most_bytes": 1 << 20}


@pytest.mark.parametrize("processes", [1, 3])
def test_every_item_has_one_result_in_each_round(processes, tmp_path):
    output = tmp_path / "raw"
    output.touch()
    with Pool(processes) as pool:
        pool.begin({**SETTINGS, "output": str(output)})
        for start, stop in ((0, 100), (100, 101), (101, 101)):
            for index in range(start, stop):
                pool.put(index, index)
            found = [slot for results in pool.results() for slot, _, reason, _ in results if reason is None]
            assert sorted(found) == list(range(start, stop))
    assert output.stat().st_size == 101 * 32 * 32


def test_a_dead_process_is_named_with_its_last_words(tmp_path):
    with Pool(2) as pool:
        pool.begin({**SETTINGS, "output": str(tmp_path / "not there")})
        pool.put(0, 0)
        with pytest.raises(DataError, match=r"a decoding process died \(exit code 1: FileNotFoundError.*not there"):
            list(pool.results())


def test_a_pool_that_never_began_ends():
    with Pool(2):
        pass
    assert usable_cores() >= 1
