"""NDJSON: one object a line, UTF-8, `\\n`.

Integers are written exactly, decimals as strings so that every reader gets all their digits, maps as objects.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cdp_exports.entities.file_format import JsonFormat
from cdp_exports.errors import CannotHold
from cdp_exports.formats import text
from cdp_exports.formats.values import as_text, not_finite

if TYPE_CHECKING:
    import polars as pl


def encode(batches: Iterator[pl.DataFrame], schema: pl.Schema, format: JsonFormat, emit: Callable[[bytes], None]) -> int:
    """Encode one file. Returns the number of rows. Raises CannotHold for NaN and infinities that nothing is declared for."""
    import polars as pl

    columns = [as_text(pl.col(name), dtype, format.binary) for name, dtype in schema.items()]

    def to_text(batch: pl.DataFrame) -> bytes:
        if format.non_finite is None and (names := not_finite(batch)):
            raise CannotHold(
                f"JSON has no word for NaN and the infinities found in {', '.join(names)}.",
                next_step="Declare `non_finite: null` in the export's format to write them as null.",
            )
        lines = io.BytesIO()
        batch.select(columns).write_ndjson(lines)
        return lines.getvalue()

    return text.encode(batches, to_text, format.compression, emit)
