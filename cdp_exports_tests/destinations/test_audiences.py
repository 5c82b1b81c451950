"""Every audience destination does what the public suite asks."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cdp_exports.destinations.audience import AudienceDestination, Value
from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.entities.http_connection import HTTP
from cdp_exports.testing.audiences import AudienceDestinationSuite, Faults, Held, Untrusted
from cdp_exports_tests.destinations.opened_http import open_endpoint
from cdp_exports_tests.servers.endpoint import BEARER, OLD_SECRET, SECRET, Endpoint
from cdp_exports_tests.servers.endpoint_process import Fault

WRONG_TOKEN = "a-token-of-nobody"


class HttpSuite(AudienceDestinationSuite):
    declared: ClassVar[Capabilities | None] = HTTP
    changes: ClassVar[dict[str, object]]
    by_key = False

    def identity(self, number: int) -> dict[str, Value]:
        return {"id": f"member-{number}"}

    def values(self, number: int) -> dict[str, Value]:
        return {"id": f"member-{number}", "email": f"été{number}@example.com", "score": number / 4, "active": True, "birthday": None}

    @pytest.fixture
    def receiver(self, endpoint: Endpoint) -> Endpoint:
        endpoint.set(by_key=self.by_key)
        return endpoint

    def opened(self, receiver: Endpoint, **changes: Any) -> AudienceDestination:
        return open_endpoint(receiver, **self.changes, **changes)

    @pytest.fixture
    def destination(self, receiver: Endpoint) -> AudienceDestination:
        return self.opened(receiver)

    @pytest.fixture
    def held(self, receiver: Endpoint) -> Held:
        return receiver.held

    @pytest.fixture
    def secrets(self) -> Collection[str]:
        return [SECRET, SECRET.removeprefix("whsec_"), OLD_SECRET, BEARER, WRONG_TOKEN]

    @pytest.fixture
    def wrong(self, receiver: Endpoint) -> AudienceDestination:
        return self.opened(receiver, environ={"BEARER": WRONG_TOKEN})

    @pytest.fixture
    def unreachable(self, receiver: Endpoint) -> Iterator[AudienceDestination]:
        with socket.socket() as taken:  # bound, so that nobody else takes the port, but not listening
            taken.bind(("127.0.0.1", 0))
            yield self.opened(receiver, url=f"http://127.0.0.1:{taken.getsockname()[1]}/audiences")

    @pytest.fixture
    def untrusted(self, endpoint_with_tls: Endpoint, authority: Path) -> Untrusted:
        """Its authority is trusted, but it is valid for another name."""
        url = endpoint_with_tls.url.replace("localhost", "127.0.0.1")
        destination = self.opened(endpoint_with_tls, url=url, ca_file=str(authority))
        return Untrusted(destination, lambda: len(endpoint_with_tls.state()["requests"]))

    @pytest.fixture
    def faults(self, receiver: Endpoint) -> Faults:
        rejects: dict[str, str] = {}

        def reject(identity: Mapping[str, Value], reason: str) -> None:
            rejects[str(identity["id"])] = reason
            receiver.set(rejects=rejects)

        return Faults(
            reject=reject,
            refuse=lambda: receiver.fail(Fault("answer", status=422)),
            busy=lambda times, seconds: receiver.fail(Fault("answer", status=429, headers={"Retry-After": str(seconds)}, times=times)),
            fail=lambda status: receiver.fail(Fault("answer", status=status)),
            slow=lambda seconds: receiver.fail(Fault("slow", seconds=seconds)),
            cut=lambda applied: receiver.fail(Fault("drop", applied=applied)),
            stall=lambda applied: receiver.fail(Fault("hold", applied=applied)),
            forget=receiver.forget,
            expire=lambda: receiver.set(headers={"Authorization": "Bearer another"}),
        )


class TestHttpHarmless(HttpSuite):
    changes: ClassVar[dict[str, object]] = {"repeat": "harmless"}


class TestHttpByKey(HttpSuite):
    changes: ClassVar[dict[str, object]] = {"repeat": "by_key", "format": "json", "batch_rows": 10_000}
    by_key = True


class TestHttpOutcomes(HttpSuite):
    changes: ClassVar[dict[str, object]] = {"repeat": "unknown", "compression": "gzip", "batch_rows": 10}

    def opened(self, receiver: Endpoint, **changes: Any) -> AudienceDestination:
        return super().opened(receiver, outcome_url=receiver.outcome_url, **changes)


class TestHttpUnknown(HttpSuite):
    changes: ClassVar[dict[str, object]] = {"repeat": "unknown", "format": "json", "compression": "gzip"}
