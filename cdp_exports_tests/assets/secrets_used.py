"""Every way to sign in with a secret, and where a secret could be kept, in whatever form."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus

import pytest

from cdp_exports_tests.destinations import far
from cdp_exports_tests.servers import azurite, openssh
from cdp_exports_tests.servers.entra import Authority
from cdp_exports_tests.servers.openssh import Home


@dataclass(frozen=True)
class SignIn:
    """`wrong`: the same with secrets that are well formed and wrong; `nowhere`: what makes the connection lead nowhere."""

    place: far.Far
    declared: Mapping[str, Any]
    environ: Mapping[str, str]
    wrong: Mapping[str, str]
    nowhere: Mapping[str, Any]
    told: Callable[[Mapping[str, str]], Sequence[str]]  # the secrets in an environment, and those that were made of them
    identifier: str = ""  # no secret: only a library's debug log may hold it


def s3_keys(request: pytest.FixtureRequest, tmp_path: Path) -> SignIn:
    place = far.s3(request.getfixturevalue("bucket"))
    wrong = {**place.environ, "SECRET": "not-the-right-secret"}
    nowhere = {"bucket": "nobody-made-this"}
    return SignIn(place, place.declared, place.environ, wrong, nowhere, lambda environ: [environ["SECRET"]], place.environ["KEY_ID"])


def gcs_key(request: pytest.FixtureRequest, tmp_path: Path) -> SignIn:
    bucket = request.getfixturevalue("google_bucket")
    place = far.gcs(bucket)
    wrong = {"KEY": bucket.face.key_file(known=False)}

    def told(environ: Mapping[str, str]) -> Sequence[str]:
        return [*_lines(environ["KEY"].replace("\\n", "\n")), *bucket.face.tokens()]

    return SignIn(place, place.declared, place.environ, wrong, {"bucket": "nobody-made-this"}, told)


def azure_key(request: pytest.FixtureRequest, tmp_path: Path) -> SignIn:
    place = far.azure(request.getfixturevalue("container"))
    wrong = {"KEY": _OTHER_KEY}
    return SignIn(place, place.declared, place.environ, wrong, {"container": "nobody-made-this"}, lambda environ: [environ["KEY"]])


def azure_signature(request: pytest.FixtureRequest, tmp_path: Path) -> SignIn:
    place = far.azure(request.getfixturevalue("container"))
    declared = {**place.declared, "account_key": None, "sas_token": {"env": "SAS"}}
    environ = {"SAS": azurite.shared_access_signature()}
    wrong = {"SAS": azurite.shared_access_signature(key=_OTHER_KEY)}
    return SignIn(place, declared, environ, wrong, {"container": "nobody-made-this"}, lambda environ: parse_qs(environ["SAS"])["sig"])


def azure_connection_string(request: pytest.FixtureRequest, tmp_path: Path) -> SignIn:
    container = request.getfixturevalue("container")
    place = far.azure(container)
    declared = {**place.declared, "account_key": None, "connection_string": {"env": "STRING"}}
    environ, wrong = (
        {"STRING": f"AccountName={azurite.ACCOUNT};AccountKey={key};BlobEndpoint={container.url}"} for key in (azurite.KEY, _OTHER_KEY)
    )

    def told(environ: Mapping[str, str]) -> Sequence[str]:
        return [environ["STRING"], environ["STRING"].partition("AccountKey=")[2].partition(";")[0]]

    return SignIn(place, declared, environ, wrong, {"container": "nobody-made-this"}, told)


def azure_principal(request: pytest.FixtureRequest, tmp_path: Path) -> SignIn:
    authority: Authority = request.getfixturevalue("entra")
    authority.secret = "s3cret/of+the=principal"
    place = far.azure(azurite.Container(request.getfixturevalue("azurite_by_tls").url, azurite.EXPORTS, f"test-{uuid.uuid4().hex[:12]}"))
    principal = {"tenant_id": "acme", "client_id": "app", "client_secret": {"env": "SECRET"}, "authority_url": authority.url}
    declared = {**place.declared, "account_key": None, **principal}

    def told(environ: Mapping[str, str]) -> Sequence[str]:
        return [environ["SECRET"], *authority.given]

    environ, wrong = {"SECRET": authority.secret}, {"SECRET": "another/secret+of=theirs"}
    return SignIn(place, declared, environ, wrong, {"container": "nobody-made-this"}, told)


def sftp_password(request: pytest.FixtureRequest, tmp_path: Path) -> SignIn:
    place = far.sftp(request.getfixturevalue("home_of_sftp"))
    wrong = {"PASSWORD": "not-the-right-password"}
    return SignIn(
        place, place.declared, place.environ, wrong, {"folder": "/upload/nobody-made-this"}, lambda environ: list(environ.values())
    )


def sftp_key(request: pytest.FixtureRequest, tmp_path: Path) -> SignIn:
    home: Home = request.getfixturevalue("home_of_sftp")
    place = far.sftp(home)
    keys = [openssh.make_key(tmp_path / name, "-t", "ed25519", passphrase=openssh.PASSPHRASE) for name in ("known", "unknown")]
    home.server.allow("exporter", keys[0].with_suffix(".pub"))
    environ, wrong = ({"KEY": key.read_text(), "PASSPHRASE": openssh.PASSPHRASE} for key in keys)
    for key in keys:
        key.unlink()  # only the environment has it now
    declared = {**place.declared, "password": None, "private_key": {"env": "KEY"}, "passphrase": {"env": "PASSPHRASE"}}

    def told(environ: Mapping[str, str]) -> Sequence[str]:
        return [environ["PASSPHRASE"], *_lines(environ["KEY"])]

    return SignIn(place, declared, environ, wrong, {"folder": "/upload/nobody-made-this"}, told)


WAYS: Mapping[str, Callable[[pytest.FixtureRequest, Path], SignIn]] = {
    "S3 keys": s3_keys,
    "GCS key": gcs_key,
    "Azure key": azure_key,
    "Azure signature": azure_signature,
    "Azure connection string": azure_connection_string,
    "Azure principal": azure_principal,
    "SFTP password": sftp_password,
    "SFTP key": sftp_key,
}

_OTHER_KEY = base64.b64encode(b"another key".ljust(64, b"=")).decode()


def _lines(key: str) -> list[str]:
    """Of a key's text those that are secret."""
    return [line for line in key.splitlines() if len(line) > 30 and not line.startswith("-----") and " " not in line]


def forms(secret: str) -> Iterator[bytes]:
    """As it is, as URLs and JSON write it, as UTF-16, and in base64 wherever in a longer text it stands."""
    raw = secret.encode()
    yield from {raw, quote(secret, safe="").encode(), quote_plus(secret).encode(), secret.replace("/", "\\/").encode()}
    yield secret.encode("utf-16-le")
    for before in range(3):
        inside = base64.b64encode(bytes(before) + raw)[4 if before else 0 : -4]
        yield from {inside, inside.replace(b"+", b"-").replace(b"/", b"_")}


def holds(content: bytes, secrets: Sequence[str]) -> bool:
    return any(form in content for secret in secrets for form in forms(secret))
