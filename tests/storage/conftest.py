"""A real S3 server of our own, on a free port."""

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="session")
def s3_location() -> Iterator[str]:
    """A template of URIs in an empty bucket: `s3_location.format(key)`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        yield f"s3://bucket/{{}}?endpoint_override={host}:{port}&scheme=http"
        server.stop()


@pytest.fixture(params=["local", "s3"])
def location(request, tmp_path) -> str:
    """A folder that is not there yet, on each kind of storage."""
    if request.param == "local":
        return str(tmp_path / "a folder" / "runs")
    return request.getfixturevalue("s3_location").format(f"{tmp_path.name}/a%20folder/runs")
