"""Keeping the state folder small: changes are folded into one file, and what nothing needs is removed.

Neither ever fails a delivery that is done: what could not be done now is done after the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.delivery.held import SEQUENCE, parts, read, write_into
from cdp_exports.delivery.held_files import Stored, compacted_path, compactions, folders_of, held_of, listed, stems_of
from cdp_exports.delivery.staged import upload
from cdp_exports.errors import CdpExportsError
from cdp_exports.evaluation.inputs import KEY
from cdp_exports.formats.parquet import frame_of
from cdp_exports.increments.buckets import in_buckets, measured

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.ledger.records import Link

MOST_CHANGES = 50
"""Files of changes after the last one that holds everything: however small they are, each is a request of its own."""


def compact(state: FileDestination, chain: Sequence[Link], folder: Path, *, memory_limit: int) -> str | None:
    """Write the state after the last of `chain` as one file, where the changes outweigh the last one that holds everything.

    `chain`: the committed deliveries of one chain, oldest first; `folder`: for temporary files; `memory_limit`: in bytes,
    about. Returns the path, None where there was nothing to do or it could not be done.
    """
    from polars.exceptions import PolarsError

    try:
        whole, *changes = parts(chain, compactions(state, chain))
        if sum(part.rows for part in changes) <= whole.rows and len(changes) < MOST_CHANGES:
            return None
        return _compact(state, chain, folder, memory_limit)
    except (CdpExportsError, OSError, PolarsError):
        return None


def _compact(state: FileDestination, chain: Sequence[Link], folder: Path, memory_limit: int) -> str:
    """Through a file on disk: the name says what is in it, which is known at the end."""
    frame = read(state, chain, folder)
    schema = frame.drop(SEQUENCE).collect_schema()
    staged = folder / "compacted.partial"
    with staged.open("wb") as output:
        rows, sha256 = write_into(output, frame_of(folded(frame, memory_limit), schema))
    held = held_of(chain[-1])
    assert held is not None  # it was read
    path = compacted_path(held.file, rows, sha256)
    try:
        upload(state, staged, path)
    finally:
        staged.unlink()
    return path


def folded(frame: pl.LazyFrame, memory_limit: int) -> Iterator[pl.DataFrame]:
    """Of each key the newest row, without those that are gone, a part at a time; without `sequence`."""
    import polars as pl

    key = [name for name in frame.collect_schema() if name.startswith(KEY)]
    newest = pl.col(SEQUENCE) == pl.col(SEQUENCE).max().over(key)
    for (part,) in in_buckets([measured(frame, memory_limit)], key, memory_limit):
        yield part.filter(newest).filter(~pl.col("gone")).drop(SEQUENCE).collect()


def prune(state: FileDestination, committed: Sequence[Link], *, covered: Collection[str] = (), keep: int = 2) -> None:
    """Remove the files of a member's state that nothing needs any more.

    `committed`: all committed deliveries of the member, oldest first; `covered`: ids of those that were closed by a later
    one. Of the newest chain the `keep` newest files that hold everything stay, with all that came after the oldest of
    them. Removed are what is older, what attempts wrote that did not become the delivery, and earlier chains: no
    increment follows them, and a replay of theirs copies the files that were delivered. What may belong to a delivery
    that is not decided, or to a chain that these deliveries do not name, stays.
    """
    try:
        files = list(listed(state, folders_of(committed)))
        state.delete(_useless(files, committed, covered, keep))
    except CdpExportsError:
        return


def _useless(files: Sequence[Stored], committed: Sequence[Link], covered: Collection[str], keep: int) -> list[str]:
    last = committed[-1]
    chain = {delivery.id: delivery for delivery in committed if delivery.chain == last.chain}
    earlier = {delivery.chain for delivery in committed} - {last.chain}
    stems = stems_of(chain.values())
    complete = {delivery.sequence for delivery in chain.values() if (held := held_of(delivery)) and held.whole}
    complete |= {file.sequence for file in files if file.is_compaction and file.stem in stems}
    oldest = min(sorted(complete)[-keep:], default=0)

    def is_useless(file: Stored) -> bool:
        if file.chain in earlier or file.delivery in covered:
            return True
        if file.chain != last.chain or file.sequence > last.sequence:
            return False
        if file.stem in stems:
            return file.sequence < oldest
        delivery = chain.get(file.delivery)
        return delivery is None or held_of(delivery) is not None  # else nobody knows which of its attempts' files it is

    return [file.path for file in files if is_useless(file)]
