"""Data files as one lazy frame: Polars reads them, the log's partition values and deletion vectors complete them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cdp_exports.sources.delta.log import FileAction
from cdp_exports.sources.delta.schema import Layout

if TYPE_CHECKING:
    import polars as pl

_LOCATION = "__cdp_exports_location"
_POSITION = "__cdp_exports_position"
CHANGE_TYPE = "_change_type"


@dataclass(frozen=True, eq=False)
class DataFile:
    """A Parquet file of the table.

    `rows`: how many it holds by the log, without those its deletion vector takes away; None where the log does not say.
    `partition`: typed values by column name, in the order of the table's partition columns. `deleted`: positions
    (0-based) of the rows its deletion vector takes away; `only`: nothing but the rows at these positions is meant.
    """

    location: str
    size: int
    rows: int | None
    partition: Mapping[str, Any]
    deleted: pl.Series | None = None
    only: pl.Series | None = None


def from_action(action: FileAction, layout: Layout) -> DataFile:
    """A file as a log entry names it."""
    values = {name: _partition_value(action.partition.get(layout.physical[name]), layout.dtypes[name]) for name in layout.partitioned_by}
    return DataFile(action.location, action.size, action.rows, values)


def scan(files: Sequence[DataFile], layout: Layout, options: dict[str, Any] | None, change_types: Sequence[str] = ()) -> pl.LazyFrame:
    """The rows of the files in the columns of `layout`.

    With `change_types` the files are those of a change feed, and only rows of these types are meant.
    """
    import polars as pl

    if not files:
        return pl.LazyFrame(schema=layout.dtypes)
    plain = [file for file in files if file.deleted is None and file.only is None]
    scans = [_scan(plain, layout, options, change_types)] if plain else []
    scans += [_scan([file], layout, options, change_types) for file in files if file.deleted is not None or file.only is not None]
    return scans[0] if len(scans) == 1 else pl.concat(scans)


def _scan(files: Sequence[DataFile], layout: Layout, options: dict[str, Any] | None, change_types: Sequence[str]) -> pl.LazyFrame:
    import polars as pl

    # Row groups read ahead, and files read at once (by default one a core): more takes more memory and is no faster here.
    os.environ.setdefault("POLARS_ROW_GROUP_PREFETCH_SIZE", "1")
    os.environ.setdefault("POLARS_MAX_CONCURRENT_SCANS", "1")
    if "POLARS_IDEAL_MORSEL_SIZE" not in os.environ:  # Polars has read this one by now
        pl.Config.set_streaming_chunk_size(20_000)  # rows; many of these wait between a fast reader and a slow encoder
    stored = [field for field in layout.fields if field.name not in layout.partitioned_by]
    schema = {field.physical: layout.dtypes[field.name] for field in stored}
    if change_types:
        schema[CHANGE_TYPE] = pl.String()
    masked = files[0].deleted is not None or files[0].only is not None
    frame = pl.scan_parquet(
        [file.location for file in files],
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
        cast_options=_casts(),
        hive_partitioning=False,
        glob=False,
        storage_options=options,
        include_file_paths=_LOCATION if layout.partitioned_by and len(files) > 1 else None,
        row_index_name=_POSITION if masked else None,
    )
    if change_types:
        frame = frame.filter(pl.col(CHANGE_TYPE).is_in(change_types))
    if files[0].deleted is not None:
        frame = frame.filter(~pl.col(_POSITION).is_in(files[0].deleted.implode()))
    if files[0].only is not None:
        frame = frame.filter(pl.col(_POSITION).is_in(files[0].only.implode()))
    frame = frame.rename({field.physical: field.name for field in stored if field.physical != field.name})
    return _with_partition(frame, files, layout).select(layout.dtypes.names())


def _with_partition(frame: pl.LazyFrame, files: Sequence[DataFile], layout: Layout) -> pl.LazyFrame:
    """Add the partition columns. Their values stand in the log alone: the folders' names are free (and random under column mapping)."""
    import polars as pl

    dtypes = {name: layout.dtypes[name] for name in layout.partitioned_by}
    if not dtypes:
        return frame
    if len(files) == 1:
        return frame.with_columns(pl.lit(files[0].partition[name], dtype=dtype).alias(name) for name, dtype in dtypes.items())
    values = {name: [file.partition[name] for file in files] for name in dtypes}
    by_location = pl.LazyFrame({_LOCATION: [file.location for file in files], **values}, schema={_LOCATION: pl.String, **dtypes})
    return frame.join(by_location, on=_LOCATION, how="left")


def _casts() -> pl.ScanCastOptions:
    """Files older than a widening of the schema, and files with another engine's timestamps (INT96, milliseconds)."""
    import polars as pl

    return pl.ScanCastOptions(
        integer_cast=["upcast", "allow-float"],
        float_cast="upcast",
        datetime_cast=["nanosecond-downcast", "millisecond-upcast", "convert-timezone"],
        missing_struct_fields="insert",
        extra_struct_fields="ignore",
    )


@lru_cache(maxsize=10_000)
def _partition_value(text: str | None, dtype: pl.DataType) -> Any:
    """A typed partition value; an empty string is null.

    https://github.com/delta-io/delta/blob/master/PROTOCOL.md#partition-value-serialization
    """
    import polars as pl

    if not text:
        return None
    if dtype == pl.String:
        return text
    if dtype == pl.Binary:
        return binary(text)
    if dtype == pl.Boolean:
        return text.lower() == "true"
    value = pl.Series([text])
    if isinstance(dtype, pl.Datetime):
        moment = value.str.strip_suffix("Z").str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us")
        return (moment if dtype.time_zone is None else moment.dt.replace_time_zone(dtype.time_zone)).item()
    if dtype == pl.Date:
        return value.str.to_date("%Y-%m-%d").item()
    return value.cast(dtype).item()


def binary(text: str) -> bytes:
    r"""A binary partition value: characters, or `\u` escapes of them, one for each byte.

    >>> binary("\\u0000\\u00FFa"), binary("\x00a")
    (b'\x00\xffa', b'\x00a')
    """
    return re.sub(r"\\u00([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), text).encode("latin-1")
