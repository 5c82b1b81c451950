"""Google Cloud Storage connections to the test server."""

from __future__ import annotations

from pathlib import Path

from cdp_exports.destinations.gcs import open_gcs
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.destinations.patience import Patience
from cdp_exports.entities.gcs_connection import GcsConnection
from cdp_exports_tests.destinations.opened import IMPATIENT
from cdp_exports_tests.servers.gcs import GoogleBucket


def gcs_connection(bucket: GoogleBucket, /, *, url: str | None = None, **changes: object) -> GcsConnection:
    declared = {
        "type": "gcs",
        "bucket": bucket.name,
        "folder": bucket.folder,
        "endpoint_url": url or bucket.url,
        "service_account_key": {"env": "KEY"},
        **changes,
    }
    return GcsConnection.model_validate(declared)


def open_google(
    bucket: GoogleBucket, /, *, url: str | None = None, key: str | None = None, patience: Patience = IMPATIENT, **changes: object
) -> ObjectStoreDestination:
    """With the exporter's key unless `key` is another."""
    return open_gcs(gcs_connection(bucket, url=url, **changes), Path(), {"KEY": key or bucket.face.key_file()}, patience)
