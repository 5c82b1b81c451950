"""Writes catalogs for tests, and reads what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cdp_exports.catalog.load import load
from cdp_exports.errors import DeclarationError

VALID: Mapping[str, str] = {
    "environment.yaml": "name: acme\n",
    "connections/lake.yaml": "type: local\nfolder: exports\n",
    "datasets/orders.yaml": "source: {format: delta, uri: data/orders}\nkey: [order_id]\n",
    "datasets/customers.yaml": "source: {format: delta, uri: data/customers}\nkey: [customer_id]\n",
    "exports/to_lake.yaml": "kind: dataset\nconnection: lake\ndatasets: [orders, customers]\n",
}

PEOPLE: Mapping[str, str] = {
    "connections/crm.yaml": "type: local\nfolder: crm\n",
    "datasets/profiles.yaml": """\
role: profile
source: {format: delta, uri: data/profiles}
key: [profile_id]
columns: {profile_id: bigint, email: varchar, country: varchar, value: double, last_seen: timestamptz, opt_in: boolean}
consent: {marketing: opt_in}
""",
    "segments/vips.yaml": "of: profiles\nwhere: value > 500\n",
    "exports/vips_to_crm.yaml": "kind: segment\nconnection: crm\nsegments: [vips]\nfields:\n- {from: email, to: EMAIL}\n",
}
"""What a catalog with a segment of people has beside the valid one."""

ACCOUNTS: Mapping[str, str] = {
    "environment.yaml": "name: acme\naudience: accounts\n",
    "datasets/accounts.yaml": """\
role: account
source: {format: delta, uri: data/accounts}
key: [account_id]
columns: {account_id: bigint, name: varchar, employees: bigint}
""",
    "datasets/contacts.yaml": """\
role: contact
source: {format: delta, uri: data/contacts}
key: [contact_id]
columns: {contact_id: bigint, account_id: bigint, email: varchar, opt_in: boolean}
""",
    "segments/firms.yaml": "of: accounts\nwhere: employees > 50\n",
    "exports/firms_to_crm.yaml": "kind: segment\nconnection: crm\nsegments: [firms]\n",
}
"""What a catalog with a segment of accounts has beside that."""


def write(parent: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """A valid catalog with these files added, replaced or (None) left out."""
    folder = parent / "catalog"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**VALID, **files}.items():
        if content is not None:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def problems(folder: Path) -> list[str]:
    """All problems, `file:line: sentence`; none for a good catalog."""
    try:
        load(folder)
    except DeclarationError as error:
        return [str(problem) for problem in error.problems]
    return []
