"""Export times as Dagster partitions."""

from __future__ import annotations

from dagster import DynamicPartitionsDefinition

from cdp_exports.assets.keys import partitions_name


def export_times(environment: str, export_id: str) -> DynamicPartitionsDefinition:
    """The export times of an export; keys are `YYYYMMDDHHMM`, UTC.

    Dynamic, not a time window: history survives a change of the cadence, runs on demand have a key of their own, and a
    key names what was known at that minute rather than the window after it.
    """
    return DynamicPartitionsDefinition(name=partitions_name(environment, export_id))
