"""Which columns of which assets a column was made of, as Dagster shows it."""

from __future__ import annotations

from typing import Any

from dagster import AssetKey, MetadataValue, TableColumn, TableColumnConstraints, TableColumnDep, TableColumnLineage, TableSchema

from cdp_exports.assets.keys import dataset_key, segment_key
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.ledger.records import Pin
from cdp_exports.segments.audience import Audience
from cdp_exports.segments.lineage import lineage
from cdp_exports.segments.members import CompiledSegment


def column_lineage(catalog: Catalog, compiled: CompiledSegment | Audience) -> MetadataValue[Any]:
    """Of a segment's key and enrichment columns, or of the columns of an export's files."""
    own = compiled.segment if isinstance(compiled, CompiledSegment) else None  # a list's columns are made of nothing
    deps = {
        name: [TableColumnDep(_asset(catalog, table), column) for table, column in sorted(read) if table != own]
        for name, read in lineage(compiled).items()
    }
    return MetadataValue.column_lineage(TableColumnLineage(deps_by_column=deps))


def table_schema(pin: Pin) -> MetadataValue[Any]:
    """The columns as they stand in the files."""
    columns = [
        TableColumn(
            column["name"],
            str(column["type"]),
            description=column.get("description"),
            constraints=TableColumnConstraints(nullable=column.get("nullable", True)),
        )
        for column in pin.columns
    ]
    return MetadataValue.table_schema(TableSchema(columns))


def _asset(catalog: Catalog, table: str) -> AssetKey:
    return dataset_key(catalog, table) if table in catalog.datasets else segment_key(table)
