"""What commands report, as JSON-ready dictionaries. Tables are drawn from the same, so both say the same.

Moments are ISO 8601 in UTC, export times `YYYYMMDDHHMM`, sizes in bytes. A key is always there; null means: not known, or none.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cdp_exports.cli.ending import error_document

if TYPE_CHECKING:
    from cdp_exports.delivery.limits import LimitState
    from cdp_exports.delivery.outcome import Outcome
    from cdp_exports.delivery.verifying import Verdict
    from cdp_exports.ledger.records import Attempt, Counts, Delivery, Pin, SkipRecord

Document = dict[str, Any]


def delivery_document(delivery: Delivery) -> Document:
    """One delivery as the ledger holds it. `state`: pinned, publishing, committed or covered."""
    return {
        "type": "delivery",
        "kind": delivery.kind,
        "export": delivery.export,
        "member": delivery.member,
        "export_time": str(delivery.export_time),
        "state": delivery.state.value,
        "delivery": delivery.id,
        "mode": delivery.pin.mode,
        "way": delivery.pin.way,
        "reason": delivery.pin.reason,
        "chain": delivery.chain,
        "sequence": delivery.sequence,
        "base_export_time": str(delivery.base_export_time),
        "previous_export_time": _text(delivery.previous_export_time),
        "versions": versions_document(delivery.pin),
        "rows": rows_document(delivery.counts),
        "funnel": funnel_document(delivery.counts),
        "movement": movement_document(delivery.counts),
        "rejections": rejections_document(delivery.counts),
        "batches": delivery.counts.batches if delivery.counts else None,
        "files": len(delivery.files),
        "bytes": delivery.bytes,
        "folder": address(delivery.pin.target, delivery.pin.folder),
        "covered_by": _text(delivery.covered_by),
        "run_id": delivery.run_id,
        "pinned_at": moment(delivery.pinned_at),
        "committed_at": moment(delivery.committed_at),
    }


def versions_document(pin: Pin) -> list[Document]:
    """The range of versions of each source; `after` is null for a full."""
    return [
        {"dataset": source.dataset, "after": source.after_version, "upto": source.upto_version, "change_source": source.change_source}
        for source in pin.sources
    ]


def rows_document(counts: Counts | None) -> Document | None:
    """received = total + left out + failed; total = inserted + updated + deleted."""
    if counts is None:
        return None
    return {
        "received": counts.received,
        "total": counts.delivered,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "deleted": counts.deleted,
        "left_out": counts.left_out,
        "failed": counts.failed,
    }


def funnel_document(counts: Counts | None) -> Document | None:
    """What becomes of a segment's members: rows = deliverable + left out; rows are members, or the contacts of accounts."""
    return None if counts is None or counts.funnel is None else counts.funnel.model_dump(mode="json")


def movement_document(counts: Counts | None) -> Document | None:
    """What changes for the receiver of a segment: before + entered - exited = held; `exits` by reason."""
    return None if counts is None or counts.movement is None else counts.movement.model_dump(mode="json")


def rejections_document(counts: Counts | None) -> Document | None:
    """Members whom an audience destination did not take, by its reasons; `again`: those it did not take the time before either."""
    if counts is None or counts.rejections is None:
        return None
    return {"reasons": counts.rejections.reasons, "again": counts.rejections.again}


def limit_document(limit: LimitState) -> Document:
    """A count beside its limit. `kind`: audience or delivery; `bound`: max or min; `state`: within, near or broken."""
    return {
        "kind": limit.kind,
        "bound": limit.bound,
        "count": limit.count,
        "limit": limit.limit,
        "percent": round(100 * limit.part, 1),
        "state": "broken" if limit.broken else "near" if limit.near else "within",
    }


def attempt_document(attempt: Attempt) -> Document:
    """One try. `status`: running, committed, failed, cancelled, superseded or abandoned."""
    return {
        "number": attempt.number,
        "status": attempt.status,
        "run_id": attempt.run_id,
        "started_at": moment(attempt.started_at),
        "ended_at": moment(attempt.ended_at),
        "error": None if attempt.error is None else {"code": attempt.error_code, "message": attempt.error, "next_step": attempt.next_step},
    }


