"""How an Azure connection signs in: against Azurite, with tokens by TLS."""

from __future__ import annotations

import base64
import logging
import re
import traceback
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest
from pydantic import ValidationError

from cdp_exports.destinations import azure_tokens
from cdp_exports.destinations.azure import open_azure
from cdp_exports.destinations.azure_errors import ANSWERS
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.entities.azure_connection import AdlsConnection, AzureBlobConnection
from cdp_exports.entities.capabilities import Proof, capabilities_of
from cdp_exports.entities.connection import CONNECTION
from cdp_exports.errors import DeclarationError, DestinationRefused, TransientError
from cdp_exports_tests.destinations.far import LONG, SHORT, azure
from cdp_exports_tests.destinations.opened import IMPATIENT
from cdp_exports_tests.destinations.opened_azure import open_container, open_with_sas
from cdp_exports_tests.destinations.test_faults import upload
from cdp_exports_tests.destinations.test_refusals import CALLS, Call, failure
from cdp_exports_tests.servers.azurite import ACCOUNT, EXPORTS, KEY, AzuriteServer, Container, shared_access_signature
from cdp_exports_tests.servers.entra import Authority
from cdp_exports_tests.servers.faults import Fault, FaultProxy

SECRET = "secret-of-the-application"


def _connection(**declared: object) -> AzureBlobConnection | AdlsConnection:
    found = CONNECTION.validate_python({"type": "azure_blob", "account": "acme", "container": "exports", **declared})
    assert isinstance(found, (AzureBlobConnection, AdlsConnection))
    return found


@pytest.mark.parametrize(
    ("declared", "place", "uri"),
    [
        ({}, "https://acme.blob.core.windows.net/exports", "https://acme.blob.core.windows.net/exports/a/b"),
        ({"folder": "x/y"}, "https://acme.blob.core.windows.net/exports/x/y", "https://acme.blob.core.windows.net/exports/x/y/a/b"),
        ({"type": "adls"}, "https://acme.blob.core.windows.net/exports", "abfss://exports@acme.dfs.core.windows.net/a/b"),
        (
            {"type": "adls", "folder": "x", "endpoint_url": "https://acme.dfs.core.usgovcloudapi.net/"},
            "https://acme.blob.core.usgovcloudapi.net/exports/x",
            "abfss://exports@acme.dfs.core.usgovcloudapi.net/x/a/b",
        ),
        ({"endpoint_url": "http://127.0.0.1:10000/acme"}, "http://127.0.0.1:10000/acme/exports", "http://127.0.0.1:10000/acme/exports/a/b"),
    ],
    ids=["blob", "folder", "lake", "lake of another cloud", "azurite"],
)
def test_addresses(declared: dict[str, object], place: str, uri: str) -> None:
    destination = open_azure(_connection(**declared), Path(), {})
    assert destination.place == place
    assert destination.uri("a/b") == uri


@pytest.mark.parametrize("kind", ["azure_blob", "adls"])
def test_capabilities_are_known_without_opening(kind: str) -> None:
    assert capabilities_of(kind).proof is Proof.TRANSPORT
    assert open_azure(_connection(type=kind), Path(), {}).capabilities == capabilities_of(kind)


