"""Archives in a folder and in an archive, and webdataset's shards, give the same images as their files in a folder."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pytest

from framework.config import DataConfig
from framework.data import survey
from framework.data.sources.source import list_source
from framework.errors import DataError
from framework.evaluation.sources.source import find_source, open_source
from tests.data.conftest import jpeg

FILES = {f"{k:03d}.jpg": jpeg(k) for k in range(120)}
TAR = {"tar": "w:", "tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}


def archived(files, kind):
    """The bytes of an archive."""
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return file.getvalue()
    with tarfile.open(fileobj=file, mode=TAR[kind]) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def part(number, parts=3):
    return {f"inner/{name}": data for k, (name, data) in enumerate(FILES.items()) if k % parts == number}


def listed(path):
    listing = list_source(DataConfig(source="folder", path=str(path)), unpack_to=None)
    return [name for name, _ in listing.items], dict(listing.left_out)


@pytest.fixture
def plain(folder_of, pack):
    return pack(folder_of(FILES, "plain"))


@pytest.mark.parametrize("kinds", [("zip", "tar", "tar.gz"), ("tar.xz", "tar.bz2", "tgz")])
def test_a_folder_of_archives(kinds, folder_of, pack, plain):
    archives = {f"set/part{k}.{kind}": archived(part(k), kind) for k, kind in enumerate(kinds)}
    store = pack(folder_of({**archives, "notes.zip": archived({"a.txt": b"x", "b.csv": b"y"}, "zip")}))
    assert store.digest == plain.digest
    expected = [f"set/part{k}.{kind}/{name}" for k, kind in enumerate(kinds) for name in part(k)]
    assert sorted(store.names) == sorted(expected)
    assert (store.images[store.training_indices] == plain.images[plain.training_indices]).all()
    assert sorted(path.name for path in store.path.iterdir()) == ["images.npy", "manifest.json", "rejected.csv"]


@pytest.mark.parametrize("outer", ["zip", "tar", "tar.gz"])
def test_archives_in_an_archive(outer, tmp_path, pack, plain):
    inner = {f"set/part{k}.{kind}": archived(part(k), kind) for k, kind in enumerate(("zip", "tar.gz"))}
    resource = {"__MACOSX/set/._part0.zip": b"\0\5\x16\7", "set/.hidden.tar": b"x"}
    path = tmp_path / f"all.{outer}"
    path.write_bytes(archived({**inner, **resource, **part(2)}, outer))
    store = pack(path)
    assert store.digest == plain.digest
    assert sum(name.startswith("set/part0.zip/inner/") for name in store.names) == 40
    assert survey(DataConfig(source="folder", path=str(path))).images == 120


def test_archives_in_archives_of_a_folder_end_at_the_second(folder_of, pack):
    third = archived(FILES, "zip")
    second = archived({"a.jpg": jpeg(500), "third.zip": third}, "tar")
    store = pack(folder_of({"first.zip": archived({"second.tar": second}, "zip")}), max_rejected=0.5)
    assert store.names == ["first.zip/second.tar/a.jpg"]
    assert store.rejected == [("first.zip/second.tar/third.zip", "not an image: a zip file; name the archive itself")]


def test_earlier_rules_leave_archives_as_files(folder_of):
    folder = folder_of({"a.jpg": jpeg(0), "b.zip": archived(part(0), "zip"), "c.NEF": b"x"})
    listing = list_source(DataConfig(source="folder", path=str(folder), rules=1), unpack_to=None)
    assert list(listing.items) == [(name, name) for name in ("a.jpg", "b.zip", "c.NEF")]
    shard = folder / "b.tar"
    shard.write_bytes(archived({"1.jpg": jpeg(1), "1.cls": b"0"}, "tar"))
    listing = list_source(DataConfig(source="folder", path=str(shard), rules=1), unpack_to=None)
    assert [name for name, _ in listing.items] == ["1.jpg", "1.cls"]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("within", ["folder", "zip"])
def test_a_damaged_archive_among_others_is_named(kind, within, folder_of, tmp_path, pack):
    data = archived(part(0), kind)
    files = {"good.tar": archived(part(1), "tar"), f"bad.{kind}": data[: len(data) // 2]}
    path = folder_of(files)
    if within == "zip":
        path = tmp_path / "outer.zip"
        path.write_bytes(archived(files, "zip"))
    with pytest.raises(DataError, match=rf"bad\.{kind} ") as caught:
        pack(path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("cache/data/.*building"))


def test_a_web_page_among_archives_is_named(folder_of, pack):
    with pytest.raises(DataError, match=r"part2\.zip is a web page"):
        pack(folder_of({"part1.zip": archived(part(1), "zip"), "part2.zip": b"<!doctype html><html>"}))


def test_a_damaged_picture_in_an_inner_zip_is_rejected_alone(tmp_path, pack):
    inner = bytearray(archived(part(0), "zip"))
    at = inner.find(b"PK\x03\x04") + 60
    inner[at : at + 8] = b"\0" * 8
    path = tmp_path / "outer.zip"
    path.write_bytes(archived({"inner.zip": bytes(inner), **part(1)}, "zip"))
    store = pack(path)
    assert [name for name, _ in store.rejected] == ["inner.zip/inner/000.jpg"]
    assert len(store) == 79


def test_files_in_archives_count_for_the_limit(folder_of, pack):
    with pytest.raises(DataError, match=r"data\.most_files: .*50"):
        pack(folder_of({"a.zip": archived(part(0), "zip"), "b.tar.gz": archived(part(1), "tar.gz")}), most_files=50)


def shard(first, *, kind="tar", labels="cls"):
    """webdataset's samples: an image and its label, in the order of their endings."""
    files = {}
    for k in range(first, first + 40):
        about = {"cls": str(k % 3).encode(), "json": json.dumps({"glasses": k % 2, "caption": {"en": "x"}}).encode()}
        files |= {f"{k:06d}.{labels}": about[labels], f"{k:06d}.jpg": jpeg(k), f"{k:06d}.txt": b"a face"}
    return archived(files, kind)


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_a_folder_of_webdataset_shards(kind, folder_of, pack):
    folder = folder_of({f"{k:05d}.{kind}": shard(40 * k, kind=kind) for k in range(3)})
    names, left_out = listed(folder)
    assert len(names) == 120
    assert left_out == {"label or text beside its image": 240}
    store = pack(folder)
    assert (len(store), store.rejected) == (120, [])
    assert store.label_classes["cls"] == ["0", "1", "2"]
    numbers = [int(name[-10:-4]) for name in store.names]
    assert store.labels["cls"].tolist() == [number % 3 for number in numbers]


