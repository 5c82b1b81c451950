"""Azure connections to the test server."""

from __future__ import annotations

from pathlib import Path

from cdp_exports.destinations.azure import open_azure
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.destinations.patience import Patience
from cdp_exports.entities.azure_connection import AzureBlobConnection
from cdp_exports_tests.destinations.opened import IMPATIENT
from cdp_exports_tests.servers.azurite import ACCOUNT, KEY, Container

ENVIRON = {"KEY": KEY}


def azure_connection(container: Container, /, *, url: str | None = None, **changes: object) -> AzureBlobConnection:
    """Signs in with the account's key unless `changes` say otherwise."""
    declared = {
        "type": "azure_blob",
        "account": ACCOUNT,
        "container": container.name,
        "folder": container.folder,
        "endpoint_url": url or container.url,
        "account_key": {"env": "KEY"},
        **changes,
    }
    return AzureBlobConnection.model_validate(declared)


def open_container(
    container: Container, /, *, url: str | None = None, patience: Patience = IMPATIENT, environ: dict[str, str] = ENVIRON, **changes: object
) -> ObjectStoreDestination:
    return open_azure(azure_connection(container, url=url, **changes), Path(), environ, patience)


def open_with_sas(container: Container, token: str) -> ObjectStoreDestination:
    return open_container(container, environ={"SAS": token}, account_key=None, sas_token={"env": "SAS"})
