"""Minted, typed and delivered export times."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import ClockSkew, DeclarationError
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import State
from cdp_exports_tests.ledger.building import ENVIRONMENT, EXPORT, delivery, minute


def test_minted_times_follow_each_other_from_the_current_minute(ledger: Ledger) -> None:
    before = ExportTime(ledger.now())
    minted = [ledger.mint(ENVIRONMENT, EXPORT) for _ in range(5)]
    assert before <= minted[0] <= ExportTime(ledger.now())
    assert minted == [minted[0], *(time.next() for time in minted[:-1])]
    assert ledger.newest_time(ENVIRONMENT, EXPORT) == minted[-1]


def test_exports_and_environments_count_for_themselves(ledger: Ledger) -> None:
    ahead = [ledger.mint(ENVIRONMENT, EXPORT) for _ in range(3)][-1]
    assert ledger.mint(ENVIRONMENT, "other") < ahead
    assert ledger.mint("other", EXPORT) < ahead
    assert ledger.newest_time("other", "other") is None


def test_a_renamed_export_goes_on_from_its_former_id(ledger: Ledger) -> None:
    ahead = [ledger.mint(ENVIRONMENT, EXPORT) for _ in range(3)][-1]
    assert ledger.newest_time(ENVIRONMENT, "renamed", EXPORT) == ahead
    assert ledger.mint(ENVIRONMENT, "renamed", EXPORT) == ahead.next()
    assert ledger.mint(ENVIRONMENT, "renamed", EXPORT) == ahead.next().next()


def test_ten_minutes_ahead_is_the_end(ledger: Ledger) -> None:
    now = ExportTime(ledger.now())
    ledger.adopt([delivery(ExportTime(now.at + timedelta(minutes=8)), state=State.COMMITTED)])
    assert ledger.mint(ENVIRONMENT, EXPORT) == ExportTime(now.at + timedelta(minutes=9))
    ledger.mint(ENVIRONMENT, EXPORT)
    ledger.adopt([delivery(ExportTime(now.at + timedelta(minutes=12)), state=State.COMMITTED)])
    with pytest.raises(ClockSkew, match="ahead of the ledger's clock"):
        ledger.mint(ENVIRONMENT, EXPORT)


def test_a_noted_time_is_never_minted(ledger: Ledger) -> None:
    now = ExportTime(ledger.now())
    ledger.note_time(ENVIRONMENT, EXPORT, now)
    ledger.note_time(ENVIRONMENT, EXPORT, now)
    assert ledger.mint(ENVIRONMENT, EXPORT) > now


def test_an_old_noted_time_moves_nothing(ledger: Ledger) -> None:
    minted = ledger.mint(ENVIRONMENT, EXPORT)
    ledger.note_time(ENVIRONMENT, EXPORT, minute(1))
    assert ledger.newest_time(ENVIRONMENT, EXPORT) == minted


def test_the_future_is_refused_unless_it_was_minted(ledger: Ledger) -> None:
    with pytest.raises(DeclarationError, match="in the future"):
        ledger.note_time(ENVIRONMENT, EXPORT, ExportTime(ledger.now()).next().next())
    minted = [ledger.mint(ENVIRONMENT, EXPORT) for _ in range(5)]
    ledger.note_time(ENVIRONMENT, EXPORT, minted[-1])


def test_adopted_times_count_however_far_ahead(ledger: Ledger) -> None:
    ahead = ExportTime(ledger.now() + timedelta(minutes=30))
    ledger.adopt([delivery(ahead, state=State.COMMITTED)])
    assert ledger.newest_time(ENVIRONMENT, EXPORT) == ahead
    with pytest.raises(ClockSkew):
        ledger.mint(ENVIRONMENT, EXPORT)