def test_one_shard_with_json(tmp_path, pack):
    path = tmp_path / "one.tar"
    path.write_bytes(shard(0, labels="json"))
    store = pack(path)
    assert (len(store), store.rejected, list(store.labels)) == (40, [], ["glasses"])
    assert store.labels["glasses"].tolist() == [int(name[:6]) % 2 for name in store.names]
    assert survey(DataConfig(source="folder", path=str(path))).labels.values["glasses"].sum() == 20


def test_a_table_in_a_tar_file_stays_a_file(tar_of, pack):
    store = pack(tar_of({**FILES, "dataset.json": b"{}"}))
    assert [name for name, _ in store.rejected] == ["dataset.json"]
    assert store.labels == {}


def test_raw_photographs_are_rejected_by_name(folder_of, pack):
    store = pack(folder_of({**FILES, "DSC_1.NEF": jpeg(1), "b.dng": jpeg(2)}))
    assert [(name, "RAW" in reason) for name, reason in store.rejected] == [("DSC_1.NEF", True), ("b.dng", True)]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_archives_in_a_folder_are_a_side_of_a_score(kind, folder_of):
    folder = folder_of({f"a.{kind}": archived(part(0), kind)}, "scored")
    plain = folder_of({name.removeprefix("inner/"): data for name, data in part(0).items()}, "plain")
    sides = [find_source(str(path), samples=0, seed=0) for path in (folder, plain)]
    assert sides[0].side.digest == sides[1].side.digest
    first, second = (open_source(side)(0, 40) for side in sides)
    assert np.array_equal(first, second)
