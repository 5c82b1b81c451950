"""Azure Blob Storage, and ADLS Gen2 through the same interface."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cdp_exports.destinations.azure_blocks import Blocks
from cdp_exports.destinations.azure_errors import ANSWERS, NO_CONTAINER
from cdp_exports.destinations.azure_sign_in import SignIn, sign_in
from cdp_exports.destinations.azure_upload import BlockUpload
from cdp_exports.destinations.checksums import of_parts
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.destinations.object_upload import Upload
from cdp_exports.destinations.patience import Patience
from cdp_exports.destinations.store_api import Stored
from cdp_exports.entities.azure_connection import AdlsConnection, AzureConnection
from cdp_exports.entities.capabilities import Proof, capabilities_of
from cdp_exports.errors import CdpExportsError

if TYPE_CHECKING:
    from obstore.store import AzureConfig, AzureStore, ObjectStore


def open_azure(
    connection: AzureConnection, root: Path, environ: Mapping[str, str], patience: Patience | None = None
) -> ObjectStoreDestination:
    """The destination of an Azure connection. Nothing is sent yet.

    Raises:
        DeclarationError: a variable is not set or does not hold what it should.
    """
    patience = patience or Patience()
    container = f"{connection.blob_url}/{connection.container}"
    place = "/".join(filter(None, (container, connection.folder)))
    signed_in = sign_in(connection, environ, patience, place)
    prefix = f"{connection.folder}/" if connection.folder else ""
    lake = isinstance(connection, AdlsConnection)
    return ObjectStoreDestination(
        store=_store(connection, signed_in, patience, patience.retries),
        store_once=_store(connection, signed_in, patience, 0),
        api=AzureApi(Blocks(container, prefix, signed_in, patience, place), signed_in, place),
        capabilities=capabilities_of("adls" if lake else "azure_blob"),
        place=place,
        address=_lake_address(connection) if lake else place,
    )


class AzureApi:
    """What obstore does not do: send blocks that are checked on arrival, and say which blocks a blob is made of."""

    in_order = False  # no order of bytes is documented
    no_bucket = NO_CONTAINER

    def __init__(self, blocks: Blocks, signed_in: SignIn, place: str) -> None:
        self._blocks, self._signed_in, self._place = blocks, signed_in, place

    @property
    def credentials_expire(self) -> datetime | None:
        return self._signed_in.expires

    def upload(self, store: ObjectStore, path: str) -> Upload:
        return BlockUpload(self._blocks, path)

    def stored(self, path: str) -> Stored | None:
        found = self._blocks.committed(path)
        return Stored(found[0], of_parts(found[1]), Proof.TRANSPORT) if found else None

    def abort_uploads(self, paths: Collection[str]) -> None:
        """Nothing can be given up: blocks that were never committed are invisible, and Azure drops them after a week."""

    def translate(self, error: Exception) -> CdpExportsError:
        return self._signed_in.failure(self._place) or ANSWERS.of_obstore(error, self._place)


def _store(connection: AzureConnection, signed_in: SignIn, patience: Patience, retries: int) -> AzureStore:
    from obstore.store import AzureStore

    config: AzureConfig = {
        "account_name": connection.account,
        "endpoint": connection.blob_url,
        "use_emulator": False,
        "use_fabric_endpoint": False,
        "skip_signature": False,
        **signed_in.config,
    }
    return AzureStore(
        connection.container,
        prefix=connection.folder or None,
        config=config,
        credential_provider=signed_in.tokens,
        client_options=patience.client(connection.blob_url),
        retry_config=patience.retry(retries),
    )


def _lake_address(connection: AzureConnection) -> str:
    """As Spark and its like write it."""
    url = urlsplit(connection.blob_url.replace(f"//{connection.account}.blob.", f"//{connection.account}.dfs."))
    return "/".join(filter(None, (f"abfss://{connection.container}@{url.netloc}{url.path}", connection.folder)))
