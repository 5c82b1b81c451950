"""Which columns of which assets a column was made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dagster import AssetKey, TableColumn, TableColumnDep, TableColumnLineage, TableSchema

from cdp_exports.assets.keys import dataset_key, segment_key
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.ledger.records import Pin
from cdp_exports.segments.audience import Audience


def audience_lineage(catalog: Catalog, audience: Audience) -> TableColumnLineage:
    """Of the files of a segment export: its key columns, then its fields."""
    return column_lineage(catalog, [*_keys(audience), *((field.name, field.expression.columns) for field in audience.fields)])


def column_lineage(catalog: Catalog, made_of: Iterable[tuple[str, Iterable[tuple[str, str]]]]) -> TableColumnLineage:
    """`made_of`: for each column the columns it was made of, as (table, column); a table is a dataset or a segment."""
    return TableColumnLineage(
        deps_by_column={name: [TableColumnDep(_asset(catalog, table), column) for table, column in sorted(read)] for name, read in made_of}
    )


def table_schema(pin: Pin) -> TableSchema:
    """The columns as they stand in the files."""
    return TableSchema(columns=[TableColumn(column["name"], str(column["type"])) for column in pin.columns])


def _keys(audience: Audience) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    key = [(audience.of, column) for column in audience.key]
    if audience.contacts is not None and audience.contacts.how == "explode":
        key += [(audience.contacts.dataset, column) for column in audience.contacts.key]
    for table, column in key:
        if (name := next((name for name in audience.key_names if name in (column, column.replace(".", "_"))), None)) is not None:
            yield name, [(table, column)]


def _asset(catalog: Catalog, table: str) -> AssetKey:
    return dataset_key(catalog, table) if table in catalog.datasets else segment_key(table)
