"""Parquet: what is written is what independent readers read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cdp_exports.entities.file_format import ParquetFormat
from cdp_exports.errors import CannotHold
from cdp_exports.formats.check import check
from cdp_exports.formats.count import count_rows
from cdp_exports_tests.formats.memory import only
from cdp_exports_tests.formats.rows import NESTED, SCALARS, tables

BINARY = {"bytes": (pl.Binary(), st.binary(max_size=5))}


@settings(deadline=None, max_examples=40)
@given(tables({**SCALARS, **NESTED, **BINARY}), st.sampled_from(["zstd", "gzip", "snappy", "none"]))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, table: pl.DataFrame, compression: Literal["zstd", "gzip", "snappy", "none"]
) -> None:
    content = only(table, ParquetFormat(compression=compression))
    assert count_rows(io.BytesIO(content), ParquetFormat()) == table.height
    file = pq.ParquetFile(io.BytesIO(content))
    used = {file.metadata.row_group(0).column(i).compression for i in range(file.metadata.num_columns)}
    assert used == {{"none": "UNCOMPRESSED"}.get(compression, compression.upper())}
    assert_frame_equal(pl.read_parquet(io.BytesIO(content)), table)
    assert_frame_equal(pl.DataFrame(pl.from_arrow(file.read())), table)
    path = Path(tmp_path_factory.getbasetemp()) / "round_trip.parquet"
    path.write_bytes(content)
    # DuckDB has one kind of map, its Arrow form is Polars' own; entries keep their order.
    assert_frame_equal(duckdb.read_parquet(str(path)).pl().cast(dict(table.schema)), table)


@pytest.mark.parametrize("dtype", [pl.Int128(), pl.List(pl.UInt128()), pl.Struct([]), pl.Object()])
def test_what_few_readers_know_is_refused(dtype: pl.DataType) -> None:
    with pytest.raises(CannotHold, match="wide"):
        check({"id": pl.Int64(), "wide": dtype}, ParquetFormat())
