"""A project with people in it: profiles, orders, accounts with contacts, four segments, and exports of them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from deltalake import DeltaTable, write_deltalake

from cdp_exports_tests.cli.conftest import Project

FILES = {
    "environment.yaml": "name: acme\naudience: accounts\n",
    "connections/crm.yaml": (
        "type: local\nfolder: crm\npurpose: marketing\nsuppress: [{dataset: unsubscribed, column: email, matches: email}]\n"
    ),
    "connections/lake.yaml": "type: local\nfolder: lake\n",
    "datasets/profiles.yaml": (
        "role: profile\nsource: {format: delta, uri: data/profiles}\nkey: [profile_id]\nconsent: {marketing: opted_in}\n"
        "columns: {profile_id: bigint, email: varchar, city: varchar, spent: double, opted_in: boolean}\n"
    ),
    "datasets/unsubscribed.yaml": "source: {format: delta, uri: data/unsubscribed}\ncolumns: {email: varchar}\n",
    "datasets/accounts.yaml": (
        "role: account\nsource: {format: delta, uri: data/accounts}\nkey: [account_id]\ncolumns: {account_id: bigint, seats: bigint}\n"
    ),
    "datasets/contacts.yaml": (
        "role: contact\nsource: {format: delta, uri: data/contacts}\nkey: [contact_id]\n"
        "columns: {contact_id: bigint, account_id: bigint, email: varchar}\n"
    ),
    "segments/vip.yaml": "of: profiles\nwhere: spent > 100\ndescription: Who spends much\n",
    "segments/lyon.yaml": "of: profiles\nsql: SELECT profile_id FROM profiles WHERE city = 'Lyon'\n",
    "segments/large.yaml": "of: accounts\nwhere: seats >= 10\n",
    "exports/vip_to_crm.yaml": (
        "kind: segment\nconnection: crm\nsegments: [vip, lyon]\n"
        "fields: [{from: email, to: EMAIL, required: true, identity: true}, {from: city}]\n"
        "dedupe_by: [email]\nlimits: {audience: {max: 4}}\n"
    ),
    "exports/vip_full.yaml": (
        "kind: segment\nconnection: crm\nsegments: [vip]\nmode: full\nfields: [{from: email}]\npath: full/{segment_id}/{export_time}\n"
    ),
    "exports/vip_to_lake.yaml": (
        "kind: segment\nconnection: lake\nsegments: [vip]\nfields: [{from: city}]\nformat: {type: json}\nsend: [entered, exited]\n"
    ),
    "exports/large_contacts.yaml": (
        "kind: segment\nconnection: lake\nsegments: [large]\nfields: [{from: email}]\nproject: {dataset: contacts, by: [account_id]}\n"
        "format: {type: parquet}\n"
    ),
    "exports/profiles_to_crm.yaml": (
        "kind: dataset\nconnection: crm\ndatasets: [profiles]\nconsent: required\nchanges: all\npath: people/{dataset_id}/{export_time}\n"
    ),
    "exports/profiles_to_lake.yaml": "kind: dataset\nconnection: lake\ndatasets: [profiles]\nchanges: all\n",
}
PEOPLE = [
    (1, "ada@example.org", "Lyon", 500.0, True),
    (2, "bea@example.org", "Nice", 300.0, True),
    (3, "cleo@example.org", "Lyon", 50.0, True),
    (4, "dan@example.org", "Nice", 900.0, False),  # no consent
    (5, "eve@example.org", "Nice", 700.0, True),  # unsubscribed
    (6, None, "Nice", 800.0, True),  # no address
    (7, "ada@example.org", "Nice", 400.0, True),  # the same address as 1
]
ACCOUNTS = [(1, 50), (2, 20), (3, 2)]
CONTACTS = [(10, 1, "a@example.org"), (11, 1, "b@example.org"), (30, 3, "c@example.org")]


def with_people(project: Project) -> Project:
    """The catalog and its tables, in a project of their own."""
    for file in sorted((project.root / "catalog").rglob("*.yaml")):
        file.unlink()
    for file, text in FILES.items():
        project.declare(file, text)
    write(project, "profiles", ["profile_id", "email", "city", "spent", "opted_in"], PEOPLE)
    write(project, "unsubscribed", ["email"], [("eve@example.org",)])
    write(project, "accounts", ["account_id", "seats"], ACCOUNTS)
    write(project, "contacts", ["contact_id", "account_id", "email"], CONTACTS)
    return project


def write(project: Project, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    write_deltalake(str(project.root / "data" / table), pl.DataFrame(rows, schema=columns, orient="row"))


def update(project: Project, where: str, **values: str) -> None:
    """Profiles, as SQL."""
    DeltaTable(str(project.root / "data" / "profiles")).update(predicate=where, updates=values)
