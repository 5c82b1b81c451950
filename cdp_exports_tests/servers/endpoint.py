"""The receiver of `endpoint_process.py`, started and told what to do from tests."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import trustme

from cdp_exports_tests.servers.endpoint_process import Fault, Settings

SECRET = "whsec_" + "dGhlIHNpZ25pbmcgc2VjcmV0IG9mIHRoZSB0ZXN0cw=="
"""What requests are signed with."""

OLD_SECRET = "whsec_" + "dGhlIHNlY3JldCB0aGF0IGlzIGJlaW5nIHJlcGxhY2Vk"

BEARER = "bearer-token-of-the-tests"


@dataclass(frozen=True)
class Applied:
    """A change that the receiver applied, in the order in which it did. `identity`: the text that tells members
    apart, or JSON of several values or of what is no text."""

    key: str
    audience: str
    status: str
    identity: str


class Endpoint:
    """A receiver in a process of its own. `certificate`: a PEM file with key and chain, then it speaks TLS."""

    def __init__(self, certificate: Path | None = None, host: str = "127.0.0.1") -> None:
        self._command = [sys.executable, "-m", "cdp_exports_tests.servers.endpoint_process", *([str(certificate)] if certificate else [])]
        self._tls = certificate is not None
        self.host = host

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        self.reset()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def address(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Where batches go."""
        return f"{self.address}/audiences"

    @property
    def outcome_url(self) -> str:
        return f"{self.address}/outcomes/{{key}}"

    def declared(self, **changes: object) -> dict[str, object]:
        """A connection as a catalog declares it; `environ` has its secrets."""
        return {"type": "http", "url": self.url, "signing_secret": {"env": "SIGNING_SECRET"}, "bearer_token": {"env": "BEARER"}, **changes}

    @property
    def environ(self) -> dict[str, str]:
        return {"SIGNING_SECRET": SECRET, "OLD_SECRET": OLD_SECRET, "BEARER": BEARER}

    def reset(self) -> None:
        """As it was at its start: nobody in any audience, nothing known, nothing wrong."""
        self._ask("POST", "reset", None)
        self.set(secrets=[SECRET], headers={"Authorization": f"Bearer {BEARER}"})

    def set(self, **settings: object) -> None:
        """See `endpoint_process.Settings`: `identity=["email"]`, `by_key=False`, `rejects={"a@example.com": "invalid_email"}`, ..."""
        assert set(settings) <= set(asdict(Settings()))
        self._ask("POST", "settings", settings)

    def fail(self, *faults: Fault) -> None:
        """What goes wrong from now on, in this order; nothing: all is well again."""
        self._ask("POST", "faults", [asdict(fault) for fault in faults])

    def forget(self, audience: str) -> None:
        """The audience is gone, as if somebody had deleted it there."""
        self._ask("POST", "forget", audience)

    def held(self, audience: str) -> dict[str, dict[str, Any]]:
        """Who is in an audience: values by identity."""
        return self.state()["audiences"].get(audience, {})

    def applied(self) -> list[Applied]:
        """Every change that was applied, repeated ones too."""
        return [Applied(**one) for one in self.state()["log"]]

    def state(self) -> dict[str, Any]:
        """See `endpoint_process.Book`."""
        return self._ask("GET", "state", None)

    def wait_until_holding(self) -> None:
        """Until a request has met a `hold` fault."""
        for _ in range(600):
            if self.state()["holding"]:
                return
            time.sleep(0.05)
        raise TimeoutError("no request is held")

    def release(self) -> None:
        """Drop the requests that are held."""
        self._ask("POST", "release", None)

    def _ask(self, method: str, verb: str, said: object) -> Any:
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection: http.client.HTTPConnection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, f"/_admin/{verb}", json.dumps(said))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@pytest.fixture(scope="session")
def endpoint_process() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(endpoint_process: Endpoint) -> Iterator[Endpoint]:
    """A receiver that holds nobody yet."""
    endpoint_process.reset()
    yield endpoint_process
    endpoint_process.reset()


@pytest.fixture(scope="session")
def authority_of_tests() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def authority(authority_of_tests: trustme.CA, tmp_path: Path) -> Path:
    """A PEM file with the authority that signed the certificates of tests."""
    authority_of_tests.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return tmp_path / "authority.pem"


@pytest.fixture(scope="session")
def endpoint_with_tls_process(authority_of_tests: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    certificate = tmp_path_factory.mktemp("tls") / "localhost.pem"
    authority_of_tests.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with Endpoint(certificate, "localhost") as endpoint:
        yield endpoint


@pytest.fixture
def endpoint_with_tls(endpoint_with_tls_process: Endpoint) -> Iterator[Endpoint]:
    """A receiver that is https://localhost, and nobody else."""
    endpoint_with_tls_process.reset()
    yield endpoint_with_tls_process
    endpoint_with_tls_process.reset()
