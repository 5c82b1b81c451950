"""The catalogue of destination types: `python -m cdp_exports.catalog.destination_types > docs/destination-types.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from cdp_exports.catalog.audiences import CONNECTIONS_OF_FILES
from cdp_exports.catalog.reference import Key, keys_of
from cdp_exports.entities.capabilities import Capabilities, Members, Proof, Repeat
from cdp_exports.entities.connection import OFFERED, TYPES
from cdp_exports.entities.destination_type import DestinationType
from cdp_exports.entities.file_format import CsvFormat, JsonFormat, ParquetFormat
from cdp_exports.entities.receiver import Receiver

Document = dict[str, Any]

_FORMATS = {"parquet": ParquetFormat, "json": JsonFormat, "csv": CsvFormat}

PROOFS = {
    Proof.STORED: "a checksum that the store computed over what it stored",
    Proof.TRANSPORT: "the checksum of every part, checked by the store on arrival",
    Proof.REREAD: "the file is read back",
    Proof.SIZE: "the size alone",
}

REPEATS = {
    Repeat.HARMLESS: "is sent again: that does no harm",
    Repeat.BY_KEY: "is sent again with its key: the receiver applies it once",
    Repeat.UNKNOWN: "is never sent again unasked: the receiver is asked what became of it, else a person decides",
}


def type_document(known: DestinationType) -> Document:
    """One type: what it can do and what it needs. A limit that is null is none; `fields` that are null are any."""
    can, members = known.capabilities, known.capabilities.members
    return {
        "type": known.word,
        "about": known.about,
        "family": "audiences" if members else "files",
        "package": next((offered.package for offered in OFFERED if offered.type is known), None),
        "needs": f"pip install 'cdp-exports[{known.extra}]'" if known.extra else None,
        "formats": {word: _compressions(word, can) for word in _FORMATS if word in can.formats},
        "modes": ["incremental"] if members else sorted(can.modes, reverse=True),
        "accepts": [word for word, takes in (("people", can.accepts_people), ("accounts", can.accepts_accounts)) if takes],
        "limits": {
            "audience_max": can.audience_max,
            "audience_min": can.audience_min,
            "delivery_max": can.delivery_max,
            "file_max": can.file_max,
            "batch_max": members.batch_max if members else None,
        },
        "hashes_identities": can.hashes_identities,
        "proof": can.proof.value if can.proof else None,
        "publishes_atomically": can.conditional_create,
        "repeat": members.repeat.value if members else None,
        "takes_key": members.takes_key if members else True,
        "fields": _fields(members),
        "required_fields": [sorted(together) for together in members.any_of] if members else [],
        "keys": [vars(key) for key in _keys(known)],
        "example": known.example,
    }


def _keys(known: DestinationType) -> list[Key]:
    """Those of the type itself first; without those that mean nothing to it."""
    keys = {key: key.name.partition(".")[0] for key in keys_of(known.connection)}
    own = [key for key, first in keys.items() if first == "type" or first not in Receiver.model_fields]
    useless = () if known.takes_files else CONNECTIONS_OF_FILES
    return own + [key for key, first in keys.items() if key not in own and first not in useless]


def _compressions(word: str, can: Capabilities) -> list[str]:
    known: tuple[str, ...] = get_args(_FORMATS[word].model_fields["compression"].annotation)
    return [one for one in known if can.compressions is None or one in can.compressions]


def _fields(members: Members | None) -> list[Document] | None:
    if members is None or members.fields is None:
        return None
    return [
        {"field": field.name, "about": field.about, "identity": field.identity, "transforms": list(field.transforms)}
        for field in members.fields
    ]


def formats_said(document: Document) -> str:
    """Formats, each with its compressions where not all are taken.

    >>> formats_said({"formats": {"csv": ["gzip", "none"], "json": ["none"]}})
    'csv, json (none)'
    """
    said = (
        word if set(taken) == set(get_args(_FORMATS[word].model_fields["compression"].annotation)) else f"{word} ({', '.join(taken)})"
        for word, taken in document["formats"].items()
    )
    return ", ".join(said)


def limits_said(document: Document) -> str:
    """The limits that there are.

    >>> none = dict.fromkeys(("audience_max", "audience_min", "delivery_max", "file_max", "batch_max"))
    >>> limits_said({"limits": {**none, "audience_min": 300, "audience_max": 100_000}})
    '300 to 100,000 members'
    """
    limits: dict[str, int | None] = document["limits"]
    lowest, highest = limits["audience_min"], limits["audience_max"]
    said = [f"{lowest or 0:,} to {highest:,} members" if highest else f"at least {lowest:,} members"] if highest or lowest else []
    for key, what in (("delivery_max", "a delivery"), ("file_max", "a file"), ("batch_max", "a batch")):
        if limits[key]:
            said.append(f"{limits[key]:,} {'members' if key == 'batch_max' else 'rows'} {what}")
    return "; ".join(said)


def abilities(document: Document) -> Iterator[tuple[str, str]]:
    """What a type can do, as pairs for people."""
    if document["family"] == "files":
        yield "sends", f"files: {formats_said(document)}"
        yield "exports", ", ".join(document["modes"])
        yield "proof", PROOFS[Proof(document["proof"])] if document["proof"] else "none"
        yield "published", "by creating the manifest only where none is" if document["publishes_atomically"] else "by writing the manifest"
    else:
        yield "sends", "members, in batches"
        yield "exports", "incremental, and everybody again by `--full`"
        yield "a batch in doubt", REPEATS[Repeat(document["repeat"])]
    yield "takes", " and ".join(document["accepts"])
    if said := limits_said(document):
        yield "limits", said
    if document["hashes_identities"]:
        yield "identities", "leave as SHA-256 only"
    if document["required_fields"]:
        yield "needs one of", "; ".join(" and ".join(together) for together in document["required_fields"])
    if document["family"] == "audiences":
        yield "the dataset's key", "is sent besides, unless `include_key: false`" if document["takes_key"] else "is not sent"
    if document["needs"]:
        yield "needs", document["needs"]
    if document["package"]:
        yield "from", f"the package {document['package']}"


_BEGINNING = """\
# Types of destinations

