"""Where an S3 connection's credentials come from, against the real server; roles through a small STS of the test's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest

from cdp_exports.destinations.s3 import open_s3
from cdp_exports.entities.secret import Secret
from cdp_exports.errors import DeclarationError, DestinationRefused
from cdp_exports_tests.destinations.opened import IMPATIENT, open_bucket, s3_connection
from cdp_exports_tests.servers.seaweedfs import ADMIN, EXPORTER, REGION, Bucket, Identity

ROLE = "arn:aws:iam::123456789012:role/exporter"


@pytest.fixture(autouse=True)
def no_credentials_from_outside(monkeypatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def profile(tmp_path: Path) -> str:
    (tmp_path / "credentials").write_text(
        f"[exporter]\naws_access_key_id={EXPORTER.access_key_id}\naws_secret_access_key={EXPORTER.secret_access_key}\n"
    )
    (tmp_path / "config").write_text("[profile exporter]\nregion=us-east-1\n")
    return "exporter"


@dataclass
class Sts:
    """Answers that a role is assumed with the exporter's keys, which SeaweedFS knows."""

    url: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)
    refuse: bool = False

    def answer(self, request: dict[str, str]) -> tuple[int, str]:
        self.requests.append(request)
        if self.refuse:
            return 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
        action = request["Action"]
        ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 200, (
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>'
            f"<AccessKeyId>{EXPORTER.access_key_id}</AccessKeyId><SecretAccessKey>{EXPORTER.secret_access_key}</SecretAccessKey>"
            f"<SessionToken></SessionToken><Expiration>{ends}</Expiration>"
            f"</Credentials></{action}Result></{action}Response>"
        )


@pytest.fixture
def sts(monkeypatch) -> Iterator[Sts]:
    sts = Sts()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, answer = sts.answer({name: values[0] for name, values in parse_qs(body).items()})
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
        yield sts
        server.shutdown()
        thread.join()


def test_a_profile(bucket: Bucket, profile: str) -> None:
    connection = s3_connection(bucket, access_key_id=None, secret_access_key=None, region=None, profile=profile)
    open_s3(connection, Path(), {}, IMPATIENT).probe()


def test_an_unknown_profile(bucket: Bucket) -> None:
    connection = s3_connection(bucket, access_key_id=None, secret_access_key=None, profile="nobody")
    with pytest.raises(DeclarationError, match="nobody"):
        open_s3(connection, Path(), {})


def test_no_credentials_anywhere(bucket: Bucket) -> None:
    destination = open_s3(s3_connection(bucket, access_key_id=None, secret_access_key=None), Path(), {}, IMPATIENT)
    for call in (lambda: destination.put("f", b""), lambda: destination.delete(["f"]), destination.probe):
        with pytest.raises(DestinationRefused, match="NoCredentialsError"):
            call()


def test_a_secret_that_is_not_set(bucket: Bucket) -> None:
    with pytest.raises(DeclarationError, match="SECRET is not set"):
        open_s3(s3_connection(bucket), Path(), {"KEY_ID": "x"})


def test_a_role_is_assumed_with_the_declared_keys(bucket: Bucket, sts: Sts) -> None:
    environ = {"KEY_ID": "AKIDBASE", "SECRET": "base", "EXTERNAL": "agreed"}
    destination = open_s3(s3_connection(bucket, role_arn=ROLE, external_id=Secret(env="EXTERNAL")), Path(), environ, IMPATIENT)
    assert sts.requests == []  # nothing is asked before it is needed

    destination.probe()
    destination.put("f", b"x")

    (request,) = sts.requests  # and once for all
    assert (request["Action"], request["RoleArn"], request["ExternalId"]) == ("AssumeRole", ROLE, "agreed")
    assert bucket.keys() == [f"{bucket.folder}/f"]


def test_a_role_is_assumed_with_a_profile(bucket: Bucket, sts: Sts, profile: str) -> None:
    open_s3(
        s3_connection(bucket, access_key_id=None, secret_access_key=None, profile=profile, role_arn=ROLE), Path(), {}, IMPATIENT
    ).probe()
    assert "ExternalId" not in sts.requests[0]


@pytest.mark.parametrize("role", [None, "arn:aws:iam::123456789012:role/partner"], ids=["alone", "then another role"])
def test_a_web_identity(bucket: Bucket, sts: Sts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str | None) -> None:
    """As EKS sets it up for a pod, and for a pod that then assumes a partner's role."""
    (tmp_path / "token").write_text("token-of-the-cluster")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    destination = open_s3(s3_connection(bucket, access_key_id=None, secret_access_key=None, role_arn=role), Path(), {}, IMPATIENT)
    destination.probe()
    destination.put("f", b"x")

    first, *others = sts.requests
    assert (first["Action"], first["RoleArn"]) == ("AssumeRoleWithWebIdentity", ROLE)
    assert first["WebIdentityToken"] == "token-of-the-cluster"
    assert [(request["Action"], request["RoleArn"]) for request in others] == ([("AssumeRole", role)] if role else [])
    assert bucket.keys() == [f"{bucket.folder}/f"]


def test_a_role_that_is_refused(bucket: Bucket, sts: Sts) -> None:
    sts.refuse = True
    destination = open_bucket(bucket, role_arn=ROLE)
    with pytest.raises(DestinationRefused, match="no right"):
        destination.put("f", b"")
    with pytest.raises(DestinationRefused, match="no right"):
        destination.delete(["f"])


def test_boto3_is_missing(bucket: Bucket, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(DeclarationError, match=r"cdp-exports\[s3\]"):
        open_s3(s3_connection(bucket), Path(), {})


def test_the_environment_does_not_leak_into_a_connection(bucket: Bucket, monkeypatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": ADMIN.access_key_id,
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "bogus",
        "AWS_REGION": "eu-west-9",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_BUCKET": "other",
        "AWS_CHECKSUM_ALGORITHM": "crc64nvme",
    }.items():
        monkeypatch.setenv(name, value)
    open_bucket(bucket).probe()
    open_bucket(bucket).put("f", b"x")
    assert bucket.keys() == [f"{bucket.folder}/f"]


def test_credentials_of_the_environment_are_used_where_none_are_declared(bucket: Bucket, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", EXPORTER.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", EXPORTER.secret_access_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    open_bucket(bucket, access_key_id=None, secret_access_key=None, region=None).probe()


def test_an_unknown_key_id(bucket: Bucket) -> None:
    with pytest.raises(DestinationRefused, match="the access key id is unknown"):
        open_bucket(bucket, identity=Identity("NOSUCHKEY", "x")).probe()
