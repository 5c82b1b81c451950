"""How a step ends that met errors of ours: once more after a wait, or red with their sentences and nothing else.

What may pass is tried four times in one run, and then by another run, as often as `run_retries` in dagster.yaml says: a run
tells Dagster by a tag whether that is of use. The waits grow from try to try and from run to run, each by chance a little
shorter or longer, so that runs that failed together do not come back together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import NoReturn

from dagster import AssetExecutionContext, Failure, RetryRequested

from cdp_exports.assets.events import error_metadata
from cdp_exports.errors import CdpExportsError

MAX_RETRIES = 3
"""How often a step tries again when nothing but transient failures stood in its way."""

FIRST_WAIT_SECONDS = 5.0
"""The wait before the first retry; each later one is twice as long."""

LONGEST_WAIT_SECONDS = 60.0
"""The waits grow no further: a run that waits holds its place among those that run."""

PERMANENT = "failed (permanent)"
"""How a failure is called that trying again without a change cannot help."""

_RUN_RETRY = "dagster/retry_number"  # of a run that Dagster started because one before it failed
_RETRY_THIS_RUN = "dagster/retry_on_asset_or_op_failure"  # goes before `run_retries` in dagster.yaml


def end_step(dagster: AssetExecutionContext, failed: Sequence[CdpExportsError]) -> NoReturn:
    """End the step that met these errors, at least one.

    Raises:
        Failure: trying again cannot help, or did not in this run.
        RetryRequested: all of them may pass by themselves.
    """
    tries, sentences = dagster.retry_number, "\n".join(map(str, failed))
    permanent = [error for error in failed if error.permanent]
    if not permanent and tries < MAX_RETRIES:
        seconds = wait_seconds(tries, int(dagster.run.tags.get(_RUN_RETRY, "0")))
        dagster.log.warning("Try %d of %d failed; the next in %.0f s. %s", tries + 1, MAX_RETRIES + 1, seconds, sentences)
        time.sleep(seconds)  # here, where an interrupt ends it; Dagster's own wait sits it out
        raise RetryRequested(MAX_RETRIES) from None
    dagster.instance.add_run_tags(dagster.run.run_id, {_RETRY_THIS_RUN: "false" if permanent else "true"})
    said = f"{PERMANENT}: {sentences}" if permanent else f"failed after {tries + 1} tries: {sentences}"
    metadata = {**error_metadata((permanent or failed)[0]), "cdp/permanent": bool(permanent), "cdp/tries": tries + 1}
    raise Failure(said, metadata=metadata, allow_retries=False) from None


def wait_seconds(tries: int, earlier_runs: int) -> float:
    """How long to wait after so many retries of the step, and so many runs before this one.

    >>> all(0.5 <= wait_seconds(tries, 0) / (FIRST_WAIT_SECONDS * 2**tries) <= 1.5 for tries in range(MAX_RETRIES))
    True
    """
    doubled = tries + MAX_RETRIES * earlier_runs
    return min(FIRST_WAIT_SECONDS * 2**doubled, LONGEST_WAIT_SECONDS) * random.uniform(0.5, 1.5)  # noqa: S311  no secret
