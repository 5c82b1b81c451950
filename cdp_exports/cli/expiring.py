"""`expire`: remove files whose time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.documents import Document
from cdp_exports.cli.options import asked, catalog_option, json_option
from cdp_exports.cli.screen import number, progress, show, table, text
from cdp_exports.cli.session import session
from cdp_exports.errors import CdpExportsError

if TYPE_CHECKING:
    from cdp_exports.ledger.records import Delivery


@click.command("expire")
@click.argument("connection", required=False)
@json_option
@catalog_option
def expire_files(connection: str | None) -> None:
    """Remove delivered files whose time is over.

    Connections with `keep_for` keep files for that time; manifests announce when it ends and stay. Each delivery and
    `verify` remove what is over of their export; this command does it for all, also for exports that are not declared
    any more. Dagster runs it every hour: the schedule ENVIRONMENT__expire_files.

    \b
    Examples:
      cdp-exports expire
      cdp-exports expire drop_folder
    """
    from cdp_exports.delivery.expiring import expire

    with session() as opened, progress(()) as watch:
        document = {"deliveries": list[Document]()}
        try:
            for delivery in expire(opened.context(watch), connection):
                document["deliveries"].append(_document(delivery))
        except CdpExportsError:
            if document["deliveries"] and not asked(click.get_current_context()).as_json:
                show(document, *_drawn(document))
            raise
    show(document, *_drawn(document))


def _document(delivery: Delivery) -> Document:
    return {
        "export": delivery.export,
        "member": delivery.member,
        "export_time": str(delivery.export_time),
        "connection": delivery.pin.connection_id,
        "files": len([file for file in delivery.files if not file.removed]),
    }


def _drawn(document: Document) -> list[Any]:
    if not document["deliveries"]:
        return [text("No file's time is over.")]
    rows = table("export and member", "export time", "connection", "#files removed")
    for removed in document["deliveries"]:
        rows.add_row(f"{removed['export']} {removed['member']}", removed["export_time"], removed["connection"], number(removed["files"]))
    return [rows]
