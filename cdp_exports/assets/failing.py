"""An export that fails again and again is reported as failing. It is never switched off for that."""

from __future__ import annotations

from dagster import AssetExecutionContext

from cdp_exports.delivery.context import Context
from cdp_exports.delivery.outcome import Outcome

FAILURES = "cdp/failures_in_a_row"
"""The tag of a failed run: at how many export times in a row the worst of its members failed by now."""


def failures_in_a_row(dagster: AssetExecutionContext, context: Context, outcome: Outcome) -> int:
    """At how many export times in a row a member failed, this one included; 0 where it did not.

    The run is tagged with it; from `failing_after` on its log says so at level ERROR.
    """
    if outcome.status != "failed":
        return 0
    environment = context.catalog.environment
    times = context.ledger.failures_in_a_row(environment.name, [outcome.export]).get((outcome.export, outcome.member), 0)
    if times > int(dagster.run.tags.get(FAILURES, "0")):
        dagster.instance.add_run_tags(dagster.run.run_id, {FAILURES: str(times)})
    if times >= environment.failing_after:
        dagster.log.error(said(outcome.export, outcome.member, times))
    return times


def said(export: str, member: str, times: int) -> str:
    """What is said of it, here and by `cdp-exports list`."""
    often = f"{export}/{member} failed at {times} export times in a row."
    return f"{often} Its schedule stays as it is; once the cause is mended, the next delivery takes all rows along."
