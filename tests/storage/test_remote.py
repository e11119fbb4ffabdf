"""What goes wrong behind a URI, told in one line."""

import time

import pytest

from framework.errors import StorageError
from framework.storage import open_folder


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("abc://bucket/runs", "Unrecognized filesystem"),
        ("s3://bucket/runs?nonsense=1", "unknown option 'nonsense'; allowed: endpoint_override, region, scheme"),
        ("s3://key:secret@bucket/runs", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_uri_that_cannot_be_opened_is_refused_at_once(uri, reason):
    with pytest.raises(StorageError) as fault:
        open_folder(uri)
    assert reason in str(fault.value)
    assert "key:secret" not in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("action", ["exists", "list", "files", "write", "read"])
def test_storage_that_refuses_is_named(s3_location, action):  # the fixture for its AWS keys
    folder = open_folder("s3://bucket/runs?endpoint_override=127.0.0.1:1&scheme=http")
    actions = {
        "exists": folder.exists,
        "list": folder.list,
        "files": folder.files,
        "write": lambda: folder.write_text("x", ""),
        "read": lambda: folder.read_text("x"),
    }
    with pytest.raises(StorageError) as fault:
        actions[action]()  # pyarrow's own attempts go on for 15 minutes, which no test here may take
    assert "s3://bucket/runs" in str(fault.value)
    assert "127.0.0.1:1" in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_bucket_that_is_not_there_is_named(s3_location):
    folder = open_folder(s3_location.replace("bucket/", "no-such-bucket/").format("runs"))
    assert folder.list() == []
    with pytest.raises(StorageError, match="no-such-bucket"):
        folder.write_text("x", "")


def test_the_bucket_itself_is_a_folder(s3_location):
    bucket = open_folder(s3_location.format("deep/below")).parent.parent
    bucket.write_text("at-the-top", "1")
    assert "at-the-top" in bucket.list()
    assert "at-the-top" in bucket.files()
    assert (bucket / "deep" / "below").location == s3_location.format("deep/below")


@pytest.mark.long
def test_only_what_changed_is_fetched_again(s3_location, tmp_path):
    folder = open_folder(s3_location.format(f"{tmp_path.name}/copy"))
    folder.write_text("stays", "1")
    folder.write_text("changes", "1")
    copy = folder.local_copy()
    folder.write_text("changes", "2")
    assert (folder.local_copy() / "changes").read_text() == "2"  # within the same second, which S3 cannot tell apart
    time.sleep(3.1)
    folder.local_copy()
    before = (copy / "stays").stat().st_mtime_ns
    folder.write_text("changes", "3")
    assert folder.local_copy() == copy
    assert (copy / "changes").read_text() == "3"
    assert (copy / "stays").stat().st_mtime_ns == before


@pytest.mark.long
def test_large_files_go_up_in_parts(s3_location, tmp_path):
    content = bytes(range(256)) * (25 << 12)  # 25 MiB: more than one part
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "large").write_bytes(content)
    folder = open_folder(s3_location.format(f"{tmp_path.name}/large"))
    folder.upload(tmp_path / "source")
    assert folder.read_bytes("large") == content
    assert (folder.local_copy() / "large").read_bytes() == content
