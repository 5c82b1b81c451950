"""A store whose certificate does not hold is refused in one sentence, and nothing is sent to it. SFTP's keys: test_sftp_signing_in."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from cdp_exports.errors import DestinationRefused
from cdp_exports_tests.destinations.far import SHORT, Far
from cdp_exports_tests.destinations.test_faults import NO_RETRY, stands, upload
from cdp_exports_tests.destinations.test_refusals import CALLS, Call, failure
from cdp_exports_tests.servers.faults import FaultProxy

Doors = Callable[[trustme.LeafCert], FaultProxy]


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """The only one that the process trusts."""
    authority = trustme.CA()
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(file))
    return authority


@pytest.fixture
def door(web: Far) -> Iterator[Doors]:
    """To the store, by TLS, with a certificate."""
    opened: list[FaultProxy] = []

    def door(certificate: trustme.LeafCert) -> FaultProxy:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        opened.append(FaultProxy("127.0.0.1", web.port, tls=context).__enter__())
        return opened[-1]

    yield door
    for one in opened:
        one.__exit__()


def test_one_that_holds(web: Far, authority: trustme.CA, door: Doors) -> None:
    way = door(authority.issue_cert("127.0.0.1"))
    assert upload(web.open(way.url), SHORT) is web.proof
    assert way.sent > len(SHORT)
    stands(web, SHORT)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
class TestOneThatDoesNot:
    def test_by_an_authority_that_is_not_trusted(self, web: Far, door: Doors, call: Call) -> None:
        self._refused(web, door(trustme.CA().issue_cert("127.0.0.1")), call, "its certificate is not trusted")

    def test_of_another_host(self, web: Far, authority: trustme.CA, door: Doors, call: Call) -> None:
        self._refused(web, door(authority.issue_cert("store.example", "10.0.0.1")), call, "its certificate is another host's")

    def test_that_has_expired(self, web: Far, authority: trustme.CA, door: Doors, call: Call) -> None:
        ended = authority.issue_cert("127.0.0.1", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2020, 2, 1, tzinfo=UTC))
        self._refused(web, door(ended), call, "its certificate has expired")

    def _refused(self, web: Far, way: FaultProxy, call: Call, says: str) -> None:
        destination = web.open(way.url, patience=NO_RETRY)
        said = failure(web, lambda: call(destination), DestinationRefused)
        assert says in said
        assert "nothing was sent" in said
        assert way.sent == 0
        stands(web, None)
