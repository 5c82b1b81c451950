"""How a Google connection signs in, and what it declares."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from cdp_exports.destinations.gcs import open_gcs
from cdp_exports.entities.capabilities import Proof, capabilities_of
from cdp_exports.entities.gcs_connection import GcsConnection
from cdp_exports.errors import CdpExportsError, DeclarationError, DestinationRefused, TransientError
from cdp_exports_tests.destinations.far import LONG
from cdp_exports_tests.destinations.opened import IMPATIENT
from cdp_exports_tests.destinations.opened_gcs import gcs_connection, open_google
from cdp_exports_tests.destinations.test_faults import upload
from cdp_exports_tests.servers.faults import Fault, FaultProxy
from cdp_exports_tests.servers.gcs import GoogleBucket, Refusal


def _failure(call: Callable[[], object], kind: type[CdpExportsError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value))
    assert caught.value.next_step
    for secret in ("PRIVATE KEY", "Bearer", "assertion"):
        assert secret not in shown
    return str(caught.value)


def test_an_unknown_account(google_bucket: GoogleBucket) -> None:
    key = google_bucket.face.key_file("nobody@acme.iam.gserviceaccount.com", known=False)
    assert "no such service account" in _failure(open_google(google_bucket, key=key).probe, DestinationRefused)


def test_a_clock_that_is_wrong(google_bucket: GoogleBucket) -> None:
    google_bucket.face.skew = 3600
    assert "clock" in _failure(open_google(google_bucket).probe, DestinationRefused)


def test_one_sign_in_is_enough(google_bucket: GoogleBucket) -> None:
    before = google_bucket.face.sign_ins
    destination = open_google(google_bucket)
    destination.probe()
    upload(destination, LONG)
    assert google_bucket.face.sign_ins == before + 1


@pytest.mark.parametrize(("status", "code"), [(429, "SlowDown"), (503, "ServiceUnavailable"), (500, "InternalError")])
def test_requests_that_obstore_does_not_make_are_repeated(google_bucket: GoogleBucket, status: int, code: str) -> None:
    google_bucket.face.refusals = [Refusal("PUT /", status, code), Refusal("HEAD /", status, code), Refusal("?uploads", status, code)]
    destination = open_google(google_bucket)
    destination.put("g", b"x")
    upload(destination, LONG)
    destination.delete(["g"])
    assert google_bucket.face.refused == 3
    assert [found.path for found in destination.list("")] == ["a/f"]


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
