"""External lists, kept as they were when a delivery was pinned: every attempt and every replay reads the same file.

A list is known by its content. It stands in the state folder as `lists/<sha256>`, once however often it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cdp_exports.delivery.scratch import scratch
from cdp_exports.delivery.staged import upload
from cdp_exports.errors import HistoryLost, TerminalError
from cdp_exports.ledger.records import SourcePin
from cdp_exports.sources.member_list import bytes_of, rows_of

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.entities.segment import MemberList

TABLE_ID = "list"


def pin_list(
    state: FileDestination,
    segment_id: str,
    declared: MemberList,
    types: Mapping[str, str],
    root: Path,
    environ: Mapping[str, str],
    *,
    keep: bool = True,
) -> SourcePin:
    """The list as it is now, copied to the state folder unless it is there; `keep` False: only looked at, for a plan.

    `types`: the columns to read with their types as DuckDB names them; a relative path counts from `root`.

    Raises:
        DeclarationError, SourceUnreadable, TransientError: the list cannot be read, or does not have these columns.
        DestinationRefused, TransientError: the state folder.
    """
    with scratch() as folder:
        file = Path(folder) / "list"
        digest = hashlib.sha256()
        with file.open("wb") as output:
            for chunk in bytes_of(declared, root, environ):
                _write(output, chunk)
                digest.update(chunk)
        rows_of(declared, file, types)
        if keep:
            _keep(state, file, _path(digest.hexdigest()))
    return SourcePin(
        dataset=segment_id,
        table_id=TABLE_ID,
        after_version=None,
        after_commit=None,
        upto_version=0,
        upto_commit=digest.hexdigest(),
        change_source=None,
    )


def read_list(state: FileDestination, pin: SourcePin, declared: MemberList, types: Mapping[str, str], folder: Path) -> pl.LazyFrame:
    """The rows of a list as it was pinned. It is downloaded to `folder`, which must stay while the frame is used.

    Raises:
        HistoryLost: `list_lost`: its copy is gone from the state folder, or is not what was pinned.
        DeclarationError, SourceUnreadable: it does not have these columns.
        DestinationRefused, TransientError: the state folder.
    """
    path = _path(pin.upto_commit)
    chunks = state.stream(path)
    file, digest = folder / f"list-{pin.upto_commit}", hashlib.sha256()
    with file.open("wb") as output:
        for chunk in chunks or ():
            _write(output, chunk)
            digest.update(chunk)
    if chunks is None or digest.hexdigest() != pin.upto_commit:
        raise HistoryLost(
            f"The list of the segment {pin.dataset} is no longer kept as this delivery pinned it: {state.uri(path)} is missing or damaged.",
            next_step="Put it back from a backup of the state folder, or run a new export time: it reads the list as it is then.",
            reason="list_lost",
        )
    return rows_of(declared, file, types)


def _write(output: BinaryIO, chunk: bytes) -> None:
    try:
        output.write(chunk)
    except OSError as error:
        raise TerminalError("The list does not fit into the temporary folder.", next_step="Free room in the temporary folder.") from error


def _path(sha256: str) -> str:
    return f"lists/{sha256}"


def _keep(state: FileDestination, file: Path, path: str) -> None:
    """A file's name is its content: one of the same size that is there is this one."""
    there = next(state.list("lists", after=path[:-1]), None)
    if there is not None and (there.path, there.size) == (path, file.stat().st_size):
        return
    upload(state, file, path)
