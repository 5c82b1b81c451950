"""Microsoft Entra ID as a sign-in asks it: for service principals, workload identities and managed identities, on loopback only.

Its tokens say what real ones say. Azurite looks at that, and at no signature.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

from cdp_exports_tests.servers.azurite import AzuriteServer, served


@dataclass
class Authority:
    """`secret`: the only one that a principal may show, if there is one; `refusal`: what it answers instead of a token; `lives`: how many
    seconds a token is good for, whatever it says of it.
    """

    url: str = ""
    secret: str = ""
    refusal: str = ""
    lives: int = 3600
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)

    def give_token(self, path: str, said: dict[str, str]) -> tuple[int, str]:
        self.asked.append((path, said))
        shown = said.get("client_secret", "")
        if refusal := self.refusal or ("AADSTS7000215" if self.secret not in ("", shown) else ""):
            return 401, json.dumps({"error": "invalid_client", "error_description": f"{refusal}: {shown}"})  # some repeat it
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/acme-tenant/",
            "iat": now - 7200,
            "nbf": now - 7200,
            "exp": now + self.lives,
            "jti": str(len(self.given)),
        }
        self.given.append(".".join(map(_encoded, ({"alg": "RS256", "typ": "JWT"}, claims, "no signature"))))
        ends = str(now + 3600)
        return 200, json.dumps({"access_token": self.given[-1], "token_type": "Bearer", "expires_in": 3600, "expires_on": ends})


def _encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


@pytest.fixture
def entra() -> Iterator[Authority]:
    authority = Authority()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

        def do_GET(self) -> None:
            self._answer(urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _answer(self, said: str) -> None:
            status, body = authority.give_token(urlsplit(self.path).path, {name: values[0] for name, values in parse_qs(said).items()})
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        authority.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield authority
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def azurite_by_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzuriteServer]:
    """It takes tokens, and this process trusts its certificate."""
    authority, file = trustme.CA(), tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(file)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            patch.setenv(name, str(file))
        yield from served(AzuriteServer(authority.issue_cert("127.0.0.1")))