@pytest.mark.parametrize(
    "declared",
    [
        {"account": "Acme"},
        {"account": "ac"},
        {"container": "Upper"},
        {"container": "two--hyphens"},
        {"container": "a/b"},
        {"folder": "/x"},
        {"folder": "x/../y"},
        {"endpoint_url": "acme.blob.core.windows.net"},
        {"endpoint_url": "https://acme.blob.core.windows.net/?sig=x"},
        {"account_key": "c2VjcmV0"},
        {"account_key": {"env": "A"}, "sas_token": {"env": "B"}},
        {"connection_string": {"env": "A"}, "client_id": "x"},
        {"tenant_id": "t", "client_id": "c"},
        {"client_secret": {"env": "A"}, "client_id": "c"},
        {"tenant_id": "t", "client_secret": {"env": "A"}},
        {"authority_url": "https://login.microsoftonline.us"},
    ],
    ids=str,
)
def test_wrong_declarations(declared: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _connection(**declared)


class TestConnectionString:
    @pytest.mark.parametrize(
        "way",
        [f"AccountName={ACCOUNT};AccountKey={KEY};", f"SharedAccessSignature={shared_access_signature()}"],
        ids=["key", "signature"],
    )
    def test_it_is_enough(self, container: Container, way: str) -> None:
        environ = {"STRING": f"DefaultEndpointsProtocol=http;BlobEndpoint={container.url}/;{way}"}
        open_container(container, environ=environ, account_key=None, connection_string={"env": "STRING"}).probe()

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            (f"AccountName=other;AccountKey={KEY};EndpointSuffix=core.windows.net", "another account than 'acme'"),
            (f"AccountName=acme;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn", "leads elsewhere"),
            (f"AccountName=acme;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1/acme", "leads elsewhere"),
            ("AccountName=acme;AccountKey=not base64", "no account key"),
            ("AccountName=acme", "no shared access signature"),
        ],
    )
    def test_it_must_fit_what_is_declared(self, text: str, says: str) -> None:
        with pytest.raises(DeclarationError, match=says) as caught:
            open_azure(_connection(connection_string={"env": "STRING"}), Path(), {"STRING": text})
        assert KEY not in str(caught.value)

    def test_the_public_clouds_fits(self) -> None:
        text = f"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={KEY};EndpointSuffix=core.windows.net"
        open_azure(_connection(connection_string={"env": "STRING"}), Path(), {"STRING": text})


