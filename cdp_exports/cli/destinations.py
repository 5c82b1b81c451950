"""`destinations`: which types of destinations there are, and what each needs."""

from __future__ import annotations

from typing import Any

import click

from cdp_exports.cli.documents import Document
from cdp_exports.cli.options import catalog_option, json_option
from cdp_exports.cli.screen import between, note, show, table, text
from cdp_exports.errors import DeclarationError


@click.command("destinations")
@click.argument("type", required=False)
@json_option
@catalog_option
def show_destinations(type: str | None) -> None:
    """Show the types of destinations, or all about one.

    What each takes, its limits, and how it is proved that what arrived is what was sent; of one type also the keys of a
    connection, the fields it knows, and an example. Types that other packages offer are among them.

    \b
    Examples:
      cdp-exports destinations
      cdp-exports destinations sftp
      cdp-exports destinations --json
    """
    from cdp_exports.catalog.destination_types import type_document
    from cdp_exports.entities.connection import OFFERED, TYPES

    if type is None:
        documents = [type_document(known) for known in TYPES.values()]
        broken = [{"type": offered.word, "package": offered.package, "why": offered.why} for offered in OFFERED if not offered.type]
        show({"types": documents, "not_usable": broken}, *_drawn_list(documents), *_drawn_broken(broken))
        return
    document = type_document(TYPES[_known(type)])
    show({"types": [document], "not_usable": []}, *_drawn_one(document))


def _known(word: str) -> str:
    from cdp_exports.entities.connection import OFFERED, TYPES
    from cdp_exports.entities.nearest import nearest

    if word in TYPES:
        return word
    if why := next((offered.why for offered in OFFERED if offered.word == word), ""):
        raise DeclarationError(f"The type {word!r} cannot be used: {why}.", next_step="`cdp-exports destinations` shows the others.")
    raise DeclarationError(
        f"There is no type of destination {word!r}{nearest(word, TYPES)}.", next_step=f"The types are {', '.join(TYPES)}."
    )


def _drawn_list(documents: list[Document]) -> list[Any]:
    from cdp_exports.catalog.destination_types import formats_said, limits_said

    rows = table("type", "what", "sends", "takes", "limits", "proof", "needs")
    for one in documents:
        sends = "members" if one["family"] == "audiences" else formats_said(one)
        cells = one["type"], one["about"], sends, ", ".join(one["accepts"]), limits_said(one), one["proof"], one["package"] or one["needs"]
        rows.add_row(*map(text, cells))
    return [rows]


def _drawn_broken(broken: list[Document]) -> list[Any]:
    return [note(one["type"], f"not usable: {one['why']}.", style="yellow") for one in broken]


def _drawn_one(document: Document) -> list[Any]:
    from cdp_exports.catalog.destination_types import abilities

    can = table("", "", title=f"{document['type']}: {document['about']}")
    for what, said in abilities(document):
        can.add_row(what, text(said.replace("`", "")))
    keys = table("key", "type", "default", "meaning", title="Keys of a connection")
    for key in document["keys"]:
        default = "required" if key["required"] else key["default"]
        keys.add_row(*map(text, (key["name"], key["type"], default, key["meaning"].replace("`", ""))))
    drawn = [can, keys]
    if document["fields"]:
        fields = table("field (to)", "what it is", "identity", "transforms of its own", title="Fields")
        for field in document["fields"]:
            about, identity = field["about"].replace("`", ""), "yes" if field["identity"] else ""
            fields.add_row(*map(text, (field["field"], about, identity, ", ".join(field["transforms"]))))
        drawn.append(fields)
    example = f"# catalog/connections/{document['type']}.yaml\n{document['example']}".rstrip()
    return [*between(drawn), *([text(""), text(example)] if document["example"] else [])]
