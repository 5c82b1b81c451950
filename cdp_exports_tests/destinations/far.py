"""The stores far away, as tests of all of them see them: how each is reached, how it words what it refuses, what stands there in truth."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.destinations.destination import FileDestination
from cdp_exports.destinations.open import open_files
from cdp_exports.destinations.patience import Patience
from cdp_exports.entities.capabilities import Proof
from cdp_exports.entities.connection import CONNECTION
from cdp_exports.errors import CdpExportsError, NotIntact, TransientError
from cdp_exports_tests.destinations import opened, opened_azure, opened_gcs, opened_sftp
from cdp_exports_tests.servers import azurite, openssh, seaweedfs
from cdp_exports_tests.servers.gcs import GoogleBucket

LONG = random.Random(0).randbytes(PART_SIZE + 2_000_000)
"""Two parts of an upload to an object store."""

SHORT = LONG[-100_000:]

Answers = Mapping[str, tuple[int, str]]


@dataclass(frozen=True)
class Web:
    """What object stores have beside: requests that can be told apart on their way, and answers."""

    part: bytes  # in the head of a request that sends a part of a long file
    complete: bytes  # in the request that completes it
    create: bytes  # in the head of a conditional create
    answers: Answers  # status and code, by what is wrong
    altered: type[CdpExportsError]  # what a byte that was altered on its way ends with
    nowhere: Callable[[], FileDestination]  # in a bucket that does not exist
    reader: Callable[[], FileDestination]  # who may read, but not write
    put: Callable[[str, bytes | None], None]  # as another process does; None deletes

    def reply(self, what: str) -> bytes:
        """A whole answer of the store."""
        status, code = self.answers[what]
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>m</Message></Error>'.encode()
        wait = "Retry-After: 1\r\n" if status == 429 else ""
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n{wait}Connection: close\r\n\r\n"
        return head.encode() + body


@dataclass(frozen=True)
class Far:
    """One store, and a folder of it that only the test that got it uses."""

    name: str
    port: int
    proof: Proof
    secrets: Sequence[str]  # that no error may show
    wrong: tuple[Mapping[str, str], str]  # an environment with wrong credentials, and what is said of them
    declared: Mapping[str, Any]
    environ: Mapping[str, str]
    open_at: Callable[[str, Patience, Mapping[str, str], Mapping[str, Any]], FileDestination]
    files: Callable[[], list[str]]  # all that anybody may see in the folder
    hidden: Callable[[], list[str]]  # uploads that were begun, and files under hidden names
    web: Web | None = None

    def open(
        self, at: str = "", *, patience: Patience = opened.IMPATIENT, environ: Mapping[str, str] | None = None, **changes: Any
    ) -> FileDestination:
        """`at`: another address, a proxy's, with the scheme."""
        return self.open_at(at, patience, self.environ if environ is None else environ, changes)

    @property
    def object_store(self) -> Web:
        assert self.web is not None
        return self.web


def reopened(declared: Mapping[str, Any], environ: Mapping[str, str]) -> FileDestination:
    """In another process."""
    return open_files(CONNECTION.validate_python(dict(declared)), Path(), environ)


_S3: Answers = {
    "forbidden": (403, "AccessDenied"),
    "gone": (404, "NoSuchBucket"),
    "in the way": (409, "OperationAborted"),
    "replaced": (412, "PreconditionFailed"),
    "expired": (400, "ExpiredToken"),
    "busy": (503, "SlowDown"),
    "too many": (429, "TooManyRequests"),
    "failed": (500, "InternalError"),
}
_GOOGLE = {**_S3, "expired": (401, "ExpiredToken")}
_AZURE: Answers = {
    "forbidden": (403, "AuthorizationPermissionMismatch"),
    "gone": (404, "ContainerNotFound"),
    "in the way": (409, "ContainerBeingDeleted"),
    "replaced": (412, "ConditionNotMet"),
    "expired": (403, "AuthenticationFailed</Code><AuthenticationErrorDetail>Signature not valid in the specified time frame"),
    "busy": (503, "ServerBusy"),
    "too many": (429, "TooManyRequests"),
    "failed": (500, "InternalError"),
}


def s3(bucket: seaweedfs.Bucket) -> Far:
    environ = {"KEY_ID": seaweedfs.EXPORTER.access_key_id, "SECRET": seaweedfs.EXPORTER.secret_access_key}

    def open_at(at: str, patience: Patience, environ: Mapping[str, str], changes: Mapping[str, Any]) -> FileDestination:
        identity = seaweedfs.Identity(environ["KEY_ID"], environ["SECRET"])
        return opened.open_bucket(bucket, url=at or None, identity=identity, patience=patience, **changes)

    def put(path: str, content: bytes | None) -> None:
        key = f"{bucket.folder}/{path}"
        if content is None:
            bucket.client().delete_object(Bucket=bucket.name, Key=key)
        else:
            bucket.client().put_object(Bucket=bucket.name, Key=key, Body=content, ChecksumAlgorithm="SHA256")

    return Far(
        name="s3",
        port=bucket.port,
        proof=Proof.STORED,
        secrets=[seaweedfs.EXPORTER.secret_access_key, "wrong-secret", "Signature=", "StringToSign", "security-token"],
        wrong=({**environ, "SECRET": "wrong-secret"}, "the secret access key is wrong"),
        declared=opened.s3_connection(bucket).model_dump(mode="json"),
        environ=environ,
        open_at=open_at,
        files=lambda: _below(bucket.folder, bucket.keys()),
        hidden=lambda: _below(bucket.folder, bucket.open_uploads()),
        web=Web(
            part=b"partNumber=2",
            complete=b"<CompleteMultipartUpload",
            create=b"if-none-match",
            answers=_S3,
            altered=TransientError,
            nowhere=lambda: opened.open_bucket(bucket, identity=seaweedfs.ADMIN, bucket="nobody-made-this"),
            reader=lambda: opened.open_bucket(bucket, identity=seaweedfs.READER),
            put=put,
        ),
    )


