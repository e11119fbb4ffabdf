"""What all tests share: where the real data lies, and a real S3 server."""

import gzip
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A deadline an example would measure how busy the machine is.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

# A shell starts what ends in `&` with SIGINT ignored, and this passes on to every process: tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test fetches weights from outside; those of fetching have a server of their own.
os.environ["LATENTSCAPE_WEIGHTS_URL"] = ""

ROOT = Path(__file__).parents[1]
LONG_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts a Ray or is marked as slow has longer than pyproject.toml's timeout, where it says nothing itself.

    The first test of a Ray module waits for a whole pipeline.
    """
    for item in items:
        longer = (ROOT / "tests" / "ray") in item.path.parents or any(
            item.get_closest_marker(name) for name in ("slow", "browser", "prometheus")
        )
        if longer and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONG_SECONDS))


def missing(text: str, *facts: object) -> list[str]:
    """The facts (names, numbers, values) that do not stand in a text for people, whatever words are around them.

    >>> missing("data.limit: needs at least 64 images, not 3", "data.limit", 64, 4, "image")
    ['4', 'image']
    """
    return [
        fact for fact in map(str, facts) if not re.search(rf"(?<![\w-])(?<!\d[.,]){re.escape(fact)}(?!\w|[.,]\d)", text)
    ]


def numbers(text: str, label: str) -> list[int]:
    """The whole numbers in the one line of a text that begins with this label."""
    (line,) = [line for line in text.splitlines() if line.startswith(label)]
    return [int(number) for number in re.findall(r"(?<![\d.])\d+(?![\d.])", line)]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real UTKFace files, MNIST and Inception weights; it is beside the checkout, not in it."""
    folder = Path(os.environ.get("LATENTSCAPE_TEST_DATA", ROOT.parent / "shared"))
    if not (folder / "data" / "UTKFace-5k.tar").exists():
        # Photographs of people, for research only: they may not lie in the project, so a fresh clone has none.
        pytest.skip(
            "real UTKFace files are not part of the project: set LATENTSCAPE_TEST_DATA to a folder that has them"
        )
    return folder.resolve()


@pytest.fixture
def imported_pair(tmp_path: Path) -> dict[str, Any]:
    """The overrides of a small pair that Keras saved, 8x8 pixels, with normalisation among the generator's layers."""
    from framework.models import keras_import

    read = {}
    for name in ("normalised", "critic"):
        file = tmp_path / f"{name}.h5"
        file.write_bytes(gzip.decompress((ROOT / "tests" / "golden" / "keras" / f"{name}_keras2.h5.gz").read_bytes()))
        read[name] = keras_import.read_model(file, guarded=False)
    generator = keras_import.import_generator(read["normalised"])
    pair = generator.model | keras_import.import_discriminator(read["critic"], generator=generator).model
    return {f"model.{name}": value for name, value in pair.items()}


@pytest.fixture(scope="session")
def s3_location() -> Iterator[str]:
    """A template of URIs in a bucket of a real S3 server (moto) on a free port: `s3_location.format("key")`.

    Its AWS keys stand in the environment as long as the server runs, for processes started meanwhile too.
    """
    import boto3  # a second to import, for the tests that want it
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        client.close()
        yield f"s3://bucket/{{}}?endpoint_override={host}:{port}&scheme=http"
        server.stop()


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.long)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder that is not there yet, once on each kind of storage."""
    if request.param == "local":
        return str(tmp_path / "a folder" / "runs")
    return request.getfixturevalue("s3_location").format(f"{tmp_path.name}/a%20folder/runs")
