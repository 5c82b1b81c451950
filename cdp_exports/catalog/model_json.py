"""`model.json`: what only the connection decides of whether it can be told."""

from __future__ import annotations

from collections.abc import Iterator

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.finding import Finding, of_export


def not_describable(catalog: Catalog) -> Iterator[Finding]:
    """Exports with a `model.json` whose readers could not read the files."""
    for name, export in catalog.exports.items():
        connection = catalog.connections.get(export.connection)
        if not export.model_json or connection is None:
            continue
        key = ("model_json",) if "model_json" in export.model_fields_set else ("connection",)
        if connection.encrypt_to:
            said = f"the files at {export.connection!r} are encrypted, which it cannot tell; choose another connection"
            yield of_export(name, key, f"`model_json`: {said}, or say `model_json: false`.")
        if connection.keep_for and export.mode != "full":
            said = f"files at {export.connection!r} are removed after {connection.keep_for}, and increments are no longer all the rows then"
            yield of_export(name, key, f"`model_json`: {said}; write `mode: full`, or `model_json: false`.")
