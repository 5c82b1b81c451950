"""How a command ends: its exit status, and what is said when something is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import click

from cdp_exports.errors import CdpExportsError, DeclarationError, HistoryLost, Skip

DONE, FAILED, WRONG, SKIPPED, INTERRUPTED = 0, 1, 2, 3, 130

_WORST_FIRST = (FAILED, WRONG, SKIPPED)


def status_of(error: CdpExportsError) -> int:
    """The exit status of one failure.

    >>> status_of(DeclarationError("There is no export 'x'."))
    2
    """
    return WRONG if isinstance(error, DeclarationError) else SKIPPED if isinstance(error, Skip) else FAILED


def worst(statuses: Iterable[int]) -> int:
    """The exit status of several members.

    >>> worst([0, 3, 1]), worst([0, 3]), worst([])
    (1, 3, 0)
    """
    found = set(statuses)
    return next((status for status in _WORST_FIRST if status in found), DONE)


def error_document(error: CdpExportsError) -> dict[str, Any]:
    """A failure as JSON: `code` says which kind, `reason` which case of it (`vacuumed`, `covered_by`, ...), `permanent` that trying
    again without a change cannot help."""
    reason = error.reason if isinstance(error, Skip | HistoryLost) else None
    return {"code": error.code, "reason": reason, "permanent": error.permanent, "message": error.message, "next_step": error.next_step}


def explain(error: CdpExportsError, *, as_json: bool) -> int:
    """Say what happened and what to do next on stderr, and on stdout where JSON was asked for. Returns the exit status."""
    if as_json:
        whose = {"export": error.export, "member": error.member, "export_time": error.export_time}
        click.echo(json.dumps({"error": {**error_document(error), **whose}}, indent=2, ensure_ascii=False))
    click.echo(_said(error), err=True)
    return status_of(error)


def explain_fault(error: Exception) -> int:
    """A fault of this package: one sentence, or everything for whoever looks for the cause."""
    if os.environ.get("CDP_EXPORTS_DEBUG"):
        raise error
    click.echo(f"cdp-exports failed unexpectedly ({type(error).__name__}).\nRun it with CDP_EXPORTS_DEBUG=1 for the traceback.", err=True)
    return FAILED


def _said(error: CdpExportsError) -> str:
    subject = "/".join(part for part in (error.export, error.member) if part)
    at = f" at {error.export_time}" if error.export_time else ""
    first = f"{subject}{at}: {error.message}" if subject else error.message
    return f"{first}\n{error.next_step}" if error.next_step else first
