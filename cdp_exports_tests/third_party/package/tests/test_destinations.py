"""Both do what every destination must."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from acme_destinations import REGISTER
from acme_destinations.archive import Archive
from acme_destinations.register import Register

from cdp_exports.destinations.audience import Value
from cdp_exports.destinations.destination import FileDestination
from cdp_exports.testing.audiences import AudienceDestinationSuite, Held
from cdp_exports.testing.destinations import FileDestinationSuite


class TestArchive(FileDestinationSuite):
    @pytest.fixture
    def destination(self, tmp_path: Path) -> FileDestination:
        return Archive(tmp_path / "archive.db")


class TestRegister(AudienceDestinationSuite):
    declared = REGISTER.capabilities

    def identity(self, number: int) -> dict[str, Value]:
        return {"email": f"member-{number}@example.com"}

    def values(self, number: int) -> dict[str, Value]:
        return {**self.identity(number), "name": f"Member {number}"}

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Register:
        return Register(tmp_path / "register.db")

    @pytest.fixture
    def held(self, tmp_path: Path) -> Held:
        def members(audience: str) -> Mapping[str, Mapping[str, Value]]:
            with closing(sqlite3.connect(tmp_path / "register.db")) as database:
                rows = database.execute("SELECT email, name FROM members WHERE audience = ?", (audience,))
                return {email: {"email": email, "name": name} for email, name in rows}

        return members