@pytest.mark.parametrize(
    ("declared", "environ", "says"),
    [
        ({"account_key": {"env": "A"}}, {}, "A is not set"),
        ({"account_key": {"env": "A"}}, {"A": "not base64!"}, "not base64"),
        ({"sas_token": {"env": "A"}}, {"A": "https://acme.blob.core.windows.net"}, "no `sig`"),
    ],
    ids=["unset", "key", "signature"],
)
def test_what_is_no_secret_is_said_before_anything_is_sent(declared: dict[str, object], environ: dict[str, str], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        open_azure(_connection(**declared), Path(), environ)


Open = Callable[..., ObjectStoreDestination]


@pytest.fixture
def opened(azurite_by_tls: AzuriteServer) -> Open:
    folder = f"test-{uuid.uuid4().hex[:12]}"

    def opened(environ: dict[str, str], /, **declared: object) -> ObjectStoreDestination:
        declared = {"account": ACCOUNT, "container": EXPORTS, "folder": folder, "endpoint_url": azurite_by_tls.url, **declared}
        return open_azure(_connection(**declared), Path(), environ, IMPATIENT)

    return opened


def _principal(opened: Open, authority: Authority) -> ObjectStoreDestination:
    principal = {"tenant_id": "acme-tenant", "client_id": "app", "client_secret": {"env": "A"}, "authority_url": authority.url}
    return opened({"A": SECRET}, **principal)


def _works(destination: ObjectStoreDestination, authority: Authority) -> None:
    """One token for what obstore asks, and for what it does not."""
    assert authority.asked == [], "nothing is asked before it is needed"
    destination.probe()
    for content in (SHORT, LONG):
        assert upload(destination, content) is Proof.TRANSPORT
        assert destination.read("a/f") == content
    destination.delete(["a/f"])
    assert list(destination.list("")) == []
    assert len(authority.given) == 1


def test_a_service_principal(opened: Open, entra: Authority) -> None:
    _works(_principal(opened, entra), entra)
    path, said = entra.asked[0]
    assert path == "/acme-tenant/oauth2/v2.0/token"
    assert (said["client_id"], said["client_secret"]) == ("app", SECRET)
    assert said["scope"] == "https://storage.azure.com/.default"


@pytest.mark.parametrize("client_id", [None, "which-one"])
def test_a_managed_identity(opened: Open, entra: Authority, client_id: str | None) -> None:
    """As App Service, Functions and Container Apps set it up."""
    changes = {"client_id": client_id} if client_id else {}
    _works(opened({"IDENTITY_ENDPOINT": f"{entra.url}/msi/token", "IDENTITY_HEADER": "of the platform"}, **changes), entra)
    path, said = entra.asked[0]
    assert path == "/msi/token"
    assert said["resource"] == "https://storage.azure.com"
    assert said.get("client_id") == client_id


@pytest.mark.parametrize("client_id", [None, "which-one"])
def test_a_managed_identity_of_a_machine(opened: Open, entra: Authority, monkeypatch: pytest.MonkeyPatch, client_id: str | None) -> None:
    monkeypatch.setattr(azure_tokens, "_MACHINES_OWN", f"{entra.url}/metadata/identity/oauth2/token")
    _works(opened({}, **({"client_id": client_id} if client_id else {})), entra)
    path, said = entra.asked[0]
    assert path == "/metadata/identity/oauth2/token"
    assert (said["resource"], said.get("client_id")) == ("https://storage.azure.com", client_id)


def test_a_workload_identity(opened: Open, entra: Authority, tmp_path: Path) -> None:
    """As AKS sets it up."""
    (tmp_path / "token").write_text("assertion-of-the-cluster")
    environ = {
        "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token"),
        "AZURE_CLIENT_ID": "workload",
        "AZURE_TENANT_ID": "acme-tenant",
        "AZURE_AUTHORITY_HOST": entra.url,
    }
    _works(opened(environ), entra)
    assert entra.asked[0][0] == "/acme-tenant/oauth2/v2.0/token"
    assert entra.asked[0][1]["client_assertion"] == "assertion-of-the-cluster"


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        ("AADSTS7000215", "the service principal's secret is wrong"),
        ("AADSTS7000222", "the service principal's secret has expired"),
        ("AADSTS700016", "does not know this application"),
        ("AADSTS90002", "no such tenant"),
        ("AADSTS53003", "the sign-in was refused"),
    ],
)
def test_a_refused_sign_in(opened: Open, entra: Authority, refusal: str, says: str) -> None:
    entra.refusal = refusal
    with pytest.raises(DestinationRefused, match=says) as caught:
        _principal(opened, entra).probe()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_token_that_expires_in_the_middle(opened: Open, entra: Authority) -> None:
    """It was promised to live longer: a clock is wrong, or it was revoked."""
    entra.lives = -1
    destination = _principal(opened, entra)
    for call in (lambda: destination.put("f", b""), lambda: upload(destination, SHORT)):
        with pytest.raises(DestinationRefused, match="the access token has expired") as caught:
            call()
        assert entra.given[0] not in "".join(traceback.format_exception(caught.value))


