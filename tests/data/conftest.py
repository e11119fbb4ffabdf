"""Small sources with known content, and the real faces packed once."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from framework.config import DataConfig
from framework.data import prepare


def jpeg(number: int, *, side: int = 48) -> bytes:
    """A smooth picture of its own."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
    file = io.BytesIO()
    small.resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.fixture
def folder_of(tmp_path):
    """Writes files into a folder."""

    def write(files: dict[str, bytes], name: str = "images"):
        folder = tmp_path / name
        for file, data in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)
        return folder

    return write


@pytest.fixture
def tar_of(tmp_path):
    """Writes files into a tar file, compressed as its name says."""

    def write(files: dict[str, bytes], name: str = "images.tar", mode: str = "w"):
        with tarfile.open(tmp_path / name, mode) as archive:
            for file, data in files.items():
                member = tarfile.TarInfo(file)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return tmp_path / name

    return write


@pytest.fixture
def zip_of(tmp_path):
    """Writes files into a zip file, deflated."""

    def write(files: dict[str, bytes], name: str = "images.zip"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, data in files.items():
                archive.writestr(file, data)
        return tmp_path / name

    return write


@pytest.fixture
def pack(tmp_path):
    """`prepare` with few words."""

    def packed(path, *, cache=tmp_path / "cache", source="folder", resolution=32, **settings):
        config = DataConfig(source=source, path=path and str(path), resolution=resolution, **settings)
        return prepare(config, cache=cache)

    return packed


@pytest.fixture(scope="session")
def real_store(shared_data, tmp_path_factory):
    """All 5,000 real faces at 32 pixels, with their CSV."""
    data = shared_data / "data"
    config = DataConfig(
        path=str(data / "UTKFace-5k.tar"), labels=str(data / "UTKFace-5k-attributes.csv"), resolution=32
    )
    return prepare(config, cache=tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="session")
def real_files(shared_data):
    """Every 25th real file's bytes."""
    with tarfile.open(shared_data / "data" / "UTKFace-5k.tar") as archive:
        members = [member for member in archive if member.isfile()][::25]
        return [archive.extractfile(member).read() for member in members]
