"""What is known of an S3 connection without asking its store."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from cdp_exports.destinations.s3 import open_s3
from cdp_exports.destinations.s3_errors import ANSWERS
from cdp_exports.entities.capabilities import Proof, capabilities_of
from cdp_exports.entities.s3_connection import S3Connection
from cdp_exports.errors import DestinationRefused, TransientError


def _connection(**declared: object) -> S3Connection:
    return S3Connection.model_validate({"type": "s3", "bucket": "acme-exports", **declared})


@pytest.mark.parametrize(
    ("declared", "place", "uri"),
    [
        ({}, "s3://acme-exports", "s3://acme-exports/a/b"),
        ({"folder": "cdp/x"}, "s3://acme-exports/cdp/x", "s3://acme-exports/cdp/x/a/b"),
        ({"endpoint_url": "https://Minio.internal:443/"}, "https://minio.internal/acme-exports", "s3://acme-exports/a/b"),
        ({"endpoint_url": "http://minio:9000", "folder": "x"}, "http://minio:9000/acme-exports/x", "s3://acme-exports/x/a/b"),
    ],
    ids=["amazon", "folder", "other store", "port"],
)
def test_addresses(declared: dict[str, object], place: str, uri: str) -> None:
    destination = open_s3(_connection(**declared), Path(), {})
    assert destination.place == place
    assert destination.uri("a/b") == uri


def test_capabilities_are_known_without_opening() -> None:
    assert capabilities_of("s3").proof is Proof.STORED
    assert open_s3(_connection(), Path(), {}).capabilities == capabilities_of("s3")


@pytest.mark.parametrize(
    "declared",
    [
        {"bucket": "Upper"},
        {"bucket": "a/b"},
        {"folder": "/x"},
        {"folder": "x/"},
        {"folder": "x/../y"},
        {"folder": "x\\y"},
        {"endpoint_url": "minio:9000"},
        {"endpoint_url": "https://user:password@minio"},
        {"endpoint_url": "https://storage.googleapis.com"},
        {"access_key_id": {"env": "A"}},
        {"secret_access_key": {"env": "A"}},
        {"session_token": {"env": "A"}},
        {"external_id": {"env": "A"}},
        {"access_key_id": {"env": "A"}, "secret_access_key": {"env": "B"}, "profile": "p"},
        {"access_key_id": "AKIA"},
    ],
    ids=str,
)
def test_wrong_declarations(declared: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _connection(**declared)


def _answer(status: int, code: str) -> Exception:
    return OSError(f"Server returned non-2xx status code: {status} X: <Error><Code>{code}</Code><Message>m</Message></Error>")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (_answer(403, "RequestTimeTooSkewed"), DestinationRefused, "clock"),
        (_answer(400, "ExpiredToken"), DestinationRefused, "expired"),
        (_answer(301, "PermanentRedirect"), DestinationRefused, "region"),
        (_answer(400, "AuthorizationHeaderMalformed"), DestinationRefused, "region"),
        (_answer(403, "SomethingNew"), DestinationRefused, "no right"),
        (_answer(400, "SomethingNew"), DestinationRefused, r"SomethingNew \(HTTP 400\)"),
        (_answer(507, "XMinioStorageFull"), DestinationRefused, "full"),
        (_answer(503, "SlowDown"), TransientError, "busy"),
        (_answer(500, "SomethingNew"), TransientError, r"SomethingNew \(HTTP 500\)"),
        (OSError("Received redirect without LOCATION, this normally indicates a wrong region"), DestinationRefused, "region"),
        (OSError("kind: InvalidData, error: InvalidCertificate(UnknownIssuer)"), DestinationRefused, "certificate"),
        (OSError("error sending request"), TransientError, "could not be reached"),
    ],
    ids=lambda value: str(value)[:70] if isinstance(value, Exception) else "",
)
def test_what_a_store_answers(error: Exception, kind: type[Exception], says: str) -> None:
    translated = ANSWERS.of_obstore(error, "s3://acme-exports")
    assert type(translated) is kind
    with pytest.raises(kind, match=says):
        raise translated
