"""Google Cloud Storage, through its XML interface: https://cloud.google.com/storage/docs/xml-api/overview."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree as ET

from cdp_exports.destinations.checksums import Crc32c
from cdp_exports.destinations.gcs_errors import ANSWERS, translate_sign_in
from cdp_exports.destinations.gcs_session import Tokens
from cdp_exports.destinations.http_session import http_session
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.destinations.object_upload import ObstoreUpload, Upload
from cdp_exports.destinations.patience import Patience
from cdp_exports.destinations.store_api import Stored, common_folder
from cdp_exports.destinations.store_errors import not_reached
from cdp_exports.entities.capabilities import Proof, capabilities_of
from cdp_exports.entities.gcs_connection import GcsConnection
from cdp_exports.entities.store_address import plain_endpoint
from cdp_exports.errors import CdpExportsError, DeclarationError

if TYPE_CHECKING:
    from obstore.store import GCSStore, ObjectStore
    from requests import Response

_GOOGLE = "https://storage.googleapis.com"
_CRC32C = re.compile(r"\bcrc32c=([A-Za-z0-9+/]{6}==)")


def open_gcs(connection: GcsConnection, root: Path, environ: Mapping[str, str], patience: Patience | None = None) -> ObjectStoreDestination:
    """The destination of a Google Cloud Storage connection. Nothing is sent yet.

    Raises:
        DeclarationError: google-auth is not installed, a variable is not set or holds no service account's key.
    """
    patience = patience or Patience()
    tokens = Tokens(connection, environ)
    endpoint = plain_endpoint(connection.endpoint_url or _GOOGLE)
    address = "/".join(filter(None, ("gs:/", connection.bucket, connection.folder)))
    place = address if endpoint == _GOOGLE else "/".join(filter(None, (endpoint, connection.bucket, connection.folder)))
    return ObjectStoreDestination(
        store=_store(connection, endpoint, tokens, patience, patience.retries),
        store_once=_store(connection, endpoint, tokens, patience, 0),
        api=GcsApi(connection, endpoint, tokens, patience, place),
        capabilities=capabilities_of("gcs"),
        place=place,
        address=address,
    )


class GcsApi:
    """What obstore does not ask: the stored checksum, and uploads that were left open."""

    no_bucket = re.compile("NoSuchBucket")
    credentials_expire = None  # a service account's key does not say

    def __init__(self, connection: GcsConnection, endpoint: str, tokens: Tokens, patience: Patience, place: str) -> None:
        self._bucket = f"{endpoint}/{connection.bucket}"
        self._prefix = f"{connection.folder}/" if connection.folder else ""
        self._tokens, self._patience, self._place = tokens, patience, place
        self._session = http_session(patience.retries)
        self.in_order = endpoint == _GOOGLE  # which documents the order, as bytes of UTF-8

    def upload(self, store: ObjectStore, path: str) -> Upload:
        return ObstoreUpload(store, path, Crc32c())

    def stored(self, path: str) -> Stored | None:
        reply = self._ask("HEAD", self._object(path))
        if reply.status_code == 404:
            return None
        self._check(reply)
        found = _CRC32C.search(reply.headers.get("x-goog-hash", ""))
        return Stored(int(reply.headers["Content-Length"]), found and found[1], Proof.STORED if found else Proof.SIZE)

    def abort_uploads(self, paths: Collection[str]) -> None:
        keys = {self._prefix + path for path in paths}
        for key, upload in list(self._uploads(common_folder(keys))):
            if key in keys:
                reply = self._ask("DELETE", self._object(key.removeprefix(self._prefix)), {"uploadId": upload})
                if reply.status_code != 404:  # it ended meanwhile
                    self._check(reply)

    def _uploads(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Keys and ids of open uploads."""
        query = {"uploads": "", "prefix": prefix}
        while True:
            reply = self._ask("GET", self._bucket, query)
            self._check(reply)
            page = ET.fromstring(reply.content)  # noqa: S314 of a store that is trusted with the data itself
            for upload in page.iterfind("{*}Upload"):
                yield upload.findtext("{*}Key", ""), upload.findtext("{*}UploadId", "")
            if page.findtext("{*}IsTruncated") != "true":
                return
            query["key-marker"] = page.findtext("{*}NextKeyMarker", "")
            query["upload-id-marker"] = page.findtext("{*}NextUploadIdMarker", "")

    def translate(self, error: Exception) -> CdpExportsError:
        if failure := self._tokens.failure:
            return translate_sign_in(failure, self._place)
        return ANSWERS.of_obstore(error, self._place)

    def _object(self, path: str) -> str:
        return f"{self._bucket}/{quote(self._prefix + path)}"

    def _ask(self, method: str, url: str, query: Mapping[str, str] | None = None) -> Response:
        import requests
        from google.auth.exceptions import GoogleAuthError

        try:
            token = self._tokens()["token"]
        except GoogleAuthError as error:
            raise translate_sign_in(error, self._place) from None
        try:
            return self._session.request(
                method,
                url,
                params=query,
                headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"},
                timeout=(self._patience.connect, self._patience.request),
            )
        except requests.RequestException as error:
            raise not_reached(str(error), self._place) from None

    def _check(self, reply: Response) -> None:
        if reply.status_code >= 300:
            raise ANSWERS.of_reply(reply.status_code, reply.text, self._place)


def _store(connection: GcsConnection, endpoint: str, tokens: Tokens, patience: Patience, retries: int) -> GCSStore:
    from obstore.exceptions import BaseError
    from obstore.store import GCSStore

    try:
        return GCSStore(
            connection.bucket,
            prefix=connection.folder or None,
            config={"base_url": endpoint, "skip_signature": False},
            credential_provider=tokens,
            client_options=patience.client(endpoint),
            retry_config=patience.retry(retries),
        )
    except BaseError:  # it reads these variables though it is given credentials
        raise DeclarationError(
            "GOOGLE_SERVICE_ACCOUNT or GOOGLE_SERVICE_ACCOUNT_KEY in the environment holds no service account's key.",
            next_step="Unset it: the connection says how to sign in.",
        ) from None
