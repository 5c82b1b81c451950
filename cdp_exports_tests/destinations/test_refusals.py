"""What a store refuses ends with a sentence and a next step, without secrets, and is told apart from what may pass."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cdp_exports.destinations import object_store
from cdp_exports.destinations.destination import FileDestination
from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError
from cdp_exports_tests.destinations.far import LONG, SHORT, Far, gcs, sftp
from cdp_exports_tests.destinations.opened import IMPATIENT
from cdp_exports_tests.destinations.test_faults import NO_RETRY, stands, upload
from cdp_exports_tests.servers.faults import Fault, FaultProxy
from cdp_exports_tests.servers.gcs import GoogleBucket
from cdp_exports_tests.servers.openssh import Home, make_key

Call = Callable[[FileDestination], object]

WRITING: Mapping[str, Call] = {
    "put": lambda destination: destination.put("a/f", b"x"),
    "create": lambda destination: destination.create("a/f", b"x"),
    "a short file": lambda destination: upload(destination, SHORT),
    "a long file": lambda destination: upload(destination, LONG),
    "delete": lambda destination: destination.delete(["a/f", "a/g"]),
    "probe": lambda destination: destination.probe(),
}
READING: Mapping[str, Call] = {
    "read": lambda destination: destination.read("a/f"),
    "stream": lambda destination: list(destination.stream("a/f") or ()),
    "list": lambda destination: list(destination.list("")),
}
CALLS = {**WRITING, **READING}


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "_CREATE_WAITS", (0, 0))


def failure(far: Far, call: Callable[[], object], kind: type[CdpExportsError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value))
    assert type(caught.value) is kind
    assert caught.value.next_step
    for secret in far.secrets:
        assert secret not in shown
    return str(caught.value)


class TestSigningIn:
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_wrong_credentials(self, far: Far, call: Call) -> None:
        environ, said = far.wrong
        destination = far.open(environ=environ)
        assert said in failure(far, lambda: call(destination), DestinationRefused)
        stands(far, None)

    @pytest.mark.parametrize("call", WRITING.values(), ids=WRITING)
    def test_no_right_to_write(self, web: Far, call: Call) -> None:
        upload(web.open(), b"before")
        reader = web.object_store.reader()
        assert "no right" in failure(web, lambda: call(reader), DestinationRefused)
        assert reader.read("a/f") == b"before"
        stands(web, b"before")

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_a_bucket_that_does_not_exist(self, web: Far, call: Call) -> None:
        destination = web.object_store.nowhere()
        said = failure(web, lambda: call(destination), DestinationRefused)
        assert "there is no such" in said
        assert "nobody-made-this" in said

    def test_credentials_that_expire_in_the_middle(self, web: Far, way: FaultProxy) -> None:
        destination = web.open(way.url, patience=NO_RETRY)
        destination.put("a/other", b"x")
        of = web.object_store
        way.faults = [Fault("answer", when=of.part, times=1, reply=of.reply("expired"))]
        way.cut()
        said = failure(web, lambda: upload(destination, LONG), DestinationRefused)
        assert "has expired" in said or "have expired" in said or "not valid now" in said
        way.faults = []
        web.open().delete(["a/other"])
        stands(web, None)

    def test_credentials_that_expire_and_nothing_can_be_cleaned_up(self, web: Far, way: FaultProxy) -> None:
        destination = web.open(way.url, patience=NO_RETRY)
        writer = destination.open("a/f")
        writer.write(LONG)
        way.faults = [Fault("answer", when=b" /", reply=web.object_store.reply("expired"))]
        way.cut()
        failure(web, writer.close, DestinationRefused)
        writer.abort()
        assert web.files() == []
        web.open().delete(["a/f"])
        stands(web, None)

    def test_a_token_that_is_revoked_in_the_middle(self, google_bucket: GoogleBucket) -> None:
        far = gcs(google_bucket)
        writer = far.open().open("a/f")
        writer.write(LONG)
        google_bucket.face.revoke()
        assert "the access token is not accepted" in failure(far, writer.close, DestinationRefused)
        writer.abort()
        assert far.files() == []

    def test_a_key_that_is_withdrawn_in_the_middle(self, home: Home, tmp_path: Path) -> None:
        """Of SFTP: a connection that stands goes on, the next one is not let in."""
        far = sftp(home)
        key = make_key(tmp_path / "key", "-t", "ed25519")
        home.server.allow("exporter", key.with_suffix(".pub"))
        with FaultProxy("127.0.0.1", far.port) as way:
            writer = far.open(way.url, environ={"KEY": key.read_text()}, password=None, private_key={"env": "KEY"}).open("a/f")
            writer.write(LONG[:5_000_000])
            (home.server.folder / "keys" / "exporter").write_text("")
            way.cut()
            assert "refused the key" in failure(far, lambda: writer.write(LONG), DestinationRefused)
            writer.abort()
        assert far.files() == []
        far.open().delete(["a/f"])
        stands(far, None)


_TERMINAL = {"forbidden": "no right", "gone": "there is no such"}
_PASSING = ("in the way", "replaced", "too many", "failed", "busy")
_REQUESTS: Mapping[str, tuple[Callable[[Far], bytes], Call]] = {
    "a part": (lambda far: far.object_store.part, lambda destination: upload(destination, LONG)),
    "the last request": (lambda far: far.object_store.complete, lambda destination: upload(destination, LONG)),
    "the manifest": (lambda far: far.object_store.create, lambda destination: destination.create("a/f", b"{}")),
}


@pytest.mark.parametrize(("when", "call"), _REQUESTS.values(), ids=_REQUESTS)
class TestAnswers:
    @pytest.mark.parametrize("what", _TERMINAL)
    def test_what_does_not_pass(self, web: Far, way: FaultProxy, what: str, when: Callable[[Far], bytes], call: Call) -> None:
        way.faults = [Fault("answer", when=when(web), reply=web.object_store.reply(what))]
        destination = web.open(way.url)
        assert _TERMINAL[what] in failure(web, lambda: call(destination), DestinationRefused)
        stands(web, None)

    @pytest.mark.parametrize("what", _PASSING)
    def test_what_may_pass_but_stays(self, web: Far, way: FaultProxy, what: str, when: Callable[[Far], bytes], call: Call) -> None:
        way.faults = [Fault("answer", when=when(web), reply=web.object_store.reply(what))]
        destination = web.open(way.url, patience=NO_RETRY)
        failure(web, lambda: call(destination), TransientError)
        stands(web, None)

    @pytest.mark.parametrize("what", ["too many", "failed", "busy"])
    def test_what_passes(self, web: Far, way: FaultProxy, what: str, when: Callable[[Far], bytes], call: Call) -> None:
        """429 says after how many seconds to come back."""
        way.faults = [Fault("answer", when=when(web), reply=web.object_store.reply(what), times=1)]
        assert call(web.open(way.url))
        assert len(way.fired) == 1
        assert web.files() == ["a/f"]
        assert web.hidden() == []


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
class TestNobody:
    def test_listens(self, far: Far, call: Call) -> None:
        with socket.socket() as taken:  # bound, but not listening: connections are refused
            taken.bind(("127.0.0.1", 0))
            destination = far.open(f"http://127.0.0.1:{taken.getsockname()[1]}", patience=NO_RETRY)
            assert "could not be reached" in failure(far, lambda: call(destination), TransientError)

    def test_answers_usefully(self, web: Far, way: FaultProxy, call: Call) -> None:
        """A gateway between, which knows nothing of stores."""
        reply = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\nConnection: close\r\n\r\noops!"
        way.faults = [Fault("answer", when=b" /", reply=reply)]
        destination = web.open(way.url, patience=NO_RETRY)
        failure(web, lambda: call(destination), TransientError)


def test_a_server_that_does_not_speak_tls(web: Far) -> None:
    destination = web.open(f"https://127.0.0.1:{web.port}", patience=replace(IMPATIENT, retries=0))
    failure(web, destination.probe, TransientError)
