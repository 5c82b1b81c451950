"""How an outcome reads in Dagster: materializations, check results, observations, and numbers that plot by partition.

Where a monitor finds its numbers: in the metadata of materializations, each family under keys of its own.

| of | keys |
|---|---|
| every delivery | `dagster/partition_row_count`, `cdp/attempts`, `cdp/sent`, `cdp/limit_*`; where files are sent `cdp/files`, `cdp/bytes` |
| dataset exports | `cdp/rows_inserted`, `cdp/rows_updated`, `cdp/rows_deleted`, `cdp/rows_left_out` |
| profile exports | `cdp/members`, `cdp/rows_of_members`, `cdp/left_out_*`, `cdp/deliverable` |
| and, of what changes for the receiver | `cdp/entered`, `cdp/updated`, `cdp/exited`, `cdp/exited_*`, `cdp/held_before`, `cdp/held` |
| and, of what an audience destination answered | `cdp/batches`, `cdp/rejected`, `cdp/rejected_*` |
| segments | `cdp/members` |

Assets and runs carry the tag `cdp/family` (`dataset` or `profile`); nothing here is of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dagster import AssetCheckResult, AssetCheckSeverity, AssetKey, AssetObservation, MaterializeResult, MetadataValue

from cdp_exports.delivery import manifest
from cdp_exports.delivery.member import is_to_audience
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.errors import CdpExportsError
from cdp_exports.ledger.records import Delivery, Pin

DELIVERED = "delivered"
"""The check of every member."""

DELIVERED_MEANS = (
    "How the newest run ended: passed when it delivered, a warning when it skipped or the receiver did not take all members, an error "
    "when it failed."
)

Metadata = dict[str, str | int | float | bool | MetadataValue[Any]]

Describe = Callable[[Delivery], Mapping[str, str | int | MetadataValue[Any]]]
"""What a family of exports says of a committed delivery, beside what all say."""


def materialization(
    key: AssetKey, outcome: Outcome, delivery: Delivery, describe: Describe, *, run_id: str, attempts: int
) -> MaterializeResult[Any]:
    """The event of a committed delivery. `attempts`: how many tries it took, over all runs."""
    metadata = delivery_metadata(delivery, outcome.uri, describe)
    metadata["cdp/attempts"] = attempts
    metadata["cdp/sent"] = outcome.sent or delivery.run_id == run_id
    metadata |= _limits(outcome)
    if outcome.warnings:
        metadata["cdp/warnings"] = "\n".join(outcome.warnings)
    return MaterializeResult(asset_key=key, metadata=metadata)


def delivery_metadata(delivery: Delivery, uri: str | None, describe: Describe) -> Metadata:
    """What a committed delivery says of itself. Sizes in bytes; versions where it has one source."""
    # In this order: a run's page shows the first few lines only.
    pin, counts = delivery.pin, delivery.counts
    source = pin.sources[0] if len(pin.sources) == 1 else None
    metadata: dict[str, str | int | MetadataValue[Any] | None] = {
        "dagster/partition_row_count": counts and counts.delivered,
        "cdp/files": None if is_to_audience(pin) else len(delivery.files),
        "cdp/bytes": None if is_to_audience(pin) else delivery.bytes,
        "cdp/version_from": source and source.after_version,
        "cdp/version_to": source and source.upto_version,
        "cdp/change_source": source and source.change_source,
        "cdp/mode": pin.mode,
        "cdp/reason": pin.reason,
        **describe(delivery),
        "dagster/uri": uri,
        "cdp/manifest": _manifest(pin, uri) if uri and not is_to_audience(pin) else None,
        "cdp/encrypted_to": ", ".join(pin.recipients) or None,
        "cdp/previous_export_time": str(delivery.previous_export_time) if delivery.previous_export_time else None,
        "cdp/base_export_time": str(delivery.base_export_time),
        "cdp/sequence": delivery.sequence,
        "cdp/chain": delivery.chain,
        "cdp/delivery": delivery.id,
        "cdp/environment": delivery.environment,
    }
    return {name: value for name, value in metadata.items() if value is not None}


def _manifest(pin: Pin, uri: str) -> str:
    return manifest.path_in(uri) if pin.manifest is None else f"{uri.removesuffix(pin.folder)}{pin.manifest}"


def check_result(key: AssetKey, outcome: Outcome, failures: int = 0) -> AssetCheckResult:
    """The result of `delivered`; reason, next step, how near the limits are, and at how many export times in a row it failed by
    now stand in its metadata."""
    rejected = outcome.delivery is not None and outcome.delivery.counts is not None and outcome.delivery.counts.failed > 0
    warned = outcome.status == "skipped" or rejected
    sentences = (*([str(outcome.error)] if outcome.error else []), *outcome.warnings)
    return AssetCheckResult(
        asset_key=key,
        check_name=DELIVERED,
        passed=outcome.status == "committed" and not rejected,
        severity=AssetCheckSeverity.WARN if warned else AssetCheckSeverity.ERROR,
        description="\n".join(sentences) or None,
        metadata={
            "cdp/outcome": outcome.status,
            "cdp/export_time": str(outcome.export_time),
            **error_metadata(outcome.error),
            **({"cdp/permanent": outcome.error.permanent} if outcome.error and outcome.status != "skipped" else {}),
            **({"cdp/failures_in_a_row": failures} if failures else {}),
            **_limits(outcome),
        },
    )


def observation(key: AssetKey, outcome: Outcome) -> AssetObservation:
    """A skip, on the partition that stays missing."""
    return AssetObservation(
        key,
        partition=str(outcome.export_time),
        description=str(outcome.error) if outcome.error else None,
        metadata={"cdp/outcome": outcome.status, **error_metadata(outcome.error), **_limits(outcome)},
    )


def nothing_to_deliver(key: AssetKey, outcome: Outcome) -> MaterializeResult[Any]:
    """Of a backfill: the export time needs no delivery of its own. Without an event of it Dagster calls the backfill failed."""
    return MaterializeResult(asset_key=key, metadata={"cdp/outcome": outcome.status, **error_metadata(outcome.error)})


def _limits(outcome: Outcome) -> Metadata:
    """How near it came to each limit."""
    metadata: Metadata = {}
    for state in outcome.limits:
        name = f"cdp/limit_{state.kind}_{state.bound}"
        metadata |= {name: state.limit, f"{name}_count": state.count, f"{name}_percent": round(state.part * 100, 1)}
    return metadata


def error_metadata(error: CdpExportsError | None) -> Mapping[str, str]:
    """What happened and what to do next."""
    if error is None:
        return {}
    reason = getattr(error, "reason", None) or error.code
    return {"cdp/reason": reason, "cdp/message": error.message, "cdp/next_step": error.next_step}
