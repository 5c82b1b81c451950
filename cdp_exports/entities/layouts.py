"""Layouts and presets: what an export means by folders, file names and format where its declaration says nothing.

They are defaults under other names: whatever stands in the declaration wins, key by key, also inside `format`. They are filled in
when the declaration is read, so that everything after sees a complete export.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from cdp_exports.entities.macros import translated
from cdp_exports.entities.model_json import problems
from cdp_exports.entities.presets import PRESETS

LayoutName = Literal["default", "adobe", "customer_insights"]

_CSV = {"type": "csv", "compression": "none"}


@dataclass(frozen=True)
class Layout:
    """The defaults of one kind of export in one layout."""

    path: str
    file_name: str | None = None
    format: Mapping[str, Any] = field(default_factory=dict[str, Any])


LAYOUTS: Mapping[tuple[LayoutName, str], Layout] = {
    # Adobe Experience Platform: folders of datasets, file names and CSV options of audiences; 5,000,000 rows a file are its limit.
    ("adobe", "dataset"): Layout("{dataset_id}/exportTime={export_time}", format={"type": "parquet", "compression": "gzip"}),
    ("adobe", "segment"): Layout(
        "{export_id}",
        "{connection_id}_segment{segment_id}_{year}{month}{day}{hour}{minute}00",
        {**_CSV, "escape": "\\", "null": "null", "empty": "", "max_rows_per_file": 5_000_000},
    ),
    # Dynamics 365 Customer Insights: exports to Azure Blob Storage.
    **dict.fromkeys(
        (("customer_insights", "dataset"), ("customer_insights", "segment")),
        Layout("{export_id}/{member_id}/{year}/{month}/{day}/{hour}{minute}", "{member_id}_{number}", _CSV),
    ),
}
"""By the layout's name and the kind of export. `default` has none: the models' own defaults."""


def completed(declared: object) -> object:
    """An export's declaration with the defaults of its layout or preset; anything else as it is, for the models to judge."""
    if not isinstance(declared, Mapping):
        return declared
    given = cast("Mapping[str, object]", declared)
    defaults = _defaults(given)
    if defaults is None:
        return given
    values = {"path": defaults.path, **({"file_name": defaults.file_name} if defaults.file_name else {})}
    options = _format(defaults.format, given["format"]) if "format" in given else dict(defaults.format)
    settled = {**values, **given, "format": options}
    return {"model_json": True, **settled} if _has_model_json(settled) else settled


def _has_model_json(export: Mapping[str, Any]) -> bool:
    """Customer Insights writes one beside what it exports; here it is left out where it could not be true."""
    try:
        return export.get("layout") == "customer_insights" and not problems({**export, "path": translated(export["path"])})
    except (AttributeError, TypeError, ValueError):  # for the models to tell
        return False


def _defaults(given: Mapping[str, object]) -> Layout | None:
    preset, layout, kind = given.get("preset"), given.get("layout"), given.get("kind")
    if kind == "segment" and isinstance(preset, str) and preset in PRESETS:
        found = PRESETS[preset]
        return Layout(found.path, found.file_name, found.format)
    return next((defaults for key, defaults in LAYOUTS.items() if key == (layout, kind)), None)


def _format(defaults: Mapping[str, Any], given: object) -> object:
    if isinstance(given, Mapping):
        options = cast("Mapping[str, object]", given)
        return {**defaults, **options} if options.get("type") == defaults["type"] else options
    return given
