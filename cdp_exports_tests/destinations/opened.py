"""S3 connections to the test server."""

from __future__ import annotations

from pathlib import Path

from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.destinations.patience import Patience
from cdp_exports.destinations.s3 import open_s3
from cdp_exports.entities.s3_connection import S3Connection
from cdp_exports.entities.secret import Secret
from cdp_exports_tests.servers.seaweedfs import EXPORTER, REGION, Bucket, Identity

IMPATIENT = Patience(connect=2, request=10, retries=2, retry_for=20)


def s3_connection(bucket: Bucket, /, *, url: str | None = None, **changes: object) -> S3Connection:
    declared = {
        "type": "s3",
        "bucket": bucket.name,
        "folder": bucket.folder,
        "region": REGION,
        "endpoint_url": url or bucket.url,
        "access_key_id": Secret(env="KEY_ID"),
        "secret_access_key": Secret(env="SECRET"),
        **changes,
    }
    return S3Connection.model_validate(declared)


def open_bucket(
    bucket: Bucket, /, *, url: str | None = None, identity: Identity = EXPORTER, patience: Patience = IMPATIENT, **changes: object
) -> ObjectStoreDestination:
    environ = {"KEY_ID": identity.access_key_id, "SECRET": identity.secret_access_key}
    return open_s3(s3_connection(bucket, url=url, **changes), Path(), environ, patience)
