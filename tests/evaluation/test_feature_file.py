import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from framework.errors import EvaluationError, StorageError
from framework.evaluation.values.feature_file import FeatureFile
from framework.models.arithmetic.blocks import shards

COUNT, SIZE = 700, 5
ROOT = Path(__file__).parents[2]


def rows(start=0, stop=COUNT):
    return np.random.default_rng(0).normal(size=(COUNT, SIZE)).astype(np.float32)[start:stop]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "features" / "f.npy"


def filled(path, *starts):
    file = FeatureFile.create(path, count=COUNT, size=SIZE)
    for start, stop in shards(COUNT):
        if not starts or start in starts:
            file.write(start, rows(start, stop))
    return file


def names(path):
    return sorted(entry.name for entry in path.parent.iterdir())


def test_shards_in_any_order_make_the_whole(path):
    file = FeatureFile.create(path, count=COUNT, size=SIZE)
    assert file.missing() == shards(COUNT)
    for start in (512, 0, 256):
        file.write(start, rows(start, min(start + 256, COUNT)))
    finished = file.finish()
    assert np.array_equal(finished, rows())
    assert names(path) == ["f.npy", "f.npy.sums"]
    assert np.array_equal(np.load(path), rows())  # any tool reads it


def test_it_is_mapped_and_read_only(path):
    filled(path).finish()
    found = FeatureFile(path, count=COUNT, size=SIZE).open()
    assert isinstance(found, np.memmap)
    assert found.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1


def test_an_interrupted_pass_goes_on(path):
    filled(path, 256)
    file = FeatureFile.create(path, count=COUNT, size=SIZE)
    assert not path.exists()
    assert file.missing() == [(0, 256), (512, 700)]
    with pytest.raises(EvaluationError, match="2 shards are missing, from image 0 on"):
        file.finish()
    for start, stop in file.missing():
        file.write(start, rows(start, stop))
    assert np.array_equal(file.finish(), rows())


def test_a_line_that_was_torn_is_a_shard_that_is_missing(path):
    filled(path, 0, 256)
    sums = path.with_name("f.npy.sums")
    sums.write_text(sums.read_text()[:-3])
    file = FeatureFile.create(path, count=COUNT, size=SIZE)
    assert file.missing() == [(256, 512), (512, 700)]
    for start, stop in file.missing():
        file.write(start, rows(start, stop))
    assert np.array_equal(file.finish(), rows())


def test_bytes_that_did_not_reach_the_disk_are_missing(path):
    filled(path, 0, 256)
    part = path.with_name("f.npy.part")
    data = bytearray(part.read_bytes())
    data[-(COUNT - 300) * SIZE * 4] ^= 0xFF
    part.write_bytes(data)
    assert FeatureFile.create(path, count=COUNT, size=SIZE).missing() == [(256, 512), (512, 700)]


WRITES_SLOWLY = f"""
import sys, time
from pathlib import Path
import numpy as np
from framework.evaluation.values.feature_file import FeatureFile
rows = np.random.default_rng(0).normal(size=({COUNT}, {SIZE})).astype(np.float32)
file = FeatureFile.create(Path(sys.argv[1]), count={COUNT}, size={SIZE})
for start, stop in file.missing():
    file.write(start, rows[start:stop])
    print(start, flush=True)
    time.sleep(60)
"""


@pytest.mark.long
def test_what_a_killed_process_has_written_stays(path):
    command = [sys.executable, "-c", WRITES_SLOWLY, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout.readline() == "0\n"
        process.kill()
    file = FeatureFile.create(path, count=COUNT, size=SIZE)
    assert file.missing() == [(256, 512), (512, 700)]
    for start, stop in file.missing():
        file.write(start, rows(start, stop))
    assert np.array_equal(file.finish(), rows())


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "text", "absent", "no sums"])
def test_a_damaged_file_is_said_and_made_again(path, damage):
    filled(path).finish()
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[-9] ^= 0xFF
    if damage == "absent":
        path.unlink()
    elif damage == "no sums":
        path.with_name("f.npy.sums").unlink()
    else:
        kinds = {"truncated": data[:-8], "empty": b"", "text": b"no array"}
        path.write_bytes(bytes(kinds.get(damage, data)))
    with pytest.raises(EvaluationError, match=r"f\.npy: (holds no readable features|is damaged from image)"):
        FeatureFile(path, count=COUNT, size=SIZE).open()
    again = FeatureFile.create(path, count=COUNT, size=SIZE)
    assert again.missing() == shards(COUNT)
    for start, stop in again.missing():
        again.write(start, rows(start, stop))
    assert np.array_equal(again.finish(), rows())
    assert np.array_equal(FeatureFile(path, count=COUNT, size=SIZE).open(), rows())


def test_a_pickle_is_never_run(path, capsys):
    class Trap:
        def __reduce__(self):
            return print, ("the pickle was run",)

    path.parent.mkdir()
    np.save(path, np.array([Trap()], object), allow_pickle=True)
    with pytest.raises(EvaluationError, match="holds no readable features"):
        FeatureFile(path, count=COUNT, size=SIZE).open()
    assert capsys.readouterr().out == ""


def test_what_is_of_other_images_is_begun_anew(path):
    filled(path, 0, 256)
    other = FeatureFile.create(path, count=300, size=SIZE)
    assert other.missing() == shards(300)
    filled(path).finish()
    with pytest.raises(EvaluationError, match=r"it has \[700, 5\]"):
        FeatureFile(path, count=300, size=SIZE).open()


def test_what_is_not_finite_or_no_shard_is_refused(path):
    file = FeatureFile.create(path, count=COUNT, size=SIZE)
    broken = rows(0, 256)
    broken[7, 2] = np.nan
    with pytest.raises(EvaluationError, match="features of images 0 to 256 are not finite"):
        file.write(0, broken)
    for start, features in ((0, rows(0, 255)), (1, rows(1, 257)), (0, rows(0, 256)[:, :4]), (700, rows(0, 256))):
        with pytest.raises(EvaluationError, match="are not a shard of"):
            file.write(start, features)
    assert file.missing() == shards(COUNT)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        FeatureFile.create(tmp_path / "file" / "f.npy", count=COUNT, size=SIZE)
