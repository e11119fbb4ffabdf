"""HEIC photographs: taken upright where pillow-heif is installed, else rejected with what to install."""

import importlib.util
import io

import numpy as np
import pytest
from PIL import Image

from framework.errors import DataError, EvaluationError
from framework.evaluation.sources.source import find_source, open_source
from tests.data.conftest import jpeg

INSTALLED = importlib.util.find_spec("pillow_heif") is not None
HEAD = bytes([0, 0, 0, 28]) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(200)  # ISO/IEC 23008-12: brands of HEIC
FILES = {f"{k}.jpg": jpeg(k) for k in range(8)}


def photograph(*, turned=False):
    """A smooth picture and its HEIC file; stored on its side, if turned, as telephones do."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    picture = Image.open(io.BytesIO(jpeg(7, side=64)))
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1  # to be turned by 90 degrees clockwise
    file = io.BytesIO()
    stored = picture.transpose(Image.Transpose.ROTATE_90) if turned else picture
    stored.save(file, "HEIF", quality=95, exif=exif.tobytes())
    return np.asarray(picture), file.getvalue()


@pytest.mark.skipif(INSTALLED, reason="pillow-heif is installed")
def test_what_to_install_is_said(folder_of, pack):
    store = pack(folder_of({**FILES, "a.heic": HEAD, "b.HEIC": HEAD}), max_rejected=0.3)
    assert [name for name, _ in store.rejected] == ["a.heic", "b.HEIC"]
    assert all(".[heic]" in reason for _, reason in store.rejected)
    with pytest.raises(DataError, match=r"2 HEIC photograph.*\.\[heic\]"):
        pack(folder_of(FILES))
    with pytest.raises(EvaluationError, match=r"a\.heic .*\.\[heic\]"):
        find_source(str(folder_of(FILES)), samples=0, seed=0)


@pytest.mark.skipif(not INSTALLED, reason="pillow-heif is not installed: pip install -e '.[heic]'")
@pytest.mark.parametrize("turned", [False, True])
def test_a_photograph_is_taken_upright(turned, folder_of, pack):
    expected, data = photograph(turned=turned)
    store = pack(folder_of({"IMG_0001.HEIC": data, "0.jpg": jpeg(0)}), resolution=64, held_out=0.0)
    found = store.images[store.names.index("IMG_0001.HEIC")].astype(int)
    assert np.abs(found - expected).mean() < 3  # quality 95


@pytest.mark.skipif(not INSTALLED, reason="pillow-heif is not installed: pip install -e '.[heic]'")
def test_photographs_are_a_side_of_a_score(folder_of):
    expected, data = photograph()
    source = find_source(str(folder_of({"a.heic": data, "b.heic": data})), samples=0, seed=0)
    assert np.abs(open_source(source)(0, 1)[0].astype(int) - expected).mean() < 3


@pytest.mark.skipif(not INSTALLED, reason="pillow-heif is not installed: pip install -e '.[heic]'")
def test_a_damaged_photograph_is_rejected(folder_of, pack):
    _, data = photograph()
    store = pack(folder_of({**FILES, "cut.heic": data[: len(data) // 2], "head.heic": HEAD}), max_rejected=0.3)
    assert [name for name, _ in store.rejected] == ["cut.heic", "head.heic"]
