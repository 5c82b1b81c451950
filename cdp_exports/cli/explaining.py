"""`explain`: what became of one profile, account or row in each delivery. The key is printed to whoever typed it, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.documents import Document, versions_document, versions_said
from cdp_exports.cli.options import at_option, catalog_option, export_argument, json_option, member_option
from cdp_exports.cli.screen import between, progress, show, table, text
from cdp_exports.cli.session import session

if TYPE_CHECKING:
    from cdp_exports.delivery.explaining import Fate
    from cdp_exports.delivery.member import Member
    from cdp_exports.entities.export_time import ExportTime

_STYLES = {"entered": "green", "inserted": "green", "updated": "green", "exited": "yellow", "deleted": "yellow", "left_out": "yellow"}
_SAID = {
    "unchanged": "held unchanged",
    "left_out": "left out",
    "not_a_member": "not a member",
    "not_in_dataset": "not in the dataset",
    "not_sent": "not in this delivery",
}


@click.command("explain")
@export_argument
@click.argument("key", nargs=-1, required=True)
@member_option("Only this dataset's or segment's deliveries.")
@at_option(required=False, help="Only the delivery of this export time. Default: the newest ones.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many deliveries, counted from the newest.")
@json_option
@catalog_option
def explain_key(export: str, key: tuple[str, ...], members: tuple[str, ...], export_time: ExportTime | None, limit: int) -> None:
    """Say what became of one profile, account or row in each delivery.

    KEY is its key; of a key of several columns their values, in the order of the columns. Newest deliveries first: whether
    it entered, was updated, or left and why; whether the receiver held it unchanged; or at which step it fell out
    (no_consent, suppressed, missing:FIELD, duplicate, over_limit, without_contact), or that it was no member, or not in the
    dataset. Each line says how that is known: from the state folder, by evaluating the segment once more from the versions
    that were delivered, from the tables, from the delivered files, or from the ledger. `unknown` where nothing tells any
    more.

    Of accounts whose contacts are exploded the account's key shows all its contacts; the contact's key behind it shows one.
    A key that begins with - goes behind --.

    \b
    Examples:
      cdp-exports explain high_value_to_ads 4711
      cdp-exports explain high_value_to_ads 4711 --member high_value --at 202612010200
      cdp-exports explain accounts_to_sales 17 3 --json
      cdp-exports explain temperatures_to_lake -- -40
    """
    from cdp_exports.delivery.explaining import explain, key_columns
    from cdp_exports.delivery.member import members_of

    with session() as opened, progress(()) as watch:
        asked = members_of(opened.context(watch), export, members or None)
        told = [
            {
                "member": member.id,
                "key": dict(zip(key_columns(member), key, strict=False)),
                "deliveries": [_document(member, key, fate) for fate in explain(member, key, export_time=export_time, limit=limit)],
            }
            for member in asked
        ]
    document = {"export": export, "kind": asked[0].export.kind, "members": told}
    show(document, *_drawn(document))


def _document(member: Member, key: tuple[str, ...], fate: Fate) -> Document:
    from cdp_exports.delivery.explaining import key_columns

    return {
        "export_time": str(fate.delivery.export_time),
        "what": fate.what,
        "reason": fate.reason,
        "sent": fate.sent,
        "contact": dict(zip(key_columns(member)[len(key) :], fate.contact, strict=False)) or None,
        "known_by": fate.known_by,
        "versions": versions_document(fate.delivery.pin),
    }


def _drawn(document: Document) -> list[Any]:
    drawn: list[Any] = []
    for member in document["members"]:
        contacts = any(fate["contact"] for fate in member["deliveries"])
        named = ", ".join(f"{name} {value}" for name, value in member["key"].items())
        title = f"{document['export']}/{member['member']}: {named}"
        if not member["deliveries"]:
            drawn.append(text(f"{title}\n", "bold").append("Nothing was delivered yet.", "not bold"))
            continue
        rows = table("export time", *(["contact"] if contacts else []), "what", "reason", "known by", title=title)
        for fate in member["deliveries"]:
            contact = [", ".join(fate["contact"].values()) if fate["contact"] else ""] if contacts else []
            rows.add_row(fate["export_time"], *contact, _what(fate), fate["reason"] or "", _known_by(fate))
        drawn.append(rows)
    return between(drawn)


def _what(fate: Document) -> Any:
    unsent = " (not sent, as declared)" if fate["what"] in ("entered", "updated", "exited", "deleted") and not fate["sent"] else ""
    return text(_SAID.get(fate["what"], fate["what"]), _STYLES.get(fate["what"], "")).append(unsent, "dim")


def _known_by(fate: Document) -> str:
    versions = versions_said(fate["versions"])
    if fate["known_by"] is None:
        return "nothing tells any more"
    return {
        "state": "the state folder",
        "evaluation": f"evaluated again: {versions}",
        "table": f"the table: {versions}",
        "files": "the delivered files",
        "ledger": "the ledger: nothing was sent",
    }[fate["known_by"]]
