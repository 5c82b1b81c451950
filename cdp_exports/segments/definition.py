"""What may not change within a chain, as plain data: it is kept with every delivery and compared with the next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cdp_exports.entities.export import SegmentExport
from cdp_exports.segments.audience import Contacts, Expression
from cdp_exports.segments.mapped import Mapped
from cdp_exports.segments.members import CompiledSegment

_NAMES = re.compile(r"""'(?:[^']|'')*'|"((?:[^"]|"")*)"(?=\.)""")


def definition_of(
    export: SegmentExport,
    members: CompiledSegment,
    columns: Mapped,
    contacts: Contacts | None,
    dedupe_by: Sequence[Expression],
    newest_by: Expression | None,
) -> dict[str, Any]:
    """Who is in the segment and what is sent of them, but for consent, suppression and limits, which never start a new chain.

    Tables have neutral names in it, so that a renamed dataset or segment changes nothing; which tables are read the pin knows.
    """
    names = {members.of: "member", **{part.segment: f"part_{index}" for index, part in enumerate(members.parts)}}
    names |= {contacts.dataset: "contact"} if contacts else {}

    def neutral(one: Expression | str | None) -> str | None:
        return _renamed(one.sql if isinstance(one, Expression) else one, names) if one is not None else None

    return {
        "key": list(members.key),
        "membership": neutral(members.membership),
        "parts": [
            {"query": part.query and _renamed(part.query, {part.segment: names[part.segment]}), "columns": dict(part.columns)}
            for part in members.parts
        ],
        "contacts": {
            "key": list(contacts.key),
            "by": list(contacts.by),
            "how": contacts.how,
            "where": neutral(contacts.where),
            "order_by": neutral(contacts.order_by),
        }
        if contacts
        else None,
        "key_names": list(columns.key_names),
        "fields": [
            {
                "name": field.name,
                "sql": neutral(field.expression),
                "type": field.expression.type,
                "required": field.required,
                "identity": field.identity,
            }
            for field in columns.fields
        ],
        "dedupe_by": [neutral(one) for one in dedupe_by],
        "newest_by": neutral(newest_by),
        "mode": export.mode,
        "send": sorted(export.send),
        "status": columns.status.model_dump(mode="json") if columns.status else None,
    }


def _renamed(sql: str, names: Mapping[str, str]) -> str:
    r"""SQL with other names of tables; they are followed by a dot.

    >>> _renamed("\"vips\".\"id\" = '\"vips\".' || \"vips\"", {"vips": "part_0"})
    '"part_0"."id" = \'"vips".\' || "vips"'
    """
    return _NAMES.sub(lambda found: f'"{names[found[1]]}"' if found[1] in names else found[0], sql)
