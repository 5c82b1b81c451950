"""The changes of a delivery as batches: the same rows give the same batches, in the same order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.destinations.audience import Change

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Rows:
    """The changes to send, in order, in a file on this machine: the columns of an outbox, and `value_0`, ... of `names`."""

    file: Path
    names: tuple[str, ...]
    total: int

    def batches(self, size: int) -> Iterator[tuple[int, tuple[Change, ...]]]:
        """Each batch with its first row."""
        import polars as pl

        frame = pl.scan_ipc(self.file)
        for first in range(0, self.total, size):
            yield first, changes_of(frame.slice(first, min(size, self.total - first)).collect(), self.names)


def write_rows(frame: pl.LazyFrame, names: tuple[str, ...], file: Path) -> Rows:
    """Number the rows and keep them in `file`."""
    import polars as pl

    frame.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64)).sink_ipc(file)
    return Rows(file, names, pl.scan_ipc(file).select(pl.len()).collect().item())


def changes_of(rows: pl.DataFrame, names: tuple[str, ...]) -> tuple[Change, ...]:
    """What is sent of each row. Of who leaves it is the identity alone."""
    values = [rows[f"value_{number}"].to_list() for number in range(len(names))]
    return tuple(
        Change(status, json.loads(identity) if status == "exited" else dict(zip(names, row, strict=True)))
        for status, identity, *row in zip(rows["status"], rows["identity"], *values, strict=True)
    )


def digest_of(changes: tuple[Change, ...]) -> str:
    """Tells one batch's content from another's."""
    digest = hashlib.sha256()
    for change in changes:
        digest.update(json.dumps([change.status, change.values], sort_keys=True, default=str).encode())
    return digest.hexdigest()
