"""The table at one version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cdp_exports.sources.delta.files import DataFile, binary, scan
from cdp_exports.sources.delta.schema import Layout, mapping_mode
from cdp_exports.sources.delta.storage import Storage

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable


@dataclass(frozen=True)
class Snapshot:
    """`table` is loaded at the version and stays there."""

    table: DeltaTable
    storage: Storage

    @property
    def version(self) -> int:
        return self.table.version()

    @cached_property
    def table_id(self) -> str:
        return str(self.table.metadata().id)

    @cached_property
    def configuration(self) -> Mapping[str, str]:
        return self.table.metadata().configuration

    @cached_property
    def layout(self) -> Layout:
        partitioned_by = tuple(self.table.metadata().partition_columns)
        return Layout(self.table.schema().to_json(), partitioned_by, mapping_mode(self.configuration))

    @cached_property
    def files(self) -> Mapping[str, DataFile]:
        """The data files by location."""
        import polars as pl

        actions = pl.DataFrame(self.table.get_add_actions())
        count = actions.height
        partitions: list[dict[str, Any]] = actions["partition"].to_list() if "partition" in actions.columns else [{}] * count
        partitions = [{name: values[name] for name in self.layout.partitioned_by} for values in partitions]
        for name in self.layout.partitioned_by:
            if self.layout.dtypes[name] == pl.Binary:  # deltalake hands the escaped text over
                partitions = [{**values, name: values[name] and binary(values[name].decode())} for values in partitions]
        rows = actions["num_records"].to_list() if "num_records" in actions.columns else [None] * count
        deleted = self._deleted()
        files: dict[str, DataFile] = {}
        for path, size, known, partition in zip(actions["path"], actions["size_bytes"], rows, partitions, strict=True):
            location = self.storage.location(path)
            gone = deleted.get(location)
            left = known if known is None or gone is None else known - gone.len()
            files[location] = DataFile(location, size, left, partition, gone)
        return files

    def _deleted(self) -> dict[str, pl.Series]:
        """The positions that deletion vectors take away, by location."""
        import polars as pl

        if "deletionVectors" not in (self.table.protocol().reader_features or ()):
            return {}
        kept = pl.DataFrame(self.table.deletion_vectors())
        return {
            self.storage.location(uri): (~selection).arg_true().cast(pl.get_index_type())
            for uri, selection in zip(kept["filepath"], kept["selection_vector"], strict=True)
        }

    @property
    def digest(self) -> str:
        """Of the state itself, for a version whose log entry is gone: its table, metadata, files and their deleted rows.

        It does not depend on where the table lies, nor on how often its checkpoint was written.
        """
        files = sorted(
            [location.removeprefix(f"{self.storage.uri}/"), file.size, None if file.deleted is None else file.deleted.to_list()]
            for location, file in self.files.items()
        )
        metadata = [json.loads(self.layout.schema), self.layout.partitioned_by, dict(self.configuration)]
        state = json.dumps([self.table_id, self.version, metadata, files], sort_keys=True)
        return f"checkpoint:{hashlib.sha256(state.encode()).hexdigest()}"

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files.values())

    @property
    def row_count(self) -> int | None:
        """The rows that the log promises, None where a file has no statistics."""
        total = 0
        for file in self.files.values():
            if file.rows is None:
                return None
            total += file.rows
        return total

    def frame(self) -> pl.LazyFrame:
        """All rows, lazily: by Polars where it can read the files, else as deltalake streams them."""
        if self.layout.native:
            return scan(list(self.files.values()), self.layout, self.storage.scan_options)
        return self._streamed()

    def _streamed(self) -> pl.LazyFrame:
        import polars as pl
        from polars.io.plugins import register_io_source

        dtypes = self.layout.dtypes

        def batches(
            columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            names = dtypes.names() if columns is None else columns
            left = n_rows
            for batch in self.table.scan(columns=names or dtypes.names()[:1]):
                frame = pl.DataFrame(batch).select(pl.col(name).cast(dtypes[name]) for name in names or dtypes.names()[:1])
                if left is not None:
                    frame = frame.head(left)
                    left -= frame.height
                yield frame if predicate is None else frame.filter(predicate)
                if left == 0:
                    return

        return register_io_source(batches, schema=dtypes, explain_name="delta")
