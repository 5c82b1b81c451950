"""What a receiver holds, kept in the state folder: written by every delivery of an incremental segment export, read by the next.

A file is written complete before the delivery that records it is committed, under a name of its attempt's own, and is
never written again: whatever stops a run, everything that the ledger knows of can be read.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.delivery.held_files import Part, compactions, held_of, part_of, path_of
from cdp_exports.entities.file_format import ParquetFormat
from cdp_exports.errors import HistoryLost, TerminalError
from cdp_exports.formats.write import write as write_files
from cdp_exports.ledger.records import Held

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.formats.writing import ByteStream
    from cdp_exports.ledger.records import Link, SourcePin

SEQUENCE = "sequence"
_AT_ONCE = 8


def write(
    state: FileDestination, delivery: Link, attempt_id: str, frame: pl.LazyFrame, *, whole: bool, guards: Sequence[SourcePin] = ()
) -> Held:
    """Stream the state of a delivery (columns as in `evaluation.inputs`) into one file; without rows it still has the columns.

    Raises:
        CannotHold: Parquet cannot hold a column.
        DestinationRefused, TransientError: the state folder.
        Exception: what reading the frame raised, as it was raised.
    """
    path = path_of(delivery, attempt_id, whole=whole)
    writer = state.open(path)
    try:
        rows, sha256 = write_into(writer, frame)
        writer.close()
    except BaseException:
        writer.abort()
        raise
    return Held(file=path, whole=whole, rows=rows, sha256=sha256, guards=tuple(guards))


def write_into(stream: ByteStream, frame: pl.LazyFrame) -> tuple[int, str]:
    """One Parquet file, also where there are no rows. Returns their number and the SHA-256 of what was written."""
    if written := write_files(frame, ParquetFormat(), lambda _: stream, lambda _: None):
        return written[0].rows, written[0].sha256
    empty = io.BytesIO()
    frame.collect_schema().to_frame().write_parquet(empty)
    stream.write(empty.getvalue())
    return 0, hashlib.sha256(empty.getvalue()).hexdigest()


def read(state: FileDestination, chain: Sequence[Link], folder: Path) -> pl.LazyFrame:
    """The state after the last of `chain`: the committed deliveries of one chain, oldest first.

    Files are downloaded to `folder`, which must stay while the frame is used, from the newest back to the nearest that
    holds everything. `sequence` says which delivery a row is of: of a key the newest row counts.

    Raises:
        HistoryLost: `state_lost`: a file that is needed is missing, or is not what was written.
        TerminalError: the folder's disk is full.
        DestinationRefused, TransientError: the state folder.
    """
    import polars as pl

    files = _downloaded(state, chain, folder)
    frames = [pl.scan_parquet(file).with_columns(pl.lit(part.sequence, pl.Int64).alias(SEQUENCE)) for part, file in files]
    return pl.concat(frames, how="vertical_relaxed")  # a key's type may have been widened


def refuse_if_lost(state: FileDestination, chain: Sequence[Link]) -> None:
    """Look whether the files that `read` would need are there, without reading them.

    Raises:
        HistoryLost: `state_lost`.
        DestinationRefused, TransientError: the state folder.
    """
    needed = parts(chain, compactions(state, chain))
    there = {found.path for folder in {part.path.rpartition("/")[0] for part in needed} for found in state.list(folder)}
    for part in needed:
        if part.path not in there:
            raise _lost(chain[-1], f"{state.uri(part.path)} is missing")


def _downloaded(state: FileDestination, chain: Sequence[Link], folder: Path) -> list[tuple[Part, Path]]:
    """A compaction only saves reading: one that is not what it was is passed over."""
    compacted = compactions(state, chain)
    while True:
        needed = parts(chain, compacted)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            files = list(pool.map(partial(_download, state, folder), needed))
        lost = next((part for part, file in zip(needed, files, strict=True) if file is None), None)
        if lost is None:
            return [(part, file) for part, file in zip(needed, files, strict=True) if file is not None]
        if compacted.get(lost.sequence) != lost:
            raise _lost(chain[-1], f"{state.uri(lost.path)} is missing, or is not what was written")
        del compacted[lost.sequence]


def parts(chain: Sequence[Link], compacted: dict[int, Part]) -> list[Part]:
    """The files that make up the state after the last of `chain`, the one that holds everything first.

    Raises:
        HistoryLost: `state_lost`: a delivery recorded no state.
    """
    found: list[Part] = []
    for delivery in reversed(chain):
        if delivery.sequence in compacted:
            return [compacted[delivery.sequence], *reversed(found)]
        held = held_of(delivery)
        if held is None:
            break
        found.append(part_of(delivery.sequence, held))
        if held.whole:
            return found[::-1]
    raise _lost(chain[-1], "a delivery of this chain recorded none")


def _download(state: FileDestination, folder: Path, part: Part) -> Path | None:
    """The file on this machine's disk; None where it is missing or is not the one that was recorded."""
    chunks = state.stream(part.path)
    if chunks is None:
        return None
    file, digest = folder / part.path.rpartition("/")[2], hashlib.sha256()
    unchecked = file.with_suffix(".partial")
    try:
        with unchecked.open("wb") as output:
            for chunk in chunks:
                output.write(chunk)
                digest.update(chunk)
    except OSError as error:
        raise TerminalError(
            "What the receiver holds does not fit into the temporary folder.", next_step="Free room in the temporary folder."
        ) from error
    return unchecked.replace(file) if digest.hexdigest() == part.sha256 else None


def _lost(delivery: Link, why: str) -> HistoryLost:
    return HistoryLost(
        f"What the receiver held after {delivery.export_time} is lost: {why}.",
        next_step="Put it back from a backup of the state folder, or deliver everybody once: `--full`.",
        reason="state_lost",
    )
