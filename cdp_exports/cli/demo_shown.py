"""What the demo shows: tables changed, files landed, rows counted in them, and where to go from here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.cli.demo_tables import TABLES, Changed
from cdp_exports.cli.documents import address
from cdp_exports.cli.screen import number, size, table, text
from cdp_exports.cli.session import Session

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text
    from rich.tree import Tree

    from cdp_exports.delivery.member import Member
    from cdp_exports.ledger.records import Delivery

_SHOWN = 4  # deliveries of a member whose files are shown, counted from the newest


def changes(tables: Mapping[str, Changed]) -> Table:
    """What was written to each table."""
    rows = table("table", "#version", "#inserted", "#updated", "#deleted", "feed of changes")
    for name, changed in tables.items():
        rows.add_row(
            name,
            number(changed.version),
            number(changed.inserted),
            number(changed.updated),
            number(changed.deleted),
            "on" if TABLES[name].change_feed else "off",
        )
    return rows


def landed(opened: Session, exports: Sequence[str]) -> list[Tree]:
    """The destinations' folders as they are now, with the rows that the manifests count."""
    from rich.tree import Tree

    trees: dict[str, Tree] = {}
    for member in (member for export in exports for member in _members(opened, export)):
        place = member.destination.place
        tree = trees.setdefault(place, Tree(text(address(place), "bold")))
        folder = member.owner_folder()
        branch = tree.add(text(f"{folder}/", "bold"))
        delivered = opened.ledger.committed(member.environment, member.exports, member.members)
        if len(delivered) > _SHOWN:
            branch.add(text(f"... {len(delivered) - _SHOWN} earlier deliveries", "dim"))
        for delivery in delivered[-_SHOWN:]:
            below = branch.add(text(f"{delivery.pin.folder.removeprefix(folder).strip('/')}/"))
            rows = {file.path: file.rows for file in delivery.files}
            for stored in member.destination.list(delivery.pin.folder):
                said = f"{number(rows[stored.path])} rows, {size(stored.size)}" if stored.path in rows else size(stored.size)
                line = text(f"{stored.path.rpartition('/')[2]}  ")
                below.add(line.append(said, style="dim"))
        branch.add(text("_owner", "dim"))
    return list(trees.values())


def counted(opened: Session, exports: Sequence[str]) -> Table:
    """The rows of the newest delivery of each dataset by kind of change, counted in the delivered files."""
    return _counted(opened, exports, "dataset", "_change_type", ("insert", "update", "delete"))


def moved(opened: Session, exports: Sequence[str]) -> Table:
    """The rows of the newest delivery of each segment by status, counted in the delivered files."""
    return _counted(opened, exports, "segment", "segment_status", ("entered", "updated", "exited"))


def _counted(opened: Session, exports: Sequence[str], what: str, column: str, kinds: Sequence[str]) -> Table:
    rows = table("export", what, "export time", *(f"#{kind}" for kind in kinds))
    for export in exports:
        for member in _members(opened, export):
            delivery = member.last_committed()
            if delivery is not None:
                found = _count(member, delivery, column, kinds[0])
                rows.add_row(export, member.id, str(delivery.export_time), *(number(found.get(kind, 0)) for kind in kinds))
    return rows


def _count(member: Member, delivery: Delivery, column: str, without: str) -> dict[str, int]:
    """By what stands in a column; files without it hold rows that are new."""
    import polars as pl

    counts: dict[str, int] = {}
    for file in delivery.files:
        path = member.destination.uri(file.path)
        frame = pl.scan_parquet(path) if ".parquet" in file.path else pl.scan_csv(path)
        kind = pl.col(column) if column in frame.collect_schema().names() else pl.lit(without)
        for name, count in frame.group_by(kind.alias("kind")).len().collect().iter_rows():
            counts[name] = counts.get(name, 0) + count
    return counts


def next_steps(catalog: Path) -> Text:
    """What to do now. In a clone of this repository the program stands in its own environment, called from its folder."""
    home = catalog.absolute().parent
    in_clone = (home / "justfile").is_file()
    program = ".venv/bin/cdp-exports" if in_clone else "cdp-exports"
    folder = "" if in_clone else f" {shlex.quote(str(home))}"
    option = "" if in_clone else f" --catalog{folder}/catalog"
    served = (
        "just dev"
        if in_clone
        else f"DAGSTER_HOME={folder.strip()} CDP_EXPORTS_CATALOG={folder.strip()}/catalog dagster dev -m cdp_exports.definitions"
    )
    said = text("\nNext\n", "bold")
    for what, command in (
        ("see the exports and their runs in the Dagster UI", served),
        ("see what was delivered, when and why", f"{program} history{option}"),
        ("see what a run would deliver now", f"{program} plan best_customers_to_ads{option}"),
        ("see what became of one customer", f"{program} explain best_customers_to_ads 42{option}"),
        ("change the tables again and deliver the next increments", "just demo" if in_clone else f"{program} demo{folder}"),
    ):
        said.append(f"  {what}:\n    {command}\n", "not bold")
    return said


def _members(opened: Session, export: str) -> list[Member]:
    from cdp_exports.delivery.context import silent
    from cdp_exports.delivery.member import members_of

    return members_of(opened.context(silent), export)
