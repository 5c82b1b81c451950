"""LinkedIn does what every audience destination must."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import trustme

from cdp_exports.destinations.audience import Value
from cdp_exports.destinations.linkedin import LinkedInDestination
from cdp_exports.destinations.patience import Patience
from cdp_exports.entities.linkedin_capabilities import COMPANIES, CONTACTS
from cdp_exports.testing.audiences import AudienceDestinationSuite, Faults, Held, Untrusted
from cdp_exports_tests.destinations.opened_linkedin import hashed, open_ads
from cdp_exports_tests.servers.linkedin import LinkedIn, Trouble
from cdp_exports_tests.servers.linkedin_book import ACCESS, CLIENT, REFRESH, SECRET

IN_SECONDS = Patience(connect=2, request=2, retries=0, retry_for=10)


class LinkedInSuite(AudienceDestinationSuite):
    kind: ClassVar[str]
    word: ClassVar[str]
    """What the server calls an identity."""

    def opened(self, server: LinkedIn, **changes: Any) -> LinkedInDestination:
        return open_ads(server, self.kind, patience=IN_SECONDS, **changes)

    @pytest.fixture
    def destination(self, linkedin: LinkedIn) -> LinkedInDestination:
        return self.opened(linkedin)

    @pytest.fixture
    def held(self, linkedin: LinkedIn) -> Held:
        segment = "COMPANY" if self.kind == "companies" else "USER"
        return lambda audience: linkedin.book.values(audience, self.word, segment)

    @pytest.fixture
    def secrets(self) -> Collection[str]:
        return [ACCESS, CLIENT, SECRET, REFRESH]

    @pytest.fixture
    def faults(self, linkedin: LinkedIn) -> Faults:
        def reject(identity: Mapping[str, Value], reason: str) -> None:
            linkedin.book.rejects[str(next(iter(identity.values())))] = {"status": 400, "code": reason, "message": f"{reason} {identity}"}

        def next_batch(do: str, **how: Any) -> None:
            linkedin.troubles.append(Trouble(do, "/users" if self.kind == "contacts" else "/companies", **how))

        def expire() -> None:
            linkedin.book.expire_tokens()
            linkedin.book.refresh_days = 0

        return Faults(
            reject=reject,
            refuse=lambda: next_batch("answer", status=422),
            busy=lambda times, seconds: next_batch("answer", status=429, headers={"Retry-After": str(seconds)}, times=times),
            fail=lambda status: next_batch("answer", status=status),
            slow=lambda seconds: next_batch("slow", seconds=seconds),
            cut=lambda applied: next_batch("drop", applied=applied),
            stall=lambda applied: next_batch("hold", applied=applied),
            expire=expire,
        )

    @pytest.fixture
    def wrong(self, linkedin: LinkedIn) -> LinkedInDestination:
        linkedin.book.expire_tokens()
        return self.opened(linkedin, renewable=False)

    @pytest.fixture
    def unreachable(self, linkedin: LinkedIn) -> Iterator[LinkedInDestination]:
        with socket.socket() as taken:  # bound, so that nobody else takes the port, but not listening
            taken.bind(("127.0.0.1", 0))
            yield self.opened(linkedin, endpoint_url=f"http://127.0.0.1:{taken.getsockname()[1]}")

    @pytest.fixture
    def untrusted(
        self, authority_of_tests: trustme.CA, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Untrusted]:
        """Its authority is trusted, but it is valid for another name."""
        chain = tmp_path / "localhost.pem"
        authority_of_tests.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(chain))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        with LinkedIn(chain) as server:
            yield Untrusted(self.opened(server), lambda: len(server.seen))


class TestLinkedInContacts(LinkedInSuite):
    kind = "contacts"
    word = "SHA256_EMAIL"
    declared = CONTACTS

    def identity(self, number: int) -> dict[str, Value]:
        return {"email": hashed(f"member{number}@example.com")}

    def values(self, number: int) -> dict[str, Value]:
        return {**self.identity(number), "first_name": f"Ann {number}", "last_name": "Lee-Moreau", "title": None}


class TestLinkedInCompanies(LinkedInSuite):
    kind = "companies"
    word = "companyWebsiteDomain"
    declared = COMPANIES

    def identity(self, number: int) -> dict[str, Value]:
        return {"website": f"company{number}.example"}

    def values(self, number: int) -> dict[str, Value]:
        return {**self.identity(number), "company_name": f"Company {number}"}
