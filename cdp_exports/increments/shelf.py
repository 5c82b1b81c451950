"""Where rows wait on disk until they are written."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.errors import TerminalError

if TYPE_CHECKING:
    import polars as pl


class Shelf:
    """Takes frames to files in `folder`, of `disk_limit` bytes together; who makes the folder removes it."""

    def __init__(self, folder: Path, disk_limit: int | None) -> None:
        self._files = (folder / f"{number}.arrow" for number in count())
        self._left = disk_limit

    def put(self, rows: pl.DataFrame) -> pl.LazyFrame:
        """The same rows, out of memory; to be consumed as often as wanted.

        Raises:
            TerminalError: the disk limit was reached, or the folder's disk is full.
        """
        import polars as pl

        file = next(self._files)
        try:
            rows.write_ipc(file, compression="lz4")
        except OSError as exception:
            raise _no_room() from exception
        if self._left is not None:
            self._left -= file.stat().st_size
            if self._left < 0:
                raise _no_room()
        return pl.scan_ipc(file)


def _no_room() -> TerminalError:
    return TerminalError(
        "The changes do not fit into the memory and the temporary disk space that this run may use.",
        next_step="Raise the memory limit, or free room in the temporary folder.",
    )
