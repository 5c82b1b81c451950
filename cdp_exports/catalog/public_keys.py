"""The keys that files are encrypted to, as far as the catalog can judge them: files that are there and hold usable public keys.

Whether a key has expired is asked when something is sent: a catalog that was right stays right.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.finding import Finding, of_connection
from cdp_exports.encryption.keys import read_keys
from cdp_exports.errors import DeclarationError


def unusable_keys(catalog: Catalog) -> Iterator[Finding]:
    """Files of `encrypt_to` that nothing can be encrypted to. What variables hold is read where the run executes."""
    for name, connection in catalog.connections.items():
        for index, item in enumerate(connection.encrypt_to):
            if not isinstance(item, str):
                continue
            try:
                read_keys([item], catalog.root, {}, datetime.now(UTC))
            except DeclarationError as error:
                yield of_connection(name, ("encrypt_to", index), f"{error.message} {error.next_step}")
