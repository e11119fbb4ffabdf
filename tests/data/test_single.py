"""Files that are decoded one by one, as photographs and the images of a score are."""

import contextlib
import io
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framework.data.packing.decoding import RejectedError, decode
from framework.data.packing.reading import Reader
from framework.data.packing.single import SingleDecoder
from tests.data.conftest import jpeg

MOST = 1 << 20


def png(size: tuple[int, int], mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, "PNG")
    return stream.getvalue()


def test_it_decodes_as_packing_does_with_the_same_limit_on_memory(folder_of, tmp_path, monkeypatch):
    folder = folder_of({"a.jpg": jpeg(1), "b.jpg": b"damaged", "c.jpg": jpeg(2)})
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with contextlib.closing(SingleDecoder(Reader("folder", str(folder), most_bytes=MOST), resolution=32)) as decoder:
        for name, seed in (("a.jpg", 1), ("c.jpg", 2), ("a.jpg", 1)):
            pixels, sha256 = decoder.decode(name)
            assert pixels.tobytes() == decode(jpeg(seed), resolution=32, channels=3)
            assert (pixels.shape, len(sha256)) == ((32, 32, 3), 64)
        with pytest.raises(RejectedError, match="not an image"):
            decoder.decode("b.jpg")
        assert decoder.decode("a.jpg")[0].shape == (32, 32, 3)
        assert list((tmp_path / "temporary").iterdir()) == []  # nothing that a killed job would leave
        (process,) = decoder._pool._workers
        limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        assert next(line.split()[3] for line in limits if line.startswith("Max data size")) == str(1000 << 20)
    assert process.poll() is not None


def test_pictures_of_their_own_size_from_an_archive_that_has_no_name_any_more(tmp_path):
    data = {"a.png": png((40, 30)), "b.png": png((5, 7), "LA"), "c.png": png((5000, 5000), "1")}
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        places = {}
        for name, content in data.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            places[name] = (archive.fileobj.tell() + 512, len(content))
            archive.addfile(member, io.BytesIO(content))
    reader = Reader("tar", str(tmp_path / "x.tar"), most_bytes=MOST)
    (tmp_path / "x.tar").unlink()
    with contextlib.closing(reader), contextlib.closing(SingleDecoder(reader)) as decoder:
        assert np.array_equal(decoder.decode(places["a.png"])[0], np.zeros((30, 40, 3), np.uint8))
        assert np.array_equal(decoder.decode(places["b.png"])[0], np.full((7, 5, 3), 255, np.uint8))  # transparent
        with pytest.raises(RejectedError, match="too large: 5000x5000 pixels"):
            decoder.decode(places["c.png"])
