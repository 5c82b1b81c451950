"""What happened, newest first."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger import files
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import SkipRecord, State
from cdp_exports_tests.ledger.building import ENVIRONMENT, EXPORT, OF_EXPORT, OF_MEMBER, deliver, delivery, lease, minute


def skipped(export_time: ExportTime, *, export: str = EXPORT, second: int = 0) -> SkipRecord:
    return SkipRecord(
        environment=ENVIRONMENT,
        export=export,
        member="orders",
        export_time=export_time,
        reason="covered_by",
        message="Its rows went with a later one.",
        next_step="Nothing to do.",
        run_id="run-1",
        at=datetime(2027, 1, 1, 0, 0, second, tzinfo=UTC),
    )


def test_deliveries_and_skips_by_export_time(ledger: Ledger) -> None:
    held = lease(ledger)
    second, _ = deliver(ledger, held, delivery(minute(2)), "a")
    fourth, _ = deliver(ledger, held, delivery(minute(4)))
    ledger.pin(held, sixth := delivery(minute(6)))
    skips = [skipped(minute(4), second=1), skipped(minute(4)), skipped(minute(1))]
    for record in reversed(skips):
        ledger.skip(record)
    expected = [sixth, skips[0], skips[1], fourth, second, skips[2]]
    assert ledger.history(ENVIRONMENT, EXPORT) == expected
    assert ledger.history(ENVIRONMENT) == expected
    assert ledger.history(ENVIRONMENT, EXPORT, limit=3) == expected[:3]


def test_one_export_or_all_of_one_environment(ledger: Ledger) -> None:
    ledger.skip(mine := skipped(minute(1)))
    ledger.skip(other := skipped(minute(2), export="other"))
    ledger.adopt([delivery(minute(3), environment="elsewhere", state=State.COMMITTED)])
    assert ledger.history(ENVIRONMENT) == [other, mine]
    assert ledger.history(ENVIRONMENT, "other") == [other]
    assert len(ledger.history("elsewhere")) == 1


def test_more_deliveries_than_one_statement_names(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BATCH", 3)
    held = lease(ledger)
    made = [deliver(ledger, held, delivery(minute(number)), f"{number}")[0] for number in range(8)]
    assert ledger.history(ENVIRONMENT, limit=7) == made[:0:-1]
    assert ledger.committed(ENVIRONMENT, OF_EXPORT, OF_MEMBER) == made


def test_the_last_attempt_of_every_member(ledger: Ledger) -> None:
    held = lease(ledger)
    deliver(ledger, held, delivery(minute(2)), "a")
    ledger.pin(held, pinned := delivery(minute(4)))
    failed = ledger.start_attempt(held, pinned.id, "run-2")
    ledger.end_attempt(failed.id, "failed", error_code="occupied", error="It is.", next_step="Ask.")
    _, other = deliver(ledger, held, delivery(minute(2), member="customers"))
    ledger.adopt([delivery(minute(2), environment="elsewhere", state=State.COMMITTED)])
    last = ledger.last_attempts(ENVIRONMENT)
    assert {key: (attempt.id, attempt.status, attempt.error_code) for key, attempt in last.items()} == {
        (EXPORT, "orders"): (failed.id, "failed", "occupied"),
        (EXPORT, "customers"): (other.id, "committed", None),
    }
