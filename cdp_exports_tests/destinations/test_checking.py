"""Is a connection in order? On real servers, with what is wrong there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from cdp_exports.destinations import checking
from cdp_exports.destinations.certificate import certificate_ends
from cdp_exports.destinations.checking import Check, check_connection
from cdp_exports.destinations.open import open_files
from cdp_exports.entities.connection import CONNECTION, Connection
from cdp_exports_tests.destinations.opened import s3_connection
from cdp_exports_tests.destinations.opened_azure import azure_connection
from cdp_exports_tests.destinations.opened_gcs import gcs_connection
from cdp_exports_tests.destinations.opened_linkedin import linkedin_connection
from cdp_exports_tests.destinations.opened_sftp import sftp_connection
from cdp_exports_tests.servers.azurite import KEY, Container, shared_access_signature
from cdp_exports_tests.servers.endpoint import Endpoint
from cdp_exports_tests.servers.gcs import GoogleBucket
from cdp_exports_tests.servers.gnupg import Keyring
from cdp_exports_tests.servers.linkedin import LinkedIn
from cdp_exports_tests.servers.openssh import PASSWORD, Home
from cdp_exports_tests.servers.seaweedfs import ADMIN, EXPORTER, READER, Bucket, Identity

STEPS = ["sign in and list", "write", "read back", "clock", "delete", "create once", "credentials"]


def _s3(bucket: Bucket, identity: Identity = EXPORTER) -> tuple[Connection, Mapping[str, str]]:
    return s3_connection(bucket), {"KEY_ID": identity.access_key_id, "SECRET": identity.secret_access_key}


def _checked(connection: Connection, environ: Mapping[str, str], root: Path = Path()) -> dict[str, Check]:
    return {check.step: check for check in check_connection(connection, root, environ)}


@pytest.mark.parametrize("store", ["local", "s3", "azure", "gcs", "sftp"])
def test_a_store_in_order(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if store == "local":
        connection, environ = CONNECTION.validate_python({"type": "local", "folder": "lake"}), dict[str, str]()
    elif store == "s3":
        connection, environ = _s3(request.getfixturevalue("bucket"))
    elif store == "azure":
        connection, environ = azure_connection(request.getfixturevalue("container")), {"KEY": KEY}
    elif store == "gcs":
        bucket: GoogleBucket = request.getfixturevalue("google_bucket")
        connection, environ = gcs_connection(bucket), {"KEY": bucket.face.key_file()}
    else:
        connection, environ = sftp_connection(request.getfixturevalue("home")), {"PASSWORD": PASSWORD}
    checks = check_connection(connection, tmp_path, environ)
    assert [(check.step, check.status) for check in checks] == [(step, "ok") for step in STEPS], checks
    assert list(open_files(connection, tmp_path, environ).list("")) == []


def test_one_who_may_only_read(bucket: Bucket) -> None:
    connection, environ = _s3(bucket, READER)
    checks = check_connection(connection, Path(), environ)
    assert [(check.step, check.status) for check in checks] == [("sign in and list", "ok"), ("write", "failed")]
    assert checks[-1].message.endswith("these credentials have no right to do this.")
    assert "s3:PutObject" in checks[-1].next_step


def test_a_bucket_that_is_not_there(bucket: Bucket) -> None:
    _, environ = _s3(bucket, ADMIN)
    [check] = check_connection(s3_connection(bucket, bucket="nowhere"), Path(), environ)
    assert (check.step, check.status) == ("sign in and list", "failed")
    assert "there is no such bucket" in check.message


def test_another_host_key(home: Home) -> None:
    connection = sftp_connection(home, host_key_fingerprint="SHA256:" + "A" * 43)
    [check] = check_connection(connection, Path(), {"PASSWORD": PASSWORD})
    assert (check.step, check.status) == ("sign in and list", "failed")
    assert "host key" in check.message


def test_a_secret_that_is_not_set(bucket: Bucket) -> None:
    [check] = check_connection(s3_connection(bucket), Path(), {})
    assert check == Check(
        "settings",
        "failed",
        "The environment variable KEY_ID is not set.",
        "Set KEY_ID where the run executes, or name another variable in the catalog.",
    )


def test_a_clock_that_is_wrong(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours, as this code reads it; requests are still signed at the right time."""

    class _Late(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(minutes=7, seconds=30)

    monkeypatch.setattr(checking, "datetime", _Late)
    clock = _checked(*_s3(bucket))["clock"]
    assert clock.status == "warning"
    assert clock.message == "The destination's clock is 7 minutes behind this machine's."


def test_a_signature_that_expires(container: Container) -> None:
    connection = azure_connection(container, account_key=None, sas_token={"env": "SAS"})
    soon = _checked(connection, {"SAS": shared_access_signature(end=timedelta(days=5))})["credentials"]
    assert soon.status == "warning"
    assert ", in 4 days, and from then on deliveries fail." in soon.message
    later = _checked(connection, {"SAS": shared_access_signature(end=timedelta(days=300))})["credentials"]
    assert later.status == "ok"
    [gone] = check_connection(connection, Path(), {"SAS": shared_access_signature(end=timedelta(minutes=-1))})
    assert (gone.step, gone.status) == ("sign in and list", "failed")
    assert "is not valid now" in gone.message


def test_keys_that_files_are_encrypted_to(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make("partner", expires="20d")
    (tmp_path / "partner.asc").write_bytes(keyring.public("partner"))
    declared = {"type": "local", "folder": "lake", "encrypt_to": ["partner.asc"]}
    found = _checked(CONNECTION.validate_python(declared), {}, tmp_path)["encryption keys"]
    assert found.status == "warning"
    assert "and from then on deliveries fail" in found.message
    missing = _checked(CONNECTION.validate_python({**declared, "encrypt_to": ["nobody.asc"]}), {}, tmp_path)["encryption keys"]
    assert (missing.status, "cannot be read" in missing.message) == ("failed", True)


def test_an_endpoint(endpoint: Endpoint) -> None:
    connection = CONNECTION.validate_python(endpoint.declared())
    checks = check_connection(connection, Path(), endpoint.environ)
    assert [(check.step, check.status) for check in checks] == [("sign in and rights", "ok"), ("credentials", "ok")]
    wrong = dict.fromkeys(endpoint.environ, "whsec_" + "A" * 43 + "=")
    refused = check_connection(connection, Path(), wrong)[0]
    assert (refused.step, refused.status) == ("sign in and rights", "failed")


def test_linkedin(linkedin: LinkedIn) -> None:
    checks = check_connection(linkedin_connection(linkedin), Path(), linkedin.environ)
    assert [check.step for check in checks] == ["sign in and rights", "credentials"]
    assert checks[0].status == "ok"
    assert checks[1] != Check("credentials", "ok", "no end is known")


def test_a_certificate_that_expires(endpoint_with_tls: Endpoint, authority: Path, authority_of_tests: trustme.CA, tmp_path: Path) -> None:
    connection = CONNECTION.validate_python(endpoint_with_tls.declared(ca_file=str(authority)))
    assert _checked(connection, endpoint_with_tls.environ)["certificate"] == Check("certificate", "ok", "until 3000-01-01")
    pem = tmp_path / "brief.pem"
    brief = authority_of_tests.issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=10, hours=1))
    brief.private_key_and_cert_chain_pem.write_to_path(str(pem))
    with Endpoint(pem, "localhost") as other:
        connection = CONNECTION.validate_python(other.declared(ca_file=str(authority)))
        found = _checked(connection, other.environ)["certificate"]
    assert found.status == "warning"
    assert found.message.endswith(", in 10 days.")


def test_no_certificate_can_be_seen() -> None:
    assert certificate_ends("https://127.0.0.1:1") is None
    assert certificate_ends("http://127.0.0.1:1") is None
