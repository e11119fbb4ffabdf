"""What is no source of images is named for what it is, in one line."""

import io
import struct
import zipfile

import pytest
import torch

from framework.errors import DataError
from tests.data.conftest import jpeg

FILES = {f"{k}.jpg": jpeg(k) for k in range(8)}
ENTRY, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
LMDB = bytes(16) + struct.pack("<II", 0xBEEFC0DE, 1) + bytes(4000)  # lmdb.h: a page header of 16 bytes, then MDB_MAGIC


def with_field(path, offset, value, *, most=100):
    """A zip file with a field of its first entries changed: 8 is the flags in the directory, 10 the method."""
    data = bytearray(path.read_bytes())
    for mark, place in ((ENTRY, offset), (LOCAL, offset - 2)):
        at = -1
        for _ in range(most):
            at = data.find(mark, at + 1)
            if at < 0:
                break
            data[at + place] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("field", "value", "words"), [(8, 1, "password"), (10, 9, "Deflate64"), (10, 93, "Zstandard")])
def test_a_zip_file_that_cannot_be_unpacked(field, value, words, zip_of, pack):
    with pytest.raises(DataError, match=rf"images\.zip .*{words}") as caught:
        pack(with_field(zip_of(FILES), field, value))
    assert "\n" not in str(caught.value)


def test_members_that_cannot_be_unpacked_are_rejected_by_name(zip_of, pack):
    store = pack(with_field(with_field(zip_of(FILES), 10, 9, most=2), 8, 1, most=1), max_rejected=0.5)
    assert len(store) == 6
    reasons = dict(store.rejected)
    assert set(reasons) == {"0.jpg", "1.jpg"}
    assert "password" in reasons["0.jpg"]
    assert "Deflate64" in reasons["1.jpg"]


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return file.getvalue()


def torch_file():
    file = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2).state_dict(), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("celeba.zip", b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>" * 20, "web page"),
        ("celeba.tar.gz", b"\n<HTML><body>404</body></HTML>", "web page"),
        ("faces.7z", b"7z\xbc\xaf\x27\x1c\0\4" + bytes(500), "7z"),
        ("faces.rar", b"Rar!\x1a\7\1\0" + bytes(500), "RAR"),
        ("faces.tar.zst", b"\x28\xb5\x2f\xfd" + bytes(500), "Zstandard"),
        ("clip.mp4", b"\0\0\0\x20ftypisom" + bytes(500), "video"),
        ("celeba.h5", b"\x89HDF\r\n\x1a\n" + bytes(500), "HDF5"),
        ("data.mdb", LMDB, "LMDB"),
        ("weights.pth", torch_file(), "torch"),
        ("script.pt", zipped("net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"), "TorchScript"),
        ("model.keras", zipped("config.json", "metadata.json", "model.weights.h5"), "Keras"),
        ("table.xlsx", zipped("[Content_Types].xml", "xl/workbook.xml"), "xlsx"),
        ("net.pkl", b"\x80\4\x95" + bytes(500), "pickle"),
        ("one.jpg", jpeg(0), "JPEG"),
    ],
)  # fmt: skip
def test_what_is_no_archive(name, data, words, tmp_path, pack):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=words) as caught:
        pack(tmp_path / name)
    assert str(caught.value).startswith(f"data.path: {tmp_path / name} is ")
    assert "\n" not in str(caught.value)


def test_a_zip_file_that_ends_too_early(zip_of, pack):
    path = zip_of(FILES)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match="zip file that is cut off"):
        pack(path)


def test_a_folder_that_is_a_database(folder_of, pack):
    with pytest.raises(DataError, match="LMDB"):
        pack(folder_of({"data.mdb": LMDB, "lock.mdb": b"x"}))


def test_other_files_among_images_are_named_in_the_list(folder_of, pack):
    store = pack(
        folder_of({**FILES, "a.docx": zipped("[Content_Types].xml"), "b.h5": b"\x89HDF\r\n\x1a\n"}), max_rejected=0.3
    )
    assert [(name, reason.partition(";")[0]) for name, reason in store.rejected] == [
        ("a.docx", "not an image: an Office document (as .xlsx)"),
        ("b.h5", "not an image: an HDF5 file"),
    ]