def gcs(bucket: GoogleBucket) -> Far:
    environ = {"KEY": bucket.face.key_file()}

    def open_at(at: str, patience: Patience, environ: Mapping[str, str], changes: Mapping[str, Any]) -> FileDestination:
        return opened_gcs.open_google(bucket, url=at or None, key=environ["KEY"], patience=patience, **changes)

    return Far(
        name="gcs",
        port=bucket.port,
        proof=Proof.STORED,
        secrets=["PRIVATE KEY", "Bearer", "assertion"],
        wrong=({"KEY": bucket.face.key_file(known=False)}, "the service account's key is wrong or was deleted"),
        declared=opened_gcs.gcs_connection(bucket).model_dump(mode="json"),
        environ=environ,
        open_at=open_at,
        files=lambda: _below(bucket.folder, bucket.behind.keys()),
        hidden=lambda: _below(bucket.folder, bucket.behind.open_uploads()),
        web=Web(
            part=b"partNumber=2",
            complete=b"<CompleteMultipartUpload",
            create=b"x-goog-if-generation-match",
            answers=_GOOGLE,
            altered=NotIntact,
            nowhere=lambda: opened_gcs.open_google(bucket, key=_key_of(bucket, "admin"), bucket="nobody-made-this"),
            reader=lambda: opened_gcs.open_google(bucket, key=_key_of(bucket, "reader")),
            put=s3(bucket.behind).object_store.put,
        ),
    )


def azure(container: azurite.Container) -> Far:
    other_key = base64.b64encode(b"another key".ljust(64, b"=")).decode()

    def open_at(at: str, patience: Patience, environ: Mapping[str, str], changes: Mapping[str, Any]) -> FileDestination:
        url = container.via(at) if at else None
        return opened_azure.open_container(container, url=url, patience=patience, environ=dict(environ), **changes)

    return Far(
        name="azure",
        port=container.port,
        proof=Proof.TRANSPORT,
        secrets=[azurite.KEY, other_key, "sig=", "SharedKey", "string to sign"],
        wrong=({"KEY": other_key}, "the account key or the signature made with it is wrong"),
        declared=opened_azure.azure_connection(container).model_dump(mode="json"),
        environ=opened_azure.ENVIRON,
        open_at=open_at,
        files=lambda: _below(container.folder, container.names()),
        hidden=list,  # blocks without a blob cannot be listed; the next upload to the path drops them
        web=Web(
            part=b"comp=block&",
            complete=b"comp=blocklist",
            create=b"if-none-match",
            answers=_AZURE,
            altered=TransientError,
            nowhere=lambda: opened_azure.open_container(container, container="nobody-made-this"),
            reader=lambda: opened_azure.open_with_sas(container, azurite.shared_access_signature("rl")),
            put=lambda path, content: container.delete(path) if content is None else container.put(path, content),
        ),
    )


def sftp(home: openssh.Home) -> Far:
    def open_at(at: str, patience: Patience, environ: Mapping[str, str], changes: Mapping[str, Any]) -> FileDestination:
        waits = (0, 0.05, 0.1)[: patience.retries + 1]
        known = opened_sftp.Patience(connect=max(1, patience.connect), request=patience.request, keepalive=5, waits=waits)
        how: dict[str, Any] = {"port": urlsplit(at).port or home.server.port, **changes}
        return opened_sftp.open_home(home, patience=known, environ=environ, **how)

    return Far(
        name="sftp",
        port=home.server.port,
        proof=Proof.REREAD,
        secrets=[openssh.PASSWORD, "wrong-secret"],
        wrong=({"PASSWORD": "wrong-secret"}, "the server refused the password of the user exporter"),
        declared=opened_sftp.sftp_connection(home).model_dump(mode="json"),
        environ=opened_sftp.ENVIRON,
        open_at=open_at,
        files=lambda: [name for name in home.files() if not name.endswith(".partial")],
        hidden=lambda: [name for name in home.files() if name.endswith(".partial")],
    )


def _key_of(bucket: GoogleBucket, whom: str) -> str:
    return bucket.face.key_file(f"{whom}@acme.iam.gserviceaccount.com")


def _below(folder: str, names: Sequence[str]) -> list[str]:
    return [name.removeprefix(f"{folder}/") for name in names]


STORES: Mapping[str, tuple[Callable[[Any], Far], str]] = {
    "s3": (s3, "bucket"),
    "gcs": (gcs, "google_bucket"),
    "azure": (azure, "container"),
    "sftp": (sftp, "home"),
}
"""What makes each, and the fixture that it is made of."""
