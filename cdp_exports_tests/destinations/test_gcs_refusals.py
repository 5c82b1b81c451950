"""What Google refuses ends with a sentence and a next step, without secrets, and is told apart from what may pass."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from cdp_exports.destinations import object_store
from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.destinations.gcs import open_gcs
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.entities.capabilities import Proof, capabilities_of
from cdp_exports.entities.gcs_connection import GcsConnection
from cdp_exports.errors import CdpExportsError, DeclarationError, DestinationRefused, TransientError
from cdp_exports_tests.destinations.opened import IMPATIENT
from cdp_exports_tests.destinations.opened_gcs import gcs_connection, open_google
from cdp_exports_tests.servers.faults import Fault, FaultProxy
from cdp_exports_tests.servers.gcs import GoogleBucket, Refusal

NO_RETRY = replace(IMPATIENT, retries=0)

WRITING: dict[str, Callable[[ObjectStoreDestination], object]] = {
    "put": lambda destination: destination.put("f", b"x"),
    "create": lambda destination: destination.create("f", b"x"),
    "delete": lambda destination: destination.delete(["f", "g"]),
    "a short file": lambda destination: _write(destination, 1),
    "a long file": lambda destination: _write(destination, PART_SIZE + 1),
}
READING: dict[str, Callable[[ObjectStoreDestination], object]] = {
    "read": lambda destination: destination.read("f"),
    "stream": lambda destination: destination.stream("f"),
    "list": lambda destination: list(destination.list("")),
}
CALLS = {**WRITING, **READING}


def _write(destination: ObjectStoreDestination, size: int) -> None:
    writer = destination.open("f")
    try:
        writer.write(b"x" * size)
        writer.close()
    finally:
        writer.abort()


def _failure(call: Callable[[], object], kind: type[CdpExportsError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value))
    assert caught.value.next_step
    for secret in ("PRIVATE KEY", "Bearer", "assertion"):
        assert secret not in shown
    return str(caught.value)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_key_that_was_deleted(google_bucket: GoogleBucket, call: Callable[[ObjectStoreDestination], object]) -> None:
    google_bucket.face.key_file()  # the one that counts
    destination = open_google(google_bucket, key=google_bucket.face.key_file(known=False))
    assert "the service account's key is wrong or was deleted" in _failure(lambda: call(destination), DestinationRefused)


def test_an_unknown_account(google_bucket: GoogleBucket) -> None:
    key = google_bucket.face.key_file("nobody@acme.iam.gserviceaccount.com", known=False)
    assert "no such service account" in _failure(open_google(google_bucket, key=key).probe, DestinationRefused)


def test_a_clock_that_is_wrong(google_bucket: GoogleBucket) -> None:
    google_bucket.face.skew = 3600
    assert "clock" in _failure(open_google(google_bucket).probe, DestinationRefused)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_missing_bucket(google_bucket: GoogleBucket, call: Callable[[ObjectStoreDestination], object]) -> None:
    key = google_bucket.face.key_file("admin@acme.iam.gserviceaccount.com")
    destination = open_google(google_bucket, key=key, bucket="nobody-made-this")
    message = _failure(lambda: call(destination), DestinationRefused)
    assert "there is no such bucket" in message
    assert "nobody-made-this" in message


@pytest.mark.parametrize("call", WRITING.values(), ids=WRITING)
def test_no_right_to_write(google_bucket: GoogleBucket, call: Callable[[ObjectStoreDestination], object]) -> None:
    open_google(google_bucket).put("f", b"before")
    destination = open_google(google_bucket, key=google_bucket.face.key_file("reader@acme.iam.gserviceaccount.com"))
    assert "no right" in _failure(lambda: call(destination), DestinationRefused)
    assert destination.read("f") == b"before"


def test_a_token_that_is_revoked_in_the_middle(google_bucket: GoogleBucket) -> None:
    destination = open_google(google_bucket)
    destination.put("f", b"x")
    google_bucket.face.revoke()
    assert "the access token is not accepted" in _failure(lambda: destination.put("g", b"x"), DestinationRefused)
    assert open_google(google_bucket).read("g") is None


def test_one_sign_in_is_enough(google_bucket: GoogleBucket) -> None:
    before = google_bucket.face.sign_ins
    destination = open_google(google_bucket)
    destination.probe()
    _write(destination, PART_SIZE + 1)
    assert google_bucket.face.sign_ins == before + 1


@pytest.mark.parametrize(("status", "code"), [(429, "SlowDown"), (503, "ServiceUnavailable"), (500, "InternalError")])
def test_a_store_that_is_busy_for_a_moment(google_bucket: GoogleBucket, status: int, code: str) -> None:
    google_bucket.face.refusals = [Refusal("PUT /", status, code), Refusal("HEAD /", status, code), Refusal("?uploads", status, code)]
    destination = open_google(google_bucket)
    destination.put("g", b"x")
    _write(destination, PART_SIZE + 1)
    destination.delete(["g"])
    assert google_bucket.face.refused == 3
    assert [found.path for found in destination.list("")] == ["f"]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_store_that_stays_busy(google_bucket: GoogleBucket, call: Callable[[ObjectStoreDestination], object], monkeypatch) -> None:
    monkeypatch.setattr(object_store, "_CREATE_WAITS", (0, 0))
    google_bucket.face.refusals = [Refusal(" /", 429, "SlowDown", times=1000)]
    destination = open_google(google_bucket, patience=NO_RETRY)
    assert "429" in (said := _failure(lambda: call(destination), TransientError)) or "busy" in said


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nobody_answers(google_bucket: GoogleBucket, call: Callable[[ObjectStoreDestination], object], monkeypatch) -> None:
    monkeypatch.setattr(object_store, "_CREATE_WAITS", (0, 0))
    with FaultProxy("127.0.0.1", google_bucket.port) as proxy:
        proxy.faults = [Fault("refuse")]
        destination = open_google(google_bucket, url=proxy.url, patience=NO_RETRY)
        assert "could not be reached" in _failure(lambda: call(destination), TransientError)


def test_nobody_signs_in(google_bucket: GoogleBucket) -> None:
    with FaultProxy("127.0.0.1", google_bucket.port) as proxy:
        proxy.faults = [Fault("refuse")]
        key = json.dumps(json.loads(google_bucket.face.key_file()) | {"token_uri": f"{proxy.url}/token"})
        assert "No access token could be fetched" in _failure(open_google(google_bucket, key=key).probe, TransientError)


class TestApplicationDefaultCredentials:
    def test_a_file_that_the_environment_names(self, google_bucket: GoogleBucket, tmp_path: Path, monkeypatch) -> None:
        (tmp_path / "key.json").write_text(google_bucket.face.key_file())
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        open_gcs(gcs_connection(google_bucket, service_account_key=None), Path(), {}, IMPATIENT).probe()

    def test_none(self, google_bucket: GoogleBucket, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        destination = open_gcs(gcs_connection(google_bucket, service_account_key=None), Path(), {}, IMPATIENT)
        assert "no usable credentials" in _failure(destination.probe, DestinationRefused)

    def test_the_environment_does_not_leak_into_a_declared_key(self, google_bucket: GoogleBucket, monkeypatch) -> None:
        for name, value in {
            "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json",
            "GOOGLE_BEARER_TOKEN": "bogus",
            "GOOGLE_BASE_URL": "http://127.0.0.1:1",
            "GOOGLE_BUCKET": "other",
            "GOOGLE_SKIP_SIGNATURE": "true",
        }.items():
            monkeypatch.setenv(name, value)
        open_google(google_bucket).probe()
        open_google(google_bucket).put("f", b"x")
        assert google_bucket.behind.keys() == [f"{google_bucket.folder}/f"]

    def test_a_variable_that_obstore_stumbles_over_is_named(self, google_bucket: GoogleBucket, monkeypatch) -> None:
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", "/nowhere.json")
        with pytest.raises(DeclarationError, match="GOOGLE_SERVICE_ACCOUNT"):
            open_google(google_bucket)


@pytest.mark.parametrize("value", ["", "{}", "[]", "not json", '{"type": "authorized_user"}', '{"private_key": "secret-key"}'])
def test_what_is_no_key_is_said_before_anything_is_sent(google_bucket: GoogleBucket, value: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        open_gcs(gcs_connection(google_bucket), Path(), {"KEY": value}, IMPATIENT)
    assert "KEY" in str(caught.value)
    assert "secret-key" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("declared", "place", "uri"),
    [
        ({}, "gs://acme_exports", "gs://acme_exports/a/b"),
        ({"folder": "x/y"}, "gs://acme_exports/x/y", "gs://acme_exports/x/y/a/b"),
        ({"endpoint_url": "https://storage.googleapis.com/"}, "gs://acme_exports", "gs://acme_exports/a/b"),
        ({"endpoint_url": "http://localhost:4443", "folder": "x"}, "http://localhost:4443/acme_exports/x", "gs://acme_exports/x/a/b"),
    ],
    ids=["google", "folder", "google by name", "other"],
)
def test_addresses(declared: dict[str, object], place: str, uri: str) -> None:
    destination = open_gcs(GcsConnection.model_validate({"type": "gcs", "bucket": "acme_exports", **declared}), Path(), {})
    assert destination.place == place
    assert destination.uri("a/b") == uri
    assert destination.capabilities == capabilities_of("gcs")
    assert destination.capabilities.proof is Proof.STORED


@pytest.mark.parametrize("declared", [{"bucket": "Upper"}, {"bucket": "a/b"}, {"folder": "/x"}, {"service_account_key": "{}"}], ids=str)
def test_wrong_declarations(declared: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GcsConnection.model_validate({"type": "gcs", "bucket": "acme", **declared})
