"""What each type of connection can do, known without opening it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cdp_exports.destinations.destination import Capabilities, Proof

_FILES = frozenset({"parquet", "json", "csv"})

CAPABILITIES: Mapping[str, Capabilities] = MappingProxyType(
    {
        "local": Capabilities(proof=Proof.REREAD, formats=_FILES, conditional_create=True),
        "s3": Capabilities(proof=Proof.STORED, formats=_FILES, conditional_create=True),
    }
)
"""By the connection's `type`."""


def capabilities_of(connection_type: str) -> Capabilities:
    """What a connection of this type can do.

    >>> capabilities_of("local").proof
    <Proof.REREAD: 'reread'>
    """
    return CAPABILITIES[connection_type]
