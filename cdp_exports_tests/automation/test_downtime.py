"""A daemon that was down for days, by Dagster's own scheduler with the clock moved: one delivery, and a history that tells why."""

from __future__ import annotations

from pathlib import Path

import deltalake
import pyarrow as pa
from sqlalchemy import text

from cdp_exports.assets.ledger import open_ledger
from cdp_exports.assets.run import run_in_process
from cdp_exports.catalog.load import load
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.records import Delivery, SkipRecord
from cdp_exports_tests.automation.test_clock import Clock, clock

__all__ = ["clock"]

MISSED = [f"202506{moment}00" for moment in ("1112", "1118", "1200", "1206", "1212", "1218", "1300")]


def test_one_delivery_covers_two_days(clock: Clock, tmp_path: Path) -> None:
    deltalake.write_deltalake(tmp_path / "data" / "orders", pa.table({"id": [1, 2]}))
    catalog = load(tmp_path / "catalog")
    ledger = open_ledger(catalog.environment, clock.instance)
    clock.run("2025-06-10T22:00", "2025-06-11T07:00")
    with ledger._database.write() as connection:  # the ledger's clock is not moved: its cadences began, by it, today
        connection.execute(text("UPDATE cdp_cadences SET since = '2025-06-01 00:00:00.000000'"))
    assert clock.times("counted") == ["06-11 00:00", "06-11 06:00"]
    run_in_process(catalog, clock.instance, "counted", export_time=ExportTime.parse("202506110600"))
    deltalake.write_deltalake(tmp_path / "data" / "orders", pa.table({"id": [3]}), mode="append")

    clock.run("2025-06-13T07:00", "2025-06-13T07:30")
    assert clock.times("counted") == ["06-11 00:00", "06-11 06:00", "06-13 06:00"], "the scheduler makes up for the last one"

    def skips() -> dict[str, str]:
        found = ledger.history("acme", "counted")
        return {str(entry.export_time): entry.reason for entry in found if isinstance(entry, SkipRecord)}

    assert skips() == dict.fromkeys(MISSED, "missed")
    clock.run("2025-06-13T11:30", "2025-06-13T12:00")
    assert skips() == dict.fromkeys(MISSED, "missed"), "nothing was missed since"
    run_in_process(catalog, clock.instance, "counted", export_time=ExportTime.parse("202506130600"))
    assert skips() == dict.fromkeys(MISSED, "covered_by")
    delivered = [entry for entry in ledger.history("acme", "counted") if isinstance(entry, Delivery)]
    assert [(str(one.export_time), one.counts and one.counts.delivered) for one in delivered] == [("202506130600", 1), ("202506110600", 2)]
    assert clock.partitions("counted") == ["202506110000", "202506110600", "202506130600", "202506131200"]
    manifests = {path.parent.name for path in (tmp_path / "outbox").rglob("_manifest")}
    assert manifests == {"202506110600", "202506130600"}