def skip_document(record: SkipRecord, kind: str) -> Document:
    """An export time without a delivery. `state`: skipped, failed or waiting; `permanent`: trying again without a change cannot help."""
    return {
        "type": "skip",
        "kind": kind,
        "export": record.export,
        "member": record.member,
        "export_time": str(record.export_time),
        "state": record.outcome,
        "permanent": record.permanent,
        "reason": record.reason,
        "message": record.message,
        "next_step": record.next_step,
        "run_id": record.run_id,
        "at": moment(record.at),
    }


def outcome_document(outcome: Outcome) -> Document:
    """How one member ended. `sent` is false where it had been delivered before and nothing was sent now."""
    return {
        "member": outcome.member,
        "status": outcome.status,
        "sent": outcome.sent,
        "folder": outcome.uri,
        "delivery": delivery_document(outcome.delivery) if outcome.delivery else None,
        "limits": [limit_document(limit) for limit in outcome.limits],
        "error": error_document(outcome.error) if outcome.error else None,
        "warnings": list(outcome.warnings),
    }


def verdict_document(verdict: Verdict) -> Document:
    """What re-reading one delivery showed."""
    return {
        "member": verdict.delivery.member,
        "export_time": str(verdict.delivery.export_time),
        "intact": not verdict.differences,
        "folder": verdict.uri,
        "files": verdict.files,
        "bytes": verdict.bytes,
        "differences": list(verdict.differences),
        "notes": list(verdict.notes),
    }


def address(place: str, folder: str = "") -> str:
    """A folder of a destination as a person types it: a path on this machine, a URL elsewhere.

    >>> address("file:///var/out%20box", "orders"), address("s3://acme/cdp", "orders")
    ('/var/out box/orders', 's3://acme/cdp/orders')
    """
    whole = f"{place}/{folder}" if folder else place
    return unquote(whole.removeprefix("file://")) if whole.startswith("file://") else whole


def moment(at: datetime | None) -> str | None:
    """ISO 8601, to the second."""
    return at.isoformat(timespec="seconds") if at else None


def increment_said(delivery: Document) -> str:
    """Which rows a delivery holds, in a few words.

    >>> increment_said({"mode": "incremental", "versions": [{"after": 4, "upto": 5}]})
    'versions 4 → 5'
    >>> increment_said({"mode": "incremental", "versions": [{"after": 5, "upto": 5}]})
    'nothing new, version 5'
    >>> increment_said({"mode": "full", "versions": [{"after": None, "upto": 5}]})
    'full, version 5'
    >>> read = [{"dataset": "profiles", "after": 4, "upto": 5}, {"dataset": "orders", "after": 2, "upto": 2}]
    >>> increment_said({"mode": "incremental", "way": "compared", "versions": read})
    'compared, profiles 4 → 5, orders 2'
    """
    if way := delivery.get("way"):
        return f"{way}, {versions_said(delivery['versions'])}"
    if delivery["mode"] == "full":
        versions = delivery["versions"]
        return f"full, {versions_said(versions)}" if len(versions) > 1 else f"full, version {versions[0]['upto']}"
    if all(version["after"] == version["upto"] for version in delivery["versions"]):
        return f"nothing new, version {', '.join(str(version['upto']) for version in delivery['versions'])}"
    ranges = [f"{version['after']} → {version['upto']}" for version in delivery["versions"]]
    return f"versions {', '.join(ranges)}"


def versions_said(versions: list[Document]) -> str:
    """The versions that a segment was evaluated from, dataset by dataset. A list of members has none: it is known by its content.

    >>> versions_said([{"dataset": "profiles", "after": None, "upto": 5}])
    'profiles 5'
    """
    said = (
        f"{version['dataset']} {version['upto']}"
        if version["after"] in (None, version["upto"])
        else f"{version['dataset']} {version['after']} → {version['upto']}"
        for version in versions
    )
    return ", ".join(said)


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
