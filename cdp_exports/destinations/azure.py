"""Azure Blob Storage, and ADLS Gen2 through the same interface."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cdp_exports.destinations.azure_errors import ANSWERS, EXPIRED, NO_CONTAINER
from cdp_exports.destinations.azure_sign_in import SignIn, sign_in
from cdp_exports.destinations.checksums import PART_SIZE, Checksum, Crc32, InParts, of_parts
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.destinations.patience import Patience
from cdp_exports.destinations.store_api import Stored, translated
from cdp_exports.destinations.store_errors import refused
from cdp_exports.entities.azure_connection import AdlsConnection, AzureConnection
from cdp_exports.entities.capabilities import Proof, capabilities_of
from cdp_exports.errors import CdpExportsError

if TYPE_CHECKING:
    from obstore.store import AzureConfig, AzureStore

_READ_AT_ONCE = 4  # parts, when a file is read back


def open_azure(connection: AzureConnection, environ: Mapping[str, str], patience: Patience | None = None) -> ObjectStoreDestination:
    """The destination of an Azure connection. Nothing is sent yet.

    Raises:
        DeclarationError: a variable is not set or does not hold what it should.
    """
    patience = patience or Patience()
    signed_in = sign_in(connection, environ)
    place = "/".join(filter(None, (connection.blob_url, connection.container, connection.folder)))
    store = _store(connection, signed_in, patience, patience.retries)
    lake = isinstance(connection, AdlsConnection)
    return ObjectStoreDestination(
        store=store,
        store_once=_store(connection, signed_in, patience, 0),
        api=AzureApi(store, signed_in.expires, place),
        capabilities=capabilities_of("adls" if lake else "azure_blob"),
        place=place,
        address=_lake_address(connection) if lake else place,
    )


class AzureApi:
    """Azure keeps a checksum of a blob only if it went in one request, and none of blocks: files are read back instead."""

    in_order = False  # no order of bytes is documented
    no_bucket = NO_CONTAINER

    def __init__(self, store: AzureStore, expires: datetime | None, place: str) -> None:
        self._store, self._expires, self._place = store, expires, place

    def checksum(self) -> Checksum:
        return InParts(Crc32)

    def stored(self, path: str) -> Stored | None:
        import obstore

        with translated(self):
            try:
                meta = obstore.head(self._store, path)
            except FileNotFoundError:
                return None
            size = meta["size"]

            def digest(start: int) -> bytes:
                part = (start, min(start + PART_SIZE, size))
                found = obstore.get(self._store, path, options={"range": part, "if_match": meta["e_tag"]})
                crc = Crc32()
                crc.update(memoryview(found.bytes()))
                return crc.digest()

            if size < PART_SIZE:
                whole = self.checksum()
                whole.update(memoryview(obstore.get(self._store, path).bytes()))
                return Stored(size, whole.text(), Proof.REREAD)
            with ThreadPoolExecutor(_READ_AT_ONCE) as threads:
                return Stored(size, of_parts(list(threads.map(digest, range(0, size, PART_SIZE)))), Proof.REREAD)

    def abort_uploads(self, paths: Collection[str]) -> None:
        """Nothing can be given up: blocks that were never committed are invisible, and Azure drops them after a week."""

    def translate(self, error: Exception) -> CdpExportsError:
        if self._expires and self._expires < datetime.now(UTC):
            return refused(EXPIRED, self._place)
        return ANSWERS.of_obstore(error, self._place)


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
        client_options=patience.client(connection.blob_url),
        retry_config=patience.retry(retries),
    )


def _lake_address(connection: AzureConnection) -> str:
    """As Spark and its like write it."""
    url = urlsplit(connection.blob_url.replace(f"//{connection.account}.blob.", f"//{connection.account}.dfs."))
    return "/".join(filter(None, (f"abfss://{connection.container}@{url.netloc}{url.path}", connection.folder)))