<!-- Generated: python -m cdp_exports.catalog.destination_types > docs/destination-types.md -->

What each type of connection can do; `cdp-exports destinations` shows the same, with the types that [other packages](extending.md) add.
How they are set up stands in [Destinations](destinations.md). An export that asks for more than its destination can do is refused when
the catalog loads. A connection may have smaller batches than its type allows, and know better what becomes of a batch in doubt."""


def page(types: Iterable[DestinationType]) -> str:
    """The whole page, Markdown."""
    documents = [type_document(known) for known in types]
    rows = [
        f"| [`{one['type']}`](#{one['type']}) | {one['about']} | {'members' if one['family'] == 'audiences' else formats_said(one)} | "
        f"{', '.join(one['accepts'])} | {limits_said(one)} |"
        for one in documents
    ]
    overview = "\n".join(["| type | what | sends | takes | limits |", "|---|---|---|---|---|", *rows])
    return "\n\n".join([_BEGINNING, overview, *(part for one in documents for part in _section(one))]) + "\n"


def _section(document: Document) -> Iterator[str]:
    word = document["type"]
    yield f"## `{word}`"
    yield f"{document['about']}. [All keys](catalog.md#keys-of-a-connection-with-type-{word})."
    if document["example"]:
        yield f"```yaml\n# catalog/connections/{word}.yaml\n{document['example']}```"
    yield _table(("", ""), abilities(document))
    if document["fields"]:
        fields = (
            (f"`{one['field']}`", one["about"], "yes" if one["identity"] else "", ", ".join(f"`{step}`" for step in one["transforms"]))
            for one in document["fields"]
        )
        yield _table(("field (`to`)", "what it is", "identity", "transforms of its own"), fields)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (f"| {' | '.join(cells)} |" for cells in rows)
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *lines])


if __name__ == "__main__":
    sys.stdout.write(page(TYPES.values()))
