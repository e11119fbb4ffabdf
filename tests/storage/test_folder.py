"""One behaviour for every folder, here and behind a URI."""

import pickle

import pytest

from framework.errors import StorageError
from framework.storage import open_folder


def test_files_come_back_as_they_were_written(location):
    folder = open_folder(location)
    folder.write_bytes("a/b/bytes", b"\x00\xff")
    folder.write_text("text", "grüß\n")
    folder.write_json("document.json", {"value": 0.1, "name": "é"})
    assert folder.read_bytes("a/b/bytes") == b"\x00\xff"
    assert folder.read_text("text") == "grüß\n"
    assert folder.read_json("document.json") == {"value": 0.1, "name": "é"}
    folder.write_text("text", "new")
    assert open_folder(folder.location).read_text("text") == "new"
    assert folder.list() == ["a", "document.json", "text"]
    assert folder.files() == ["a/b/bytes", "document.json", "text"]
    assert (folder / "a").files() == ["b/bytes"]


def test_arithmetic_keeps_the_place_and_the_query(location):
    folder = open_folder(location)
    below = folder / "trials/x y" / "checkpoints"
    assert below.name == "checkpoints"
    assert folder.name == "runs"
    below.write_text("z", "1")
    assert folder.read_text("trials/x y/checkpoints/z") == "1"
    assert open_folder(below.location) == below
    assert pickle.loads(pickle.dumps(below)).read_text("z") == "1"
    assert below.is_local == ("://" not in location)


def test_what_is_missing_is_empty_or_one_line(location):
    folder = open_folder(location)
    assert not folder.exists()
    assert folder.list() == []
    assert folder.files() == []
    folder.delete()
    folder.delete("nothing")
    with pytest.raises(StorageError) as fault:
        folder.read_bytes("nothing/here")
    assert "nothing/here" in str(fault.value)
    assert "\n" not in str(fault.value)
    folder.write_text("bad.json", '{"a": ')
    with pytest.raises(StorageError, match=r"bad\.json.*is not JSON"):
        folder.read_json("bad.json")


def test_delete_takes_files_and_trees(location):
    folder = open_folder(location)
    for name in ("a/x", "a/y", "b"):
        folder.write_text(name, name)
    folder.delete("a/x")
    assert folder.files() == ["a/y", "b"]
    folder.delete("a")
    assert folder.list() == ["b"]
    (folder / "b").delete()
    assert folder.list() == []


def test_append_adds_lines(location):
    folder = open_folder(location)
    for row in range(3):
        folder.append_text("rows.jsonl", f"{row}\n")
    assert folder.read_text("rows.jsonl") == "0\n1\n2\n"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x"])
def test_names_stay_within_the_folder(location, name):
    with pytest.raises(StorageError, match="relative name"):
        open_folder(location).write_text(name, "")


def test_upload_and_local_copy_are_inverse(location, tmp_path):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "manifest.json").write_text("{}")
    (source / "deep" / "tensor").write_bytes(bytes(range(256)) * 1000)
    folder = open_folder(location) / "copy"
    folder.write_text("old", "must go")
    folder.upload(source, last="manifest.json")
    copy = folder.local_copy()
    assert sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()) == [
        "deep/tensor",
        "manifest.json",
    ]
    assert (copy / "deep" / "tensor").read_bytes() == (source / "deep" / "tensor").read_bytes()
    folder.write_text("manifest.json", '{"changed": 1}')
    folder.delete("deep/tensor")
    again = folder.local_copy()
    assert (again / "manifest.json").read_text() == '{"changed": 1}'
    assert not (again / "deep" / "tensor").exists()


def test_a_staged_folder_appears_whole_or_not_at_all(location):
    folder = open_folder(location) / "staged"
    with pytest.raises(FileNotFoundError), folder.staged() as place:
        (place / "half").write_text((place / "not there").read_text())
    assert not folder.exists()
    with folder.staged(last="manifest.json") as place:
        (place / "manifest.json").write_text("1")
        (place / "deep").mkdir()
        (place / "deep" / "x").write_text("2")
        assert not folder.exists()
    assert folder.files() == ["deep/x", "manifest.json"]
    assert open_folder(location).list() == ["staged"]


def test_many_files_at_once(location):
    folder = open_folder(location)
    files = {f"many/{number}.png": bytes([number]) * number for number in range(40)}
    folder.write_many(files)
    assert folder.files() == sorted(files)
    assert {name: folder.read_bytes(name) for name in files} == files