def test_a_token_is_renewed_before_it_expires(opened: Open, entra: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    destination = _principal(opened, entra)
    destination.put("f", b"x")
    assert len(entra.given) == 1
    monkeypatch.setattr(azure_tokens, "_RENEWED_BEFORE", timedelta(hours=2))
    upload(destination, SHORT)
    assert len(entra.given) > 1


def test_nobody_gives_tokens(opened: Open, entra: Authority) -> None:
    with FaultProxy("127.0.0.1", int(entra.url.rpartition(":")[2])) as way:
        way.faults = [Fault("refuse")]
        entra.url = way.url
        destination = _principal(opened, entra)
        for call in (destination.probe, lambda: upload(destination, SHORT)):
            with pytest.raises(TransientError, match="No access token could be fetched"):
                call()


def _answer(status: int, code: str, detail: str = "") -> Exception:
    body = f"<Error><Code>{code}</Code><Message>m</Message><AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail></Error>"
    return OSError(f"Server returned non-2xx status code: {status} X: {body}")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (
            _answer(403, "AuthenticationFailed", "Signature not valid in the specified time frame: Start"),
            DestinationRefused,
            "not valid now",
        ),
        (_answer(403, "AuthenticationFailed", "The date header in the request is incorrect."), DestinationRefused, "clock"),
        (_answer(403, "AuthenticationFailed", "Request date header too old: 'x'"), DestinationRefused, "clock"),
        (_answer(403, "AuthenticationFailed", "The MAC signature found"), DestinationRefused, "key"),
        (_answer(403, "AuthorizationPermissionMismatch"), DestinationRefused, "no right"),
        (_answer(403, "KeyBasedAuthenticationNotPermitted"), DestinationRefused, "takes no keys"),
        (_answer(403, "SomethingNew"), DestinationRefused, "no right"),
        (_answer(409, "BlobImmutableDueToPolicy"), DestinationRefused, "policy"),
        (_answer(400, "SomethingNew"), DestinationRefused, r"SomethingNew \(HTTP 400\)"),
        (_answer(503, "ServerBusy"), TransientError, "busy"),
        (_answer(429, "TooManyRequests"), TransientError, "busy"),
        (_answer(500, "OperationTimedOut"), TransientError, "slow"),
        (_answer(500, "SomethingNew"), TransientError, r"SomethingNew \(HTTP 500\)"),
        (OSError("Bulk delete request failed for key f: no (code: 403)"), DestinationRefused, "no right"),
        (OSError("Bulk delete request failed for key f: later (code: 503)"), TransientError, "HTTP 503"),
        (OSError("error sending request"), TransientError, "could not be reached"),
    ],
    ids=lambda value: re.sub("<[^>]*>", " ", str(value))[-70:] if isinstance(value, Exception) else "",
)
def test_what_azure_answers(error: Exception, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        raise ANSWERS.of_obstore(error, "https://acme.blob.core.windows.net/exports")


def test_the_environment_does_not_leak_into_a_connection(container: Container, monkeypatch) -> None:
    for name, value in {
        "AZURE_STORAGE_ACCOUNT_NAME": "other",
        "AZURE_STORAGE_ACCOUNT_KEY": "b3RoZXI=",
        "AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=x",
        "AZURE_STORAGE_TOKEN": "bogus",
        "AZURE_CONTAINER_NAME": "other",
        "AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:1/other",
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURE_SKIP_SIGNATURE": "true",
        "AZURE_TENANT_ID": "other",
        "AZURE_CLIENT_ID": "other",
        "AZURE_CLIENT_SECRET": "other",
        "AZURE_CREDENTIAL_TYPE": "managed_identity",
        "AZURE_USE_AZURE_CLI": "true",
    }.items():
        monkeypatch.setenv(name, value)
    open_container(container).probe()
    open_container(container).put("f", b"x")
    assert container.names() == [f"{container.folder}/f"]


class TestSharedAccessSignature:
    def test_it_is_enough(self, container: Container) -> None:
        destination = open_with_sas(container, "?" + shared_access_signature())
        destination.probe()
        upload(destination, LONG, "f")
        assert container.names() == [f"{container.folder}/f"]

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_one_that_has_expired(self, container: Container, call: Call) -> None:
        destination = open_with_sas(container, shared_access_signature(end=timedelta(minutes=-1)))
        said = failure(azure(container), lambda: call(destination), DestinationRefused)
        assert "is not valid now" in said

    def test_one_of_another_key(self, container: Container) -> None:
        other = base64.b64encode(b"another key".ljust(64, b"=")).decode()
        destination = open_with_sas(container, shared_access_signature(key=other))
        assert "is wrong" in failure(azure(container), destination.probe, DestinationRefused)

    def test_it_is_not_logged(self, container: Container, caplog: pytest.LogCaptureFixture) -> None:
        """What is sent again after a cut is logged by default, with its address."""
        caplog.set_level(logging.DEBUG)
        token = shared_access_signature()
        with FaultProxy("127.0.0.1", container.port) as way:
            way.faults = [Fault("reset", when=b"comp=block", after=10, times=1)]
            url = container.via(way.url)
            upload(open_container(container, url=url, environ={"SAS": token}, account_key=None, sas_token={"env": "SAS"}), SHORT)
            assert way.fired
        assert any("Retrying" in said and "sig=..." in said for said in caplog.messages)
        assert parse_qs(token)["sig"][0] not in unquote(" ".join(caplog.messages))
