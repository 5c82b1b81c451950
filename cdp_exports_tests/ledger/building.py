"""Records to put into a ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Attempt, Counts, Delivery, FileRecord, Lease, Pin, SourcePin, State

ENVIRONMENT, EXPORT, MEMBER = "acme", "commerce_to_lake", "orders"
OF_EXPORT, OF_MEMBER = (EXPORT,), (MEMBER,)
COUNTS = Counts(received=3, delivered=2, left_out={"no_consent": 1}, inserted=2)

PIN = Pin(
    mode="incremental",
    changes="added",
    sources=(
        SourcePin(
            dataset="orders", table_id="t", after_version=4, after_commit="c4", upto_version=5, upto_commit="c5", change_source="delta-cdf"
        ),
    ),
    key=("order_id",),
    connection_id="lake",
    connection={"type": "local", "folder": "out"},
    target="file:///out",
    owner_folder="orders",
    folder="orders/exportTime=202612010200",
    file_name="part-{index}-{delivery}-{attempt}",
    format={"type": "parquet", "compression": "zstd"},
    columns=({"type": "int64", "name": "order_id", "nullable": False},),
    mapping=({"from": "b", "to": "a"},),
    definition={"z": 1, "a": {"y": None, "b": [1, "é"]}},
)


def minute(number: int) -> ExportTime:
    """The n-th minute of a day long past."""
    return ExportTime.parse(f"20240101{number // 60:02}{number % 60:02}")


def delivery(
    export_time: ExportTime, *, environment: str = ENVIRONMENT, export: str = EXPORT, member: str = MEMBER, state: State = State.PINNED
) -> Delivery:
    return Delivery(
        id=str(uuid4()),
        environment=environment,
        kind="dataset",
        export=export,
        member=member,
        export_time=export_time,
        chain="chain-1",
        sequence=2,
        base_export_time=minute(0),
        previous_export_time=minute(1),
        state=state,
        pin=PIN,
        run_id="run-1",
        pinned_at=datetime(2026, 12, 1, 2, 0, 0, 123456, tzinfo=UTC),
    )


def file(path: str, rows: int = 2) -> FileRecord:
    return FileRecord(path=path, rows=rows, bytes=rows * 10, sha256="f" * 64, verified_by="reread")


def lease(ledger: Ledger, *, run_id: str = "run-1", environment: str = ENVIRONMENT, export: str = EXPORT, seconds: float = 600) -> Lease:
    """The lease, whoever holds it."""
    held = ledger.holder(environment, export)
    if held is not None:
        expire(ledger, held)
    taken = ledger.acquire(environment, export, run_id=run_id, export_time=minute(1), seconds=seconds)
    assert taken is not None
    return taken


def expire(ledger: Ledger, held: Lease) -> None:
    """As if time had passed."""
    assert ledger.renew(held, seconds=-1)


def deliver(ledger: Ledger, held: Lease, made: Delivery, *paths: str) -> tuple[Delivery, Attempt]:
    """Pin, write, publish and commit."""
    ledger.pin(held, made)
    attempt = ledger.start_attempt(held, made.id, held.run_id)
    write(ledger, held, attempt, *paths)
    ledger.publishing(held, attempt.id, COUNTS)
    return ledger.commit(made.id, attempt.id, counts=COUNTS, files=map(file, paths), run_id=held.run_id), attempt


def write(ledger: Ledger, held: Lease, attempt: Attempt, *paths: str) -> None:
    for path in paths:
        ledger.begin_file(held, attempt.id, path)
        ledger.end_file(attempt.id, file(path))


def left(ledger: Ledger) -> dict[str, list[str]]:
    """Attempt id → paths left behind."""
    return {
        attempt.id: [file.path for file in attempt.files]
        for _, attempts in ledger.leftovers(ENVIRONMENT, OF_EXPORT, OF_MEMBER)
        for attempt in attempts
    }
