"""How an outcome reads in Dagster: materializations, check results, observations, and numbers that plot by partition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import AssetCheckResult, AssetCheckSeverity, AssetKey, AssetObservation, MaterializeResult

from cdp_exports.delivery import manifest
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.errors import CdpExportsError
from cdp_exports.ledger.records import Delivery

DELIVERED = "delivered"
"""The check of every member: passed when committed, a warning when skipped, an error when failed."""

Metadata = dict[str, str | int | bool]


def materialization(key: AssetKey, outcome: Outcome, delivery: Delivery, *, run_id: str, attempts: int) -> MaterializeResult[Any]:
    """The event of a committed delivery. `attempts`: how many tries it took, over all runs."""
    metadata = delivery_metadata(delivery, outcome.uri)
    metadata["cdp/attempts"] = attempts
    metadata["cdp/sent"] = outcome.sent or delivery.run_id == run_id
    if outcome.warnings:
        metadata["cdp/warnings"] = "\n".join(outcome.warnings)
    return MaterializeResult(asset_key=key, metadata=metadata)


def delivery_metadata(delivery: Delivery, uri: str | None) -> Metadata:
    """What a committed delivery says of itself. Sizes in bytes; versions where it has one source."""
    pin = delivery.pin
    metadata: dict[str, str | int | bool | None] = {
        "dagster/uri": uri,
        "cdp/manifest": f"{uri}/{manifest.NAME}" if uri else None,
        "cdp/environment": delivery.environment,
        "cdp/delivery": delivery.id,
        "cdp/mode": pin.mode,
        "cdp/reason": pin.reason,
        "cdp/chain": delivery.chain,
        "cdp/sequence": delivery.sequence,
        "cdp/base_export_time": str(delivery.base_export_time),
        "cdp/previous_export_time": str(delivery.previous_export_time) if delivery.previous_export_time else None,
        "cdp/files": len(delivery.files),
        "cdp/bytes": delivery.bytes,
    }
    if delivery.counts is not None:
        metadata |= {
            "dagster/partition_row_count": delivery.counts.delivered,
            "cdp/rows_inserted": delivery.counts.inserted,
            "cdp/rows_updated": delivery.counts.updated,
            "cdp/rows_deleted": delivery.counts.deleted,
            "cdp/rows_left_out": sum(delivery.counts.left_out.values()),
        }
    if len(pin.sources) == 1:
        source = pin.sources[0]
        metadata |= {
            "cdp/version_from": source.after_version,
            "cdp/version_to": source.upto_version,
            "cdp/change_source": source.change_source,
        }
    return {name: value for name, value in metadata.items() if value is not None}


def check_result(key: AssetKey, outcome: Outcome) -> AssetCheckResult:
    """The result of `delivered`; reason and next step stand in its metadata."""
    skipped = outcome.status == "skipped"
    return AssetCheckResult(
        asset_key=key,
        check_name=DELIVERED,
        passed=outcome.status == "committed",
        severity=AssetCheckSeverity.WARN if skipped else AssetCheckSeverity.ERROR,
        description=str(outcome.error) if outcome.error else None,
        metadata={"cdp/outcome": outcome.status, "cdp/export_time": str(outcome.export_time), **error_metadata(outcome.error)},
    )


def observation(key: AssetKey, outcome: Outcome) -> AssetObservation:
    """A skip, on the partition that stays missing."""
    return AssetObservation(
        key,
        partition=str(outcome.export_time),
        description=str(outcome.error) if outcome.error else None,
        metadata={"cdp/outcome": outcome.status, **error_metadata(outcome.error)},
    )


def error_metadata(error: CdpExportsError | None) -> Mapping[str, str]:
    """What happened and what to do next."""
    if error is None:
        return {}
    reason = getattr(error, "reason", None) or error.code
    return {"cdp/reason": reason, "cdp/message": error.message, "cdp/next_step": error.next_step}
