"""Consent: who leaves for a purpose can be asked, so a column says so."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.finding import Finding, of_dataset, of_export
from cdp_exports.entities.export import DatasetExport
from cdp_exports.entities.nearest import nearest

_PERSONS = ("profile", "contact")
"""Roles whose rows are people; an account's own row needs no consent."""


def unknown_consent(catalog: Catalog, segments: Collection[str]) -> Iterator[Finding]:
    """Purposes that a dataset of people says nothing about, each told once, at the dataset. `segments`: those without mistakes."""
    told: set[tuple[str, str]] = set()
    for name, export in catalog.exports.items():
        connection = catalog.connections.get(export.connection)
        if connection is None or connection.purpose is None:
            continue
        for dataset in _asked(catalog, name, segments):
            declared = catalog.datasets[dataset].consent
            if connection.purpose not in declared and (dataset, connection.purpose) not in told:
                told.add((dataset, connection.purpose))
                message = (
                    f"The export {name!r} sends rows of this dataset for the purpose {connection.purpose!r} of the connection "
                    f"{export.connection!r}, and no column grants it{nearest(connection.purpose, declared)}: "
                    f"`consent: {{{connection.purpose}: <a boolean column>}}`."
                )
                yield of_dataset(dataset, ("consent",), message)


def _asked(catalog: Catalog, name: str, segments: Collection[str]) -> Iterator[str]:
    """The datasets whose people an export must ask."""
    export = catalog.exports[name]
    if isinstance(export, DatasetExport):
        asked = export.datasets if export.consent == "required" else ()
    elif export.project:
        asked = (export.project.dataset,)
    else:
        asked = [catalog.dataset_of(segment) for segment in export.segments if segment in segments]
    yield from (dataset for dataset in asked if dataset in catalog.datasets and catalog.datasets[dataset].role in _PERSONS)


def idle_consent(catalog: Catalog) -> Iterator[Finding]:
    """Dataset exports that require consent where nobody can be asked for it."""
    for name, export in catalog.dataset_exports.items():
        connection = catalog.connections.get(export.connection)
        if export.consent is None or connection is None:
            continue
        if connection.purpose is None and not connection.suppress:
            message = (
                f"`consent`: the connection {export.connection!r} has neither a `purpose` nor lists to `suppress`, so there is nothing to "
                f"require. Declare one in connections/{export.connection}.yaml, or leave `consent` out."
            )
            yield of_export(name, ("consent",), message)
        for index, dataset in enumerate(export.datasets):
            role = dataset in catalog.datasets and catalog.datasets[dataset].role
            if role and role not in _PERSONS:
                message = (
                    f"The dataset {dataset!r} is not eligible for `consent: required`: it has the role `{role}`, and consent is a "
                    "person's. Choose datasets with the role `profile` or `contact`, or export it without `consent`."
                )
                yield of_export(name, ("datasets", index), message)
