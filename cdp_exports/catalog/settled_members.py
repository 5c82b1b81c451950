"""What an audience destination decides of the exports that go there: what tells members apart, and how it is sent."""

from __future__ import annotations

from cdp_exports.catalog.audiences import plain_name
from cdp_exports.entities.capabilities import Members
from cdp_exports.entities.export import SegmentExport
from cdp_exports.entities.mapping import Field


def settled_members(export: SegmentExport, members: Members) -> SegmentExport:
    """The export with what the destination's fields are: identities among them are marked, hashed ones are hashed; the key is not
    sent where it is not taken, and whoever lacks what is needed is left out."""
    changes: dict[str, object] = {}
    if not members.takes_key and "include_key" not in export.model_fields_set:
        changes["include_key"] = False
    if members.fields is not None:
        changes["fields"] = tuple(_field(field, members, _needed(export, members)) for field in export.fields)
    return export.model_copy(update=changes)


def _field(field: Field, members: Members, needed: frozenset[str]) -> Field:
    known = next((known for known in members.fields or () if known.name == name_of(field)), None)
    if known is None:
        return field
    hashed = "sha256" in field.transforms
    return field.model_copy(
        update={
            "identity": field.identity or known.identity or known.name in needed,
            "required": field.required or known.name in needed,
            "transforms": field.transforms if hashed else (*field.transforms, *known.transforms),
        }
    )


def _needed(export: SegmentExport, members: Members) -> frozenset[str]:
    """The fields without which nobody can be told apart; none where there are several ways to."""
    mapped = {name_of(field) for field in export.fields}
    enough = [choice for choice in members.any_of if choice <= mapped]
    return enough[0] if len(enough) == 1 else frozenset()


def name_of(field: Field) -> str | None:
    """How a field is called for the receiver."""
    return field.to or plain_name(field.source)
