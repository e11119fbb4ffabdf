"""Every kind of source gives the same images; what cannot be one is said in one line."""

import gzip
import hashlib
import io
import lzma
import pickle
import tarfile

import pytest
import torch

from framework.config import DataConfig
from framework.data import prepare, survey
from framework.errors import DataError
from tests.data.conftest import jpeg

FILES = {f"faces/{k}_0_1_2017.jpg": jpeg(k) for k in range(8)}
CLUTTER = {
    ".DS_Store": b"x",
    "faces/.hidden.jpg": b"x",
    "__MACOSX/faces/._0.jpg": b"x",
    "Thumbs.db": b"x",
}


def test_folder_and_archives_give_the_same_images(folder_of, tar_of, zip_of, pack):
    everything = {**FILES, **CLUTTER}
    sources = [
        folder_of(everything),
        tar_of(everything),
        tar_of(everything, "packed.tar.gz", "w:gz"),
        tar_of(everything, "packed.tgz", "w:gz"),
        tar_of(everything, "packed.tar.xz", "w:xz"),
        zip_of(everything),
    ]
    stores = [pack(source) for source in sources]
    assert len({store.path for store in stores}) == len(sources)
    for store in stores:
        assert sorted(store.names) == sorted(FILES)
        assert store.digest == stores[0].digest
        assert (store.images[store.training_indices] == stores[0].images[stores[0].training_indices]).all()
        assert not (store.path / "source.tar").exists()


def test_the_kind_is_seen_not_named(tar_of, zip_of, pack):
    zipped = zip_of(FILES).rename(zip_of(FILES).with_name("no-suffix"))
    assert len(pack(zipped)) == len(FILES)


def test_other_members_of_a_tar_file(tmp_path, pack):
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind, target in (
            ("folder", tarfile.DIRTYPE, ""),
            ("a.jpg", tarfile.REGTYPE, ""),
            ("b.jpg", tarfile.LNKTYPE, "a.jpg"),
            ("c.jpg", tarfile.SYMTYPE, "a.jpg"),
            ("twice.jpg", tarfile.REGTYPE, ""),
            ("twice.jpg", tarfile.REGTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            data = jpeg(archive.offset) if kind == tarfile.REGTYPE else b""
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            last = data or None
    store = pack(path, copies="keep")
    assert sorted(store.names) == ["a.jpg", "b.jpg", "twice.jpg"]
    hashes = dict(zip(store.names, store.hashes, strict=True))
    assert hashes["a.jpg"] == hashes["b.jpg"]
    assert hashes["twice.jpg"] == hashlib.sha256(last).hexdigest()


@pytest.mark.parametrize("others", [{}, {"z/small.jpg": jpeg(1)}])
def test_a_compressed_archive_that_begins_with_too_large_a_file(tar_of, tmp_path, others):
    path = tar_of({"a/large.jpg": b"x" * 70_000} | others, "packed.tar.gz", "w:gz")
    config = DataConfig(
        source="folder", path=str(path), largest_file_bytes=1 << 16, max_rejected=1.0, held_out=0.0, resolution=32
    )
    if others:
        store = prepare(config, cache=tmp_path / "cache")
        assert store.names == ["z/small.jpg"]
        assert store.rejected == [("a/large.jpg", "too large: more than 65,536 bytes")]
    else:
        with pytest.raises(DataError, match=r"^data\.path: packed\.tar\.gz has no usable image \(1 too large\)"):
            prepare(config, cache=tmp_path / "cache")


def test_a_survey_counts_and_writes_nothing(tar_of, tmp_path):
    path = tar_of(FILES, "packed.tar.gz", "w:gz")
    before = sorted(tmp_path.rglob("*"))
    found = survey(DataConfig(source="folder", path=str(path)))
    assert (found.images, found.what) == (8, "packed.tar.gz")
    assert sorted(tmp_path.rglob("*")) == before
    assert survey(DataConfig(source="drawn_faces")).images == 10_000
    assert survey(DataConfig(source="drawn_faces", limit=77)).images == 77


def damaged_tar(tar_of, tmp_path):
    path = tar_of(FILES)
    with tarfile.open(path) as archive:
        header = archive.getmembers()[3].offset
    data = bytearray(path.read_bytes())
    data[header : header + 512] = b"\xa5" * 512
    (tmp_path / "damaged.tar").write_bytes(data)
    return tmp_path / "damaged.tar"


def cut(path, share=0.43):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def torch_file():
    file = io.BytesIO()
    torch.save({"weight": torch.zeros(1)}, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f, t, z, p: None, r"data.path: data.source folder needs a folder, .tar, .tar.gz or .zip"),
        (lambda f, t, z, p: p / "nowhere", r"data.path: .*nowhere does not exist"),
        (lambda f, t, z, p: f({".hidden": b"x"}), "contains no files"),
        (lambda f, t, z, p: t({}), "contains no files"),
        (lambda f, t, z, p: z({}), "contains no files"),
        (lambda f, t, z, p: t({}, "e.tar.gz", "w:gz"), "contains no files"),
        (lambda f, t, z, p: cut(t(FILES)), "damaged .*unexpected end"),
        (lambda f, t, z, p: damaged_tar(t, p), "damaged .*unexpected end"),
        (lambda f, t, z, p: cut(t(FILES, "c.tar.gz", "w:gz")), "is damaged"),
        (lambda f, t, z, p: cut(t(FILES, "c.tar.xz", "w:xz")), "is damaged"),
        (lambda f, t, z, p: cut(z(FILES)), "cut off"),
        (lambda f, t, z, p: f({"a.jpg": jpeg(0)}) / "a.jpg", "a.jpg is a JPEG picture"),
        (lambda f, t, z, p: f({"a.txt": b"words"}) / "a.txt", "neither a folder nor a .tar, .tar.gz or .zip"),
        (lambda f, t, z, p: f({"empty.tar": b""}) / "empty.tar", "empty.tar is damaged"),
        (lambda f, t, z, p: f({"n.gz": gzip.compress(b"no tar file" * 99)}) / "n.gz", "is damaged"),
        (lambda f, t, z, p: f({"n.xz": lzma.compress(b"no tar file" * 99)}) / "n.xz", "is damaged"),
        (lambda f, t, z, p: f({"a.txt": b"words", "b.txt": b"words"}), "no usable image .2 not an image.; listed"),
        (
            lambda f, t, z, p: f({"a/data.mdb": bytes(16) + b"\xde\xc0\xef\xbe"}),
            "a/data.mdb is an LMDB database; write",
        ),
        (lambda f, t, z, p: f({"g.pth": torch_file()}), "g.pth is a file of torch ..pth.; docs/foreign.md says how"),
        (lambda f, t, z, p: f({"n.pkl": pickle.dumps({})}), "n.pkl is a Python pickle; it is never opened"),
    ],
)
def test_bad_sources_are_one_line(make, message, folder_of, tar_of, zip_of, tmp_path, pack):
    path = make(folder_of, tar_of, zip_of, tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        pack(path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("cache/data/*px-*/manifest.json"))
    assert not list(tmp_path.glob("cache/data/.*building"))
