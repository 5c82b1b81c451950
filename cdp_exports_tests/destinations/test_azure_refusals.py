"""What Azure refuses ends with a sentence and a next step, without secrets, and is told apart from what may pass."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from cdp_exports.destinations import object_store
from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError
from cdp_exports_tests.destinations.opened import IMPATIENT
from cdp_exports_tests.destinations.opened_azure import open_container, open_with_sas
from cdp_exports_tests.servers.azurite import KEY, Container, shared_access_signature
from cdp_exports_tests.servers.faults import Fault, FaultProxy

OTHER_KEY = base64.b64encode(b"another key".ljust(64, b"=")).decode()

WRITING: dict[str, Callable[[ObjectStoreDestination], object]] = {
    "put": lambda destination: destination.put("f", b"x"),
    "create": lambda destination: destination.create("f", b"x"),
    "a short file": lambda destination: _write(destination, 1),
    "a long file": lambda destination: _write(destination, PART_SIZE + 1),
}
DELETING = {"delete": lambda destination: destination.delete(["f", "g"])}
READING: dict[str, Callable[[ObjectStoreDestination], object]] = {
    "read": lambda destination: destination.read("f"),
    "stream": lambda destination: destination.stream("f"),
    "list": lambda destination: list(destination.list("")),
}
CALLS = {**WRITING, **DELETING, **READING}


def _write(destination: ObjectStoreDestination, size: int) -> None:
    writer = destination.open("f")
    try:
        writer.write(b"x" * size)
        writer.close()
    finally:
        writer.abort()


def _failure(call: Callable[[], object], kind: type[CdpExportsError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value))
    assert caught.value.next_step
    for secret in (KEY, OTHER_KEY, "sig=", "SharedKey", "string to sign"):
        assert secret not in shown
    return str(caught.value)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_wrong_key(container: Container, call: Callable[[ObjectStoreDestination], object]) -> None:
    destination = open_container(container, environ={"KEY": OTHER_KEY})
    assert "the account key or the signature made with it is wrong" in _failure(lambda: call(destination), DestinationRefused)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_missing_container(container: Container, call: Callable[[ObjectStoreDestination], object]) -> None:
    destination = open_container(container, container="nobody-made-this")
    message = _failure(lambda: call(destination), DestinationRefused)
    assert "there is no such container" in message
    assert "nobody-made-this" in message


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_expired_signature(container: Container, call: Callable[[ObjectStoreDestination], object]) -> None:
    destination = open_with_sas(container, shared_access_signature(end=timedelta(minutes=-1)))
    assert "is not valid now" in _failure(lambda: call(destination), DestinationRefused)


@pytest.mark.parametrize("call", [*WRITING.values(), *DELETING.values()], ids=[*WRITING, *DELETING])
def test_a_signature_without_the_right_to_write(container: Container, call: Callable[[ObjectStoreDestination], object]) -> None:
    container.put("f", b"x")
    destination = open_with_sas(container, shared_access_signature("rl"))
    assert "no right" in _failure(lambda: call(destination), DestinationRefused)
    assert destination.read("f") == b"x"


def test_a_signature_of_another_key(container: Container) -> None:
    destination = open_with_sas(container, shared_access_signature(key=OTHER_KEY))
    assert "is wrong" in _failure(destination.probe, DestinationRefused)


def test_a_signature_is_enough(container: Container) -> None:
    destination = open_with_sas(container, "?" + shared_access_signature())
    destination.probe()
    _write(destination, PART_SIZE + 1)
    assert container.names() == [f"{container.folder}/f"]


def test_a_leased_file_is_not_replaced(container: Container) -> None:
    """Somebody protects a file: that does not pass by itself."""
    container.put("f", b"x")
    container.lease("f")
    assert "a lease or a policy" in _failure(lambda: open_container(container).put("f", b"y"), DestinationRefused)
    assert "a lease or a policy" in _failure(lambda: open_container(container).delete(["e", "f", "g"]), DestinationRefused)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nobody_answers(container: Container, call: Callable[[ObjectStoreDestination], object], monkeypatch) -> None:
    monkeypatch.setattr(object_store, "_CREATE_WAITS", (0, 0))
    with FaultProxy("127.0.0.1", container.port) as proxy:
        proxy.faults = [Fault("refuse")]
        destination = open_container(container, url=container.via(proxy.url), patience=replace(IMPATIENT, retries=0))
        assert "could not be reached" in _failure(lambda: call(destination), TransientError)
