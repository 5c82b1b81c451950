"""What an HTTP endpoint refuses, and what goes wrong on the way: each error says for certain whether something was applied."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from cdp_exports.destinations import http_requests
from cdp_exports.destinations.audience import Answered, Batch, Change
from cdp_exports.destinations.http import HttpDestination
from cdp_exports.errors import CdpExportsError, DeclarationError, DestinationRefused, NotApplied, TransientError
from cdp_exports_tests.destinations.opened_http import open_endpoint
from cdp_exports_tests.servers.endpoint import BEARER, OLD_SECRET, SECRET, Endpoint
from cdp_exports_tests.servers.endpoint_process import Fault
from cdp_exports_tests.servers.faults import Fault as NetworkFault
from cdp_exports_tests.servers.faults import FaultProxy

BATCH = Batch("batch-1", [Change("entered", {"id": "ann@example.com"}), Change("entered", {"id": "bob@example.com"})])
LARGE = Batch("batch-2", [Change("entered", {"id": f"{number}@example.com", "text": "x" * 1000}) for number in range(1000)])


def failure(call: Callable[[], object], kind: type[CdpExportsError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert caught.value.next_step
    shown = "".join(traceback.format_exception(caught.value))
    for private in (SECRET[6:], OLD_SECRET[6:], BEARER, "ann@example.com"):
        assert private not in shown
    return str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (301, DestinationRefused, "a redirect"),
        (307, DestinationRefused, "a redirect"),
        (304, DestinationRefused, "a redirect"),
        (400, DestinationRefused, "it refused the request"),
        (401, DestinationRefused, "set this machine's clock"),
        (403, DestinationRefused, "no right to send there"),
        (404, DestinationRefused, "nothing at this address"),
        (409, DestinationRefused, "the batch's key with other content"),
        (410, DestinationRefused, "is gone for good"),
        (413, DestinationRefused, "smaller `batch_rows`"),
        (415, DestinationRefused, "`format` and `compression`"),
        (418, DestinationRefused, "it refused the request"),
        (422, DestinationRefused, "does not understand the batch"),
        (500, TransientError, "does not say whether"),
        (502, TransientError, "does not say whether"),
        (503, TransientError, "does not say whether"),
        (504, TransientError, "does not say whether"),
        (599, TransientError, "does not say whether"),
    ],
)
def test_statuses(endpoint: Endpoint, status: int, kind: type[CdpExportsError], said: str) -> None:
    headers = {"Location": f"{endpoint.address}/elsewhere"} if status in (301, 307) else {}
    endpoint.fail(Fault("answer", status=status, headers=headers))
    destination = open_endpoint(endpoint)
    assert said in failure(lambda: destination.send("a", BATCH), kind)
    state = endpoint.state()
    assert len(state["requests"]) == 1  # neither repeated nor sent elsewhere
    assert endpoint.held("a") == {}


@pytest.mark.parametrize("status", [200, 201, 202, 204, 207])
def test_every_success_is_one(endpoint: Endpoint, status: int) -> None:
    headers = {"Content-Length": "0"} if status == 204 else {}
    endpoint.fail(Fault("answer", status=status, headers=headers, applied=True))
    assert open_endpoint(endpoint).send("a", BATCH) == Answered()


def test_partial_success_may_be_207(endpoint: Endpoint) -> None:
    with answering(
        b"HTTP/1.1 207 Multi-Status\r\nContent-Length: 53\r\n\r\n" + b'{"rejected": [{"index": 1, "reason": "opted_out"}]}  '
    ) as port:
        [one] = open_endpoint(endpoint, url=f"http://127.0.0.1:{port}/").send("a", BATCH).rejected
    assert (one.index, one.reason) == (1, "opted_out")


class TestBusy:
    @pytest.mark.parametrize("status", [408, 425, 429, 503])
    def test_it_is_waited_for(self, endpoint: Endpoint, status: int) -> None:
        endpoint.fail(Fault("answer", status=status, headers={"Retry-After": "0"}, times=2))
        assert open_endpoint(endpoint).send("a", BATCH) == Answered()
        assert len(endpoint.applied()) == 2

    @pytest.mark.parametrize("status", [408, 425, 429])
    def test_without_a_time_the_waits_grow(self, endpoint: Endpoint, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
        waited: list[float] = []
        monkeypatch.setattr(http_requests, "time", _Clock(waited))
        endpoint.fail(Fault("answer", status=status, times=1000))
        said = failure(lambda: open_endpoint(endpoint).send("a", BATCH), NotApplied)
        assert f"HTTP {status}" in said
        assert waited == [0.25, 0.5, 1, 2]  # of five seconds
        assert endpoint.held("a") == {}

    def test_as_long_as_it_asks(self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        waited: list[float] = []
        monkeypatch.setattr(http_requests, "time", _Clock(waited))
        endpoint.fail(Fault("answer", status=429, headers={"Retry-After": "2"}, times=1000))
        failure(lambda: open_endpoint(endpoint).send("a", BATCH), NotApplied)
        assert waited == [2, 2]

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_time_may_be_a_date(self, endpoint: Endpoint, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """By the endpoint's clock, which may be another than ours."""
        waited: list[float] = []
        monkeypatch.setattr(http_requests, "time", _Clock(waited))
        endpoint.set(skew=250)
        endpoint.fail(Fault("answer", status=status, headers={"Retry-After": formatdate(time.time() + 250 + 4, usegmt=True)}))
        assert open_endpoint(endpoint).send("a", BATCH) == Answered()
        [seconds] = waited
        assert 0 < seconds <= 5

    @pytest.mark.parametrize("asked", ["100000", "9" * 400, "Sat, 01 Jan 2099 00:00:00 GMT"])
    def test_no_longer_than_stated(self, endpoint: Endpoint, asked: str) -> None:
        endpoint.fail(Fault("answer", status=503, headers={"Retry-After": asked}))
        assert "is busy" in failure(lambda: open_endpoint(endpoint).send("a", BATCH), NotApplied)
        assert len(endpoint.state()["requests"]) == 1

    @pytest.mark.parametrize("asked", ["soon", "-1", "1.5", "٣", ""])
    def test_a_time_that_is_none(self, endpoint: Endpoint, asked: str) -> None:
        with answering(f"HTTP/1.1 503 Busy\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n".encode()) as port:
            failure(lambda: open_endpoint(endpoint, url=f"http://127.0.0.1:{port}/").send("a", BATCH), TransientError)

    def test_the_same_batch_is_still_being_processed(self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of which nobody knows yet what becomes of it."""
        waited: list[float] = []
        monkeypatch.setattr(http_requests, "time", _Clock(waited))
        endpoint.fail(Fault("answer", status=409, headers={"Retry-After": "1"}))
        assert open_endpoint(endpoint).send("a", BATCH) == Answered()
        endpoint.fail(Fault("answer", status=409, headers={"Retry-After": "1"}, times=1000))
        failure(lambda: open_endpoint(endpoint).send("a", BATCH), TransientError)
        assert waited == [1, 1, 1, 1, 2]


class TestOnTheWay:
    """Anything after the connection was made leaves doubt; before, it does not."""

    @pytest.fixture
    def proxy(self, endpoint: Endpoint) -> Iterator[FaultProxy]:
        with FaultProxy("127.0.0.1", endpoint.port) as proxy:
            yield proxy

    @pytest.fixture
    def destination(self, endpoint: Endpoint, proxy: FaultProxy) -> HttpDestination:
        return open_endpoint(endpoint, url=f"{proxy.url}/audiences")

    @pytest.mark.parametrize("after", [0, 10, 100_000])
    def test_cut_while_it_is_sent(self, destination: HttpDestination, endpoint: Endpoint, proxy: FaultProxy, after: int) -> None:
        proxy.faults = [NetworkFault("reset", "up", after=after, times=1)]
        failure(lambda: destination.send("a", LARGE), TransientError)
        assert endpoint.held("a") == {}
        assert destination.send("a", LARGE) == Answered()

    @pytest.mark.parametrize("after", [0, 20, 120])
    def test_cut_while_it_is_answered(self, destination: HttpDestination, endpoint: Endpoint, proxy: FaultProxy, after: int) -> None:
        proxy.faults = [NetworkFault("reset", "down", after=after, times=1)]
        failure(lambda: destination.send("a", BATCH), TransientError)
        assert len(endpoint.held("a")) == 2

    @pytest.mark.parametrize("direction", ["up", "down"])
    def test_stalled(self, destination: HttpDestination, proxy: FaultProxy, direction: Any) -> None:
        proxy.faults = [NetworkFault("stall", direction, after=100)]
        failure(lambda: destination.send("a", LARGE), TransientError)

    def test_nothing_listens(self, endpoint: Endpoint) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            destination = open_endpoint(endpoint, url=f"http://127.0.0.1:{bound.getsockname()[1]}/")
            assert "No connection" in failure(lambda: destination.send("a", BATCH), NotApplied)

    def test_no_such_host(self, endpoint: Endpoint) -> None:
        failure(lambda: open_endpoint(endpoint, url="https://nowhere.invalid/").send("a", BATCH), NotApplied)

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",  # without a length, so where it ends may be where it was cut
            b'HTTP/1.1 200 OK\r\n\r\n{"rejected": [',
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{"',
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b" " * (http_requests.ANSWER_MAX + 1),
        ],
        ids=range(9),
    )
    def test_an_answer_that_is_none(self, endpoint: Endpoint, answer: bytes) -> None:
        with answering(answer) as port:
            failure(lambda: open_endpoint(endpoint, url=f"http://127.0.0.1:{port}/").send("a", BATCH), TransientError)

    def test_a_refusal_stands_though_its_text_is_cut(self, endpoint: Endpoint) -> None:
        with answering(b"HTTP/1.1 422 No\r\nContent-Length: 1000\r\n\r\nno") as port:
            failure(lambda: open_endpoint(endpoint, url=f"http://127.0.0.1:{port}/").send("a", BATCH), DestinationRefused)

    def test_an_answer_in_drops(self, endpoint: Endpoint) -> None:
        with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b" " * 99, pause=0.3) as port:
            failure(lambda: open_endpoint(endpoint, url=f"http://127.0.0.1:{port}/").send("a", BATCH), TransientError)

    def test_a_refusal_before_all_was_sent(self, endpoint: Endpoint) -> None:
        with answering(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", read=False) as port:
            destination = open_endpoint(endpoint, url=f"http://127.0.0.1:{port}/")
            assert "`batch_rows`" in failure(lambda: destination.send("a", LARGE), DestinationRefused)


class TestTls:
    def test_a_trusted_one(self, endpoint_with_tls: Endpoint, authority: Path) -> None:
        destination = open_endpoint(
            endpoint_with_tls, root=authority.parent, ca_file=authority.name, outcome_url=endpoint_with_tls.outcome_url
        )
        destination.probe()
        assert destination.send("a", BATCH) == Answered()
        assert destination.outcome("a", BATCH) == Answered()

    def test_of_an_authority_that_is_not_trusted(self, endpoint_with_tls: Endpoint) -> None:
        said = failure(lambda: open_endpoint(endpoint_with_tls).send("a", BATCH), DestinationRefused)
        assert "its certificate is not trusted (unable to get local issuer certificate). Nothing was sent." in said
        assert endpoint_with_tls.state()["requests"] == []

    def test_the_declared_authority_is_the_only_one(
        self, endpoint_with_tls: Endpoint, authority: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        open_endpoint(endpoint_with_tls).probe()
        import trustme

        other = authority.with_name("other.pem")
        trustme.CA().cert_pem.write_to_path(str(other))
        failure(open_endpoint(endpoint_with_tls, ca_file=str(other)).probe, DestinationRefused)

    def test_a_server_that_does_not_speak_it(self, endpoint: Endpoint) -> None:
        destination = open_endpoint(endpoint, url=f"https://127.0.0.1:{endpoint.port}/audiences")
        assert "does not speak TLS. Nothing was sent." in failure(lambda: destination.send("a", BATCH), DestinationRefused)

    def test_cut_in_its_beginning(self, endpoint_with_tls: Endpoint, authority: Path) -> None:
        with FaultProxy("127.0.0.1", endpoint_with_tls.port) as proxy:
            proxy.faults = [NetworkFault("reset", "down", after=50)]
            destination = open_endpoint(endpoint_with_tls, url=f"https://localhost:{proxy.port}/audiences", ca_file=str(authority))
            failure(lambda: destination.send("a", BATCH), NotApplied)

    @pytest.mark.parametrize("content", [None, "no certificate"])
    def test_a_file_without_certificates(self, endpoint_with_tls: Endpoint, tmp_path: Path, content: str | None) -> None:
        if content:
            (tmp_path / "ca.pem").write_text(content)
        with pytest.raises(DeclarationError, match="cannot be read as certificates"):
            open_endpoint(endpoint_with_tls, root=tmp_path, ca_file="ca.pem")


class TestProxies:
    def test_what_is_not_encrypted_never_goes_through_one(self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as port:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
            open_endpoint(endpoint).send("a", BATCH)
        assert len(endpoint.held("a")) == 2

    @pytest.mark.parametrize("named", ["socks5://me:proxyword@127.0.0.1:1", "gopher://me:proxyword@127.0.0.1", "http://me:proxyword@[::1"])
    def test_one_that_cannot_be_used(self, endpoint_with_tls: Endpoint, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("HTTPS_PROXY", named)
        said = failure(lambda: open_endpoint(endpoint_with_tls).send("a", BATCH), DestinationRefused)
        assert "cannot be used" in said
        assert "proxyword" not in said

    def test_one_that_refuses(self, endpoint_with_tls: Endpoint, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with answering(b"HTTP/1.1 407 Sign in\r\nContent-Length: 0\r\n\r\n") as port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:proxyword@127.0.0.1:{port}")
            said = failure(lambda: open_endpoint(endpoint_with_tls, ca_file=str(authority)).send("a", BATCH), NotApplied)
        assert "HTTPS_PROXY" in said
        assert "proxyword" not in said
        assert endpoint_with_tls.state()["requests"] == []


class TestOutcome:
    def test_without_an_address_it_cannot_tell(self, endpoint: Endpoint) -> None:
        assert open_endpoint(endpoint).outcome("a", BATCH) is None
        assert endpoint.state()["requests"] == []

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Fault("answer", on="outcome", status=429, headers={"Retry-After": "1000"}), TransientError),
            (Fault("answer", on="outcome", status=503, headers={"Retry-After": "1000"}), TransientError),
            (Fault("answer", on="outcome", status=500), TransientError),
            (Fault("answer", on="outcome", status=404), DestinationRefused),
            (Fault("answer", on="outcome", status=200), TransientError),
            (Fault("answer", on="outcome", status=204, headers={"Content-Length": "0"}), TransientError),
            (Fault("garbage", on="outcome"), TransientError),
            (Fault("drop", on="outcome"), TransientError),
            (Fault("hold", on="outcome"), TransientError),
        ],
    )
    def test_no_answer_is_never_taken_for_not_applied(self, endpoint: Endpoint, fault: Fault, kind: type[CdpExportsError]) -> None:
        destination = open_endpoint(endpoint, outcome_url=endpoint.outcome_url)
        destination.send("a", BATCH)
        endpoint.fail(fault)
        failure(lambda: destination.outcome("a", BATCH), kind)
        assert destination.outcome("a", BATCH) == Answered()

    def test_nor_is_an_endpoint_that_is_gone(self, endpoint: Endpoint) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            destination = open_endpoint(endpoint, outcome_url=f"http://127.0.0.1:{bound.getsockname()[1]}/{{key}}")
            failure(lambda: destination.outcome("a", BATCH), TransientError)

    def test_who_asks_may_know_only_the_key(self, endpoint: Endpoint) -> None:
        destination = open_endpoint(endpoint, outcome_url=endpoint.outcome_url)
        endpoint.set(rejects={"bob@example.com": "opted_out"})
        destination.send("a", BATCH)
        outcome = destination.outcome("a", Batch(BATCH.key, ()))
        assert outcome
        assert [one.index for one in outcome.rejected] == [1]


class TestProbe:
    @pytest.mark.parametrize(("skew", "said"), [(3600, "60 minutes behind"), (-3600, "60 minutes ahead")])
    def test_clocks(self, endpoint: Endpoint, skew: float, said: str) -> None:
        """An endpoint that checks timestamps refuses; one that does not is told apart by its date."""
        endpoint.set(skew=skew)
        assert "set this machine's clock" in failure(open_endpoint(endpoint).probe, DestinationRefused)
        date = formatdate(time.time() + skew, usegmt=True)
        with answering(f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode()) as port:
            assert said in failure(open_endpoint(endpoint, url=f"http://127.0.0.1:{port}/").probe, DestinationRefused)

    def test_outcomes_are_asked_too(self, endpoint: Endpoint) -> None:
        wrong = open_endpoint(endpoint, outcome_url=f"{endpoint.address}/elsewhere/{{key}}")
        assert "`outcome_url`" in failure(wrong.probe, DestinationRefused)
        said = b'{"applied": true}'
        with answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)) as port:
            liar = open_endpoint(endpoint, outcome_url=f"http://127.0.0.1:{port}/{{key}}")
            assert "which was never sent" in failure(liar.probe, DestinationRefused)

    def test_an_endpoint_that_answers_anything(self, endpoint: Endpoint) -> None:
        endpoint.fail(Fault("garbage", on="ping"))
        assert "as the contract says" in failure(open_endpoint(endpoint).probe, TransientError)


@pytest.mark.parametrize(
    ("changes", "environ", "said"),
    [
        ({}, {"SIGNING_SECRET": "not-a-signing-secret"}, "The value of SIGNING_SECRET is no signing secret"),
        ({"old_signing_secret": {"env": "OLD"}}, {"OLD": "whsec_QUJD"}, "The value of OLD is no signing secret"),
        ({"old_signing_secret": {"env": "OLD"}}, {}, "OLD is not set"),
        ({}, {"BEARER": "token-with\nline"}, "The value of BEARER cannot be sent in a header"),
        ({}, {"BEARER": "token-with-é"}, "The value of BEARER cannot be sent in a header"),
        ({"headers": {"X-Key": {"env": "KEY"}}}, {"KEY": "ends-in-a-line\n"}, "The value of KEY cannot be sent in a header"),
    ],
)
def test_secrets_that_are_none(endpoint: Endpoint, changes: dict[str, Any], environ: dict[str, str], said: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        open_endpoint(endpoint, environ=environ, **changes)
    assert said in str(caught.value)
    assert not [value for value in environ.values() if value.strip() in str(caught.value)]


class _Clock:
    """The module `time`, but that waits are noted and not waited."""

    def __init__(self, waited: list[float]) -> None:
        self.sleep = waited.append
        self.time, self.monotonic = time.time, time.monotonic


@contextmanager
def answering(answer: bytes, *, read: bool = True, pause: float = 0) -> Generator[int]:
    """The port of a server that answers one request with these bytes and closes the connection. `pause`: seconds between bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    if read:
                        _read_request(connection)
                    for start in range(len(answer)) if pause else ():
                        connection.sendall(answer[start : start + 1])
                        time.sleep(pause if start > answer.find(b"\r\n\r\n") else 0)
                    if not pause:
                        connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while not read and connection.recv(1 << 16):
                        pass
                except OSError:
                    pass

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _read_request(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1 << 16)
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(lengths[0]) - len(body) if lengths else 0
    while left > 0:
        left -= len(connection.recv(1 << 16))
