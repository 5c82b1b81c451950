"""What is allowed and yet hardly meant: sentences for people, shown by `plan` and `show`."""

from __future__ import annotations

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.export import SegmentExport
from cdp_exports.entities.presets import PRESETS


def advice(catalog: Catalog, export_id: str) -> tuple[str, ...]:
    """About one export; none where nothing is to be said."""
    export = catalog.exports[export_id]
    return _nobody_is_found(catalog, export) if isinstance(export, SegmentExport) and export.preset else ()


def _nobody_is_found(catalog: Catalog, export: SegmentExport) -> tuple[str, ...]:
    """An import job that could not match its rows to anybody."""
    preset = PRESETS[export.preset or ""]
    keys = {column for segment in export.segments for column in catalog.datasets[catalog.dataset_of(segment)].key}
    columns = [field.to or field.source or "" for field in export.fields] + (sorted(keys) if export.include_key else [])
    if any(identity.is_named(column) for identity in preset.identities for column in columns):
        return ()
    *others, last = (f"{identity.what} (`{identity.column}`)" for identity in preset.identities)
    known = f"{', '.join(others)} or {last}" if others else last
    to = preset.identities[0].column
    said = (
        f"{preset.product} knows people by {known}, and no column is named like that: its import would find nobody. "
        f"Map one, for example `- {{from: email, to: {to}, required: true, identity: true}}`."
    )
    return (said,)
