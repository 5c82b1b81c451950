"""Connections to Google Cloud Storage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

from cdp_exports.entities.receiver import Receiver
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.store_address import Endpoint, StoreFolder, folders


class GcsConnection(Receiver):
    """Google Cloud Storage.

    Credentials: a service account's key by reference, else the application default credentials of the machine
    (`GOOGLE_APPLICATION_CREDENTIALS`, `gcloud auth application-default login`, the attached service account, workload
    identity federation).
    """

    type: Literal["gcs"]
    """The kind of store."""

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$")]
    """The bucket's name; it must exist."""

    folder: StoreFolder = ""
    """The folder in the bucket, without a slash at its ends; default: the bucket itself."""

    service_account_key: Secret | None = None
    """The JSON text of a service account's key."""

    endpoint_url: Endpoint | None = None
    """The store's address where it is not https://storage.googleapis.com: a private endpoint, or a test server."""

    def place(self, root: Path) -> tuple[str, ...]:  # a bucket's name is unique at Google, whatever address leads there
        return "gs", self.bucket, *folders(self.folder)
