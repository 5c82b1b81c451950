"""How a step ends that met errors of ours: once more after a wait, or red with their sentences and nothing else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NoReturn

from dagster import AssetExecutionContext, Failure, RetryRequested

from cdp_exports.assets.events import error_metadata
from cdp_exports.errors import CdpExportsError, TransientError

MAX_RETRIES = 3
"""How often a step tries again when nothing but transient failures stood in its way."""

FIRST_WAIT_SECONDS = 5.0
"""The wait before the first retry; each later one is twice as long."""


def end_step(dagster: AssetExecutionContext, failed: Sequence[CdpExportsError]) -> NoReturn:
    """End the step that met these errors, at least one.

    Raises:
        Failure: trying again cannot help, or did not.
        RetryRequested: all of them may pass by themselves.
    """
    if not all(isinstance(error, TransientError) for error in failed) or dagster.retry_number >= MAX_RETRIES:
        raise Failure("\n".join(map(str, failed)), metadata=error_metadata(failed[0]), allow_retries=False) from None
    time.sleep(FIRST_WAIT_SECONDS * 2**dagster.retry_number)  # here, where an interrupt ends it; Dagster's own wait sits it out
    raise RetryRequested(MAX_RETRIES) from None
