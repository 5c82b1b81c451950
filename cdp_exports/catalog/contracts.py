"""What datasets promise, so that a catalog is checked without reading any: key, columns with their types, consent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.finding import Finding, of_dataset
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.export import DatasetExport
from cdp_exports.entities.nearest import nearest
from cdp_exports.segments.binding import type_named
from cdp_exports.segments.problems import SqlProblem


def kept_contracts(datasets: Mapping[str, Dataset]) -> Iterator[Finding]:
    """What a dataset says about its own columns fits together."""
    for name, dataset in datasets.items():
        if not dataset.columns:
            continue
        for index, column in enumerate(dataset.key):
            if column not in dataset.columns:
                yield of_dataset(name, ("key", index), f"`key[{index}]`: {_no_column(column, dataset)}")
        for purpose, column in dataset.consent.items():
            if column not in dataset.columns:
                yield of_dataset(name, ("consent", purpose), f"`consent.{purpose}`: {_no_column(column, dataset)}")
        yield from _wrong_types(name, dataset)


def _no_column(column: str, dataset: Dataset) -> str:
    return f"there is no column {column!r} among `columns`{nearest(column, dataset.columns)}."


def _wrong_types(name: str, dataset: Dataset) -> Iterator[Finding]:
    consents = {column: purpose for purpose, column in dataset.consent.items()}
    seen: dict[str, str] = {}
    for column, declared in dataset.columns.items():
        if (other := seen.setdefault(column.casefold(), column)) != column:
            yield of_dataset(name, ("columns", column), f"`columns.{column}`: SQL cannot tell this column from {other!r}; leave one out.")
        try:
            known = type_named(declared)
        except SqlProblem as problem:
            yield of_dataset(name, ("columns", column), f"`columns.{column}`: {problem}")
            continue
        if (purpose := consents.get(column)) and known != "BOOLEAN":
            message = f"`consent.{purpose}`: {column!r} is declared as `{declared}`; consent is a column of true and false, `boolean`."
            yield of_dataset(name, ("consent", purpose), message)


def read_contracts(catalog: Catalog, segments: Collection[str]) -> Iterator[Finding]:
    """What is read as SQL declares its columns, and where members or contacts come from, also a key. `segments`: those without mistakes."""
    keyed: dict[str, str] = {}
    read: dict[str, str] = {}
    for name in sorted(segments):
        keyed.setdefault(catalog.dataset_of(name), f"The segment {name!r} has its members from this dataset")
    for name, export in catalog.exports.items():
        guarded = not isinstance(export, DatasetExport) or export.consent == "required"
        connection = catalog.connections.get(export.connection)
        for listed in connection.suppress if connection and guarded else ():
            read.setdefault(listed.dataset, f"The connection {export.connection!r} suppresses whom this dataset lists")
        if isinstance(export, DatasetExport):
            for dataset in export.datasets if guarded else ():
                keyed.setdefault(dataset, f"The export {name!r} sends only rows of this dataset that may leave")
        elif export.project:
            keyed.setdefault(export.project.dataset, f"The export {name!r} sends the contacts in this dataset")
    for name, dataset in catalog.datasets.items():
        if (why := keyed.get(name)) and not dataset.key:
            yield of_dataset(name, ("key",), f"{why}, and it declares no `key`: the columns that name each of them, `key: [...]`.")
        if (why := keyed.get(name) or read.get(name)) and not dataset.columns:
            message = f"{why}, and it declares no `columns` with their types; `cdp-exports columns {name}` prints them."
            yield of_dataset(name, ("columns",), message)
