"""Amazon S3 and stores that speak its protocol."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from cdp_exports.destinations.checksums import InParts
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.destinations.object_upload import ObstoreUpload, Upload
from cdp_exports.destinations.patience import Patience
from cdp_exports.destinations.s3_errors import ANSWERS, translate_boto
from cdp_exports.destinations.s3_session import open_session
from cdp_exports.destinations.store_api import Stored, common_folder
from cdp_exports.entities.capabilities import Proof, capabilities_of
from cdp_exports.entities.s3_connection import S3Connection
from cdp_exports.entities.store_address import plain_endpoint
from cdp_exports.errors import CdpExportsError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client
    from obstore.store import ObjectStore, S3Config, S3Credential, S3Store


def open_s3(connection: S3Connection, root: Path, environ: Mapping[str, str], patience: Patience | None = None) -> ObjectStoreDestination:
    """The destination of an S3 connection. Nothing is sent yet.

    Raises:
        DeclarationError: boto3 is not installed, a variable is not set, the profile is unknown.
    """
    patience = patience or Patience()
    session = open_session(connection, environ)
    place = _place(connection)
    credentials = _Credentials(session)
    return ObjectStoreDestination(
        store=_store(connection, session, credentials, patience, patience.retries),
        store_once=_store(connection, session, credentials, patience, 0),
        api=S3Api(connection, session, credentials, patience, place),
        capabilities=capabilities_of("s3"),
        place=place,
        address="/".join(filter(None, ("s3:/", connection.bucket, connection.folder))),
    )


class _Credentials:
    """Gives obstore the session's credentials. Keeps why it could not: obstore reports that in words only."""

    def __init__(self, session: boto3.Session) -> None:
        self._session = session
        self.failure: Exception | None = None

    def __call__(self) -> S3Credential:
        from botocore.exceptions import NoCredentialsError

        self.failure = None
        try:
            credentials = self._session.get_credentials()
            if credentials is None:
                raise NoCredentialsError
            frozen = credentials.get_frozen_credentials()
            if not frozen.access_key or not frozen.secret_key:
                raise NoCredentialsError
        except Exception as error:
            self.failure = error
            raise
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            # boto3 renews what has less than 10 minutes left
            "expires_at": datetime.now(UTC) + timedelta(minutes=5),
        }


class S3Api:
    """What only boto3 can ask: the stored checksum, and uploads that were left open."""

    no_bucket = re.compile("NoSuchBucket")
    credentials_expire = None  # a session token does not say

    def __init__(self, connection: S3Connection, session: boto3.Session, credentials: _Credentials, patience: Patience, place: str) -> None:
        self._connection, self._session, self._credentials = connection, session, credentials
        self._patience, self._place = patience, place
        self._prefix = f"{connection.folder}/" if connection.folder else ""
        self._lock = Lock()
        self._made: S3Client | None = None
        self.in_order = connection.endpoint_url is None  # Amazon documents the order, other stores have their own

    @property
    def _client(self) -> S3Client:
        with self._lock:  # making a client is not safe in threads, using it is
            self._made = self._made or self._make_client()
        return self._made

    def _make_client(self) -> S3Client:
        from botocore.config import Config

        config = Config(
            connect_timeout=self._patience.connect,
            read_timeout=self._patience.request,
            retries={"mode": "standard", "total_max_attempts": self._patience.retries + 1},
            s3={"addressing_style": "path" if self._connection.endpoint_url else "auto"},
        )
        return self._session.client("s3", endpoint_url=self._connection.endpoint_url, region_name=_region(self._session), config=config)

    def upload(self, store: ObjectStore, path: str) -> Upload:
        return ObstoreUpload(store, path, InParts(hashlib.sha256))

    def stored(self, path: str) -> Stored | None:
        from botocore.exceptions import ClientError

        with self._translated():
            try:
                head = self._client.head_object(Bucket=self._connection.bucket, Key=self._prefix + path, ChecksumMode="ENABLED")
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound"):
                    return None
                raise
        checksum = head.get("ChecksumSHA256")
        return Stored(head["ContentLength"], checksum, Proof.STORED if checksum else Proof.TRANSPORT)

    def abort_uploads(self, paths: Collection[str]) -> None:
        keys = {self._prefix + path for path in paths}
        with self._translated():
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._connection.bucket, Prefix=common_folder(keys)
            )
            uploads = [(upload.get("Key", ""), upload.get("UploadId", "")) for page in pages for upload in page.get("Uploads", [])]
            for key, upload in uploads:
                if key in keys:
                    self._abort(key, upload)

    def _abort(self, key: str, upload: str) -> None:
        from botocore.exceptions import ClientError

        try:
            self._client.abort_multipart_upload(Bucket=self._connection.bucket, Key=key, UploadId=upload)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "NoSuchUpload":  # it ended meanwhile
                raise

    def translate(self, error: Exception) -> CdpExportsError:
        if failure := self._credentials.failure:
            return translate_boto(failure, self._place)
        return ANSWERS.of_obstore(error, self._place)

    @contextmanager
    def _translated(self) -> Generator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise translate_boto(error, self._place) from None


def _store(connection: S3Connection, session: boto3.Session, credentials: _Credentials, patience: Patience, retries: int) -> S3Store:
    from obstore.store import S3Store

    # obstore fills what is not said from the environment, which is not asked here for credentials or the bucket
    config: S3Config = {
        "region": _region(session),
        "checksum_algorithm": "SHA256",  # of each part: the store refuses what was altered on the way
        "skip_signature": False,
        "unsigned_payload": False,
        "virtual_hosted_style_request": False,
        **_encryption(connection),
    }
    if connection.endpoint_url:
        config["endpoint"] = connection.endpoint_url
    return S3Store(
        connection.bucket,
        prefix=connection.folder or None,
        config=config,
        credential_provider=credentials,
        client_options=patience.client(connection.endpoint_url),
        retry_config=patience.retry(retries),
    )


def _encryption(connection: S3Connection) -> S3Config:
    """obstore asks for it with every object, and with every upload in parts when it begins."""
    asked = connection.server_side_encryption
    if asked is None:
        return {}
    if asked == "aes256":
        return {"server_side_encryption": "AES256"}
    return {"server_side_encryption": "aws:kms", "sse_kms_key_id": asked.kms_key}


def _region(session: boto3.Session) -> str:
    return session.region_name or "us-east-1"


def _place(connection: S3Connection) -> str:
    store = plain_endpoint(connection.endpoint_url) if connection.endpoint_url else "s3:/"
    return "/".join(filter(None, (store, connection.bucket, connection.folder)))
