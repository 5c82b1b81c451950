"""Deliveries that end as a test says, in place of the protocol: for what Dagster is told of endings that are hard to bring about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cdp_exports.delivery.context import Context
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError, Skip
from cdp_exports.ledger.records import Counts, Delivery, FileRecord, Pin, SkipRecord, SourcePin, State


@dataclass
class Scripted:
    """Stands in for `deliver`. `endings`: by member, what each call ends with, the last one for ever; absent: committed.
    `recorded`: failures are written to the ledger."""

    endings: dict[str, list[CdpExportsError | None]] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    meanwhile: Callable[[], None] | None = None
    recorded: bool = False

    def __call__(
        self,
        context: Context,
        export_id: str,
        export_time: ExportTime,
        *,
        run_id: str,
        members: Sequence[str],
        full: bool,
        known_elsewhere: Mapping[str, ExportTime],
    ) -> Iterator[Outcome]:
        known = {member: str(time) for member, time in known_elsewhere.items()}
        self.calls.append({"time": str(export_time), "members": list(members), "full": full, "known": known})
        context.ledger.note_time("acme", export_id, export_time)
        for member in members:
            endings = self.endings.get(member, [None])
            ending = endings.pop(0) if len(endings) > 1 else endings[0]
            context.progress(member, "writing", 3, 3)
            if self.meanwhile is not None:
                self.meanwhile()
            if ending is None:
                delivery = delivered(export_id, member, export_time, run_id)
                uri = f"file:///outbox/{member}/{export_time}"
                yield Outcome(export_id, member, export_time, "committed", delivery=delivery, sent=True, uri=uri)
            else:
                status = "skipped" if isinstance(ending, Skip) else "failed"
                if self.recorded:
                    context.ledger.skip(_record(context, export_id, member, export_time, run_id, ending))
                yield Outcome(export_id, member, export_time, status, error=ending.of(export=export_id, member=member))


def _record(context: Context, export: str, member: str, export_time: ExportTime, run_id: str, error: CdpExportsError) -> SkipRecord:
    return SkipRecord(
        environment=context.catalog.environment.name,
        export=export,
        member=member,
        export_time=export_time,
        outcome="failed",
        reason=error.code,
        message=error.message,
        next_step=error.next_step,
        run_id=run_id,
        at=context.ledger.now(),
    )


def delivered(export: str, member: str, export_time: ExportTime, run_id: str) -> Delivery:
    """The record of an increment of three rows."""
    source = SourcePin(
        dataset=member, table_id="t", after_version=4, after_commit="a", upto_version=5, upto_commit="b", change_source="delta-cdf"
    )
    pin = Pin(
        mode="incremental",
        changes="added",
        sources=(source,),
        key=("order_id",),
        connection_id="outbox",
        connection={"type": "local"},
        target="file:///outbox",
        owner_folder=member,
        folder=f"{member}/exportTime={export_time}",
        file_name="part",
        format={},
        columns=(),
        definition={},
    )
    return Delivery(
        id=f"{member}-{export_time}",
        environment="acme",
        kind="dataset",
        export=export,
        member=member,
        export_time=export_time,
        chain="chain",
        sequence=2,
        base_export_time=export_time,
        previous_export_time=None,
        state=State.COMMITTED,
        pin=pin,
        attempt_id="attempt",
        counts=Counts(received=3, delivered=3, inserted=3),
        bytes=99,
        files=(FileRecord(path="part.parquet", rows=3, bytes=99, sha256="f", verified_by="reread"),),
        run_id=run_id,
        pinned_at=datetime(2026, 1, 1, tzinfo=UTC),
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
