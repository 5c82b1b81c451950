"""Every destination does what the public suite asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdp_exports.destinations.destination import FileDestination
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.destinations.open import open_files
from cdp_exports.entities.connection import CONNECTION
from cdp_exports.entities.local_connection import LocalConnection
from cdp_exports.testing.destinations import FileDestinationSuite
from cdp_exports_tests.destinations.opened import s3_connection
from cdp_exports_tests.destinations.opened_azure import azure_connection
from cdp_exports_tests.destinations.opened_gcs import gcs_connection
from cdp_exports_tests.destinations.opened_sftp import ENVIRON, sftp_connection
from cdp_exports_tests.servers.azurite import KEY, Container
from cdp_exports_tests.servers.gcs import GoogleBucket
from cdp_exports_tests.servers.openssh import Home
from cdp_exports_tests.servers.seaweedfs import EXPORTER, Bucket


class TestLocal(FileDestinationSuite):
    @pytest.fixture
    def destination(self, tmp_path: Path) -> FileDestination:
        return open_files(LocalConnection(type="local", folder="lake"), tmp_path, {})


class TestS3(FileDestinationSuite):
    @pytest.fixture
    def destination(self, bucket: Bucket, tmp_path: Path) -> FileDestination:
        environ = {"KEY_ID": EXPORTER.access_key_id, "SECRET": EXPORTER.secret_access_key}
        return open_files(s3_connection(bucket), tmp_path, environ)

    def test_a_store_that_lists_in_order_is_asked_from_where_on(self, destination: ObjectStoreDestination, monkeypatch) -> None:
        """Amazon documents its order; this server has it for names without folders among them."""
        monkeypatch.setattr(destination.api, "in_order", True)
        paths = [f"f/{i:02d}" for i in range(20)]
        for path in paths:
            destination.put(path, b"")
        assert [found.path for found in destination.list("f", after="f/07")] == paths[8:]
        assert [found.path for found in destination.list("", after="f/18x")] == paths[19:]

    @pytest.fixture(autouse=True)
    def _leaves_no_open_upload(self, bucket: Bucket):
        yield
        assert bucket.open_uploads() == []


class TestAzureBlob(FileDestinationSuite):
    @pytest.fixture
    def destination(self, container: Container, tmp_path: Path) -> FileDestination:
        return open_files(azure_connection(container), tmp_path, {"KEY": KEY})


class TestAdls(FileDestinationSuite):
    """The same requests, so one page of a listing is enough; how files are addressed is its own."""

    many = 20

    @pytest.fixture
    def destination(self, container: Container, tmp_path: Path) -> FileDestination:
        declared = azure_connection(container).model_dump(mode="json") | {"type": "adls"}
        return open_files(CONNECTION.validate_python(declared), tmp_path, {"KEY": KEY})


class TestSftp(FileDestinationSuite):
    @pytest.fixture
    def destination(self, home: Home, tmp_path: Path) -> FileDestination:
        return open_files(sftp_connection(home), tmp_path, ENVIRON)

    @pytest.fixture(autouse=True)
    def _leaves_no_partial_file(self, home: Home, destination: FileDestination):
        yield
        assert home.files() == [found.path for found in destination.list("")]


class TestGcs(FileDestinationSuite):
    @pytest.fixture
    def destination(self, google_bucket: GoogleBucket, tmp_path: Path) -> FileDestination:
        return open_files(gcs_connection(google_bucket), tmp_path, {"KEY": google_bucket.face.key_file()})

    @pytest.fixture(autouse=True)
    def _leaves_no_open_upload(self, google_bucket: GoogleBucket):
        yield
        assert google_bucket.behind.open_uploads() == []
