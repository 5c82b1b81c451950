"""The `model.json` of an export: what all its members hold at the destination, for readers of the Common Data Model.

Made of the ledger each time, so that the last one put is complete, whichever member was delivered last. Of a full the newest
delivery's files are an entity's partitions; of increments, which only add rows, the files of all deliveries since the full.
Attributes are the newest delivery's columns.

https://learn.microsoft.com/common-data-model/model-json
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cdp_exports.delivery.member import Member, members_of
from cdp_exports.entities.model_json import model_path
from cdp_exports.errors import Occupied

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.ledger.records import Delivery

_APPLICATION = "cdp-exports"
_IN_PATHS = "/=+,@:~!$&'()*;"

_TYPES = {
    **dict.fromkeys(("byte", "short", "integer", "long", "tinyint", "smallint", "bigint", "utinyint", "usmallint", "uinteger"), "int64"),
    **dict.fromkeys(("hugeint", "ubigint", "uhugeint"), "decimal"),
    **dict.fromkeys(("float", "double"), "double"),
    **dict.fromkeys(("string", "varchar", "binary", "blob", "bit", "interval"), "string"),
    **dict.fromkeys(("timestamp with time zone",), "dateTimeOffset"),
    **dict.fromkeys(("timestamp_ntz", "timestamp_s", "timestamp_ms", "timestamp_ns"), "dateTime"),
    **{name: name for name in ("boolean", "date", "time", "decimal", "json")},
    "uuid": "guid",
}


def put_model(member: Member, destination: FileDestination, now: Delivery | None = None) -> None:
    """Write it anew. `now`: a delivery with its files that the ledger does not hold as committed yet."""
    of_export = members_of(member.context, member.export_id)
    found = [(other.id, _deliveries(other, destination, now if other.id == member.id else None)) for other in of_export]
    delivered = [(name, deliveries) for name, deliveries in found if deliveries]
    content = json.dumps(_model(member, destination, delivered, member.context.ledger.now()), indent=1)
    destination.put(path_of(member), content.encode())


def _deliveries(member: Member, destination: FileDestination, now: Delivery | None) -> list[Delivery]:
    """Those at this place that the model may tell of."""
    last = now or member.last_committed()
    if last is not None and last.pin.mode == "full" and last.pin.target == destination.place:
        return [last]  # which needs no history
    known = member.context.ledger.committed(member.environment, member.exports, member.members)
    found = [*(delivery for delivery in known if now is None or delivery.id != now.id), *([now] if now is not None else [])]
    return [delivery for delivery in found if delivery.pin.target == destination.place]


def path_of(member: Member) -> str:
    """Where it stands."""
    return model_path(member.export.path, member.names)


def refuse_if_foreign(member: Member, destination: FileDestination) -> None:
    """Raises Occupied where a `model.json` stands that another program or export wrote."""
    path = path_of(member)
    content = destination.read(path)
    if content is not None and not _is_ours(content, member):
        raise Occupied(
            f"{destination.uri(path)} is there already, and this export did not write it.",
            next_step="Choose another `path`, or say `model_json: false`; or move that file away, if nobody needs it.",
        )


def _is_ours(content: bytes, member: Member) -> bool:
    try:
        found = json.loads(content)
        said = {annotation["name"]: annotation["value"] for annotation in found["annotations"]}
        return found["application"] == _APPLICATION and said["environment"] == member.environment and said["export"] in member.exports
    except (ValueError, TypeError, KeyError):
        return False


def _model(member: Member, destination: FileDestination, members: Iterable[tuple[str, list[Delivery]]], at: datetime) -> dict[str, Any]:
    description = {"description": member.export.description[:4000]} if member.export.description else {}
    return {
        "application": _APPLICATION,
        "name": member.export_id,
        **description,
        "version": "1.0",
        "modifiedTime": at.isoformat(timespec="milliseconds"),
        "annotations": _annotations({"environment": member.environment, "export": member.export_id}),
        "entities": [_entity(name, deliveries, destination) for name, deliveries in members],
    }


def _entity(name: str, deliveries: list[Delivery], destination: FileDestination) -> dict[str, Any]:
    last = max(deliveries, key=lambda delivery: delivery.export_time)
    parts = [last]
    if last.pin.mode != "full":
        chain = [delivery for delivery in deliveries if delivery.chain == last.chain and delivery.sequence <= last.sequence]
        parts = sorted(chain, key=lambda delivery: delivery.sequence)
    return {
        "$type": "LocalEntity",
        "name": name,
        "annotations": _annotations({"export_time": str(last.export_time), "delivery": last.id}),
        "attributes": [_attribute(column) for column in last.pin.columns],
        "partitions": [partition for delivery in parts for partition in _partitions(delivery, destination)],
    }


def _attribute(column: Mapping[str, Any]) -> dict[str, str]:
    description = column.get("description")
    return {
        "name": column["name"],
        "dataType": data_type(column["type"]),
        **({"description": description[:4000]} if description else {}),
    }


def data_type(name: str) -> str:
    """A column's type in the Common Data Model's words.

    >>> data_type("long"), data_type("decimal(10,2)"), data_type("TIMESTAMP WITH TIME ZONE"), data_type("array<string>")
    ('int64', 'decimal', 'dateTimeOffset', 'json')
    """
    if name == "TIMESTAMP":  # of a segment: SQL's, without a zone
        return "dateTime"
    if name == "timestamp":  # of a dataset: an instant
        return "dateTimeOffset"
    word = name.lower()
    if word.endswith("]") or word.startswith(("array<", "map<", "struct<", "struct(", "map(", "union(")):
        return "json"
    if word.startswith("enum("):
        return "string"
    return _TYPES.get(word.partition("(")[0], "unclassified")


def _partitions(delivery: Delivery, destination: FileDestination) -> list[dict[str, Any]]:
    options = delivery.pin.format
    written = delivery.committed_at or delivery.pinned_at
    return [
        {
            "name": f"{delivery.export_time}-{number}",
            "refreshTime": written.isoformat(timespec="milliseconds"),
            "location": _location(destination, file.path),
            "fileFormatSettings": {
                "$type": "CsvFormatSettings",
                "columnHeaders": options["header"],
                "delimiter": options["delimiter"],
                "encoding": "UTF-8",
                "quoteStyle": "QuoteStyle.Csv" if options["quote"] else "QuoteStyle.None",
                "csvStyle": "CsvStyle.QuoteAlways",
            },
        }
        for number, file in enumerate(delivery.files, start=1)
        if not file.removed
    ]


def _location(destination: FileDestination, path: str) -> str:
    """The whole URI, percent-encoded."""
    if destination.place.startswith("file:"):
        return f"{destination.place}/{quote(path, safe=_IN_PATHS)}"
    return f"{destination.uri(path).removesuffix(path)}{quote(path, safe=_IN_PATHS)}"


def _annotations(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]
