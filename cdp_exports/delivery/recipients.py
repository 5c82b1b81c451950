"""To whom deliveries are encrypted: the keys of the connection, and those that a delivery was pinned to."""

from __future__ import annotations

import os
from contextlib import suppress

from cdp_exports.delivery.member import Member
from cdp_exports.encryption.keys import PublicKey, expiring, read_keys, refuse_expired
from cdp_exports.entities.connection import CONNECTION
from cdp_exports.errors import CdpExportsError, DeclarationError, DestinationRefused
from cdp_exports.ledger.records import Pin


def recipients(member: Member) -> tuple[PublicKey, ...]:
    """The keys that a new delivery is encrypted to; none: it is not encrypted.

    Raises:
        DeclarationError: a key is missing or not usable.
        DestinationRefused: a key has expired.
    """
    catalog, now = member.context.catalog, member.context.ledger.now()
    keys = read_keys(catalog.connections[member.export.connection].encrypt_to, catalog.root, os.environ, now)
    refuse_expired(keys, now)
    return keys


def pinned_keys(member: Member, pin: Pin) -> tuple[PublicKey, ...]:
    """The keys that every attempt of a delivery is encrypted to, wherever they are declared by now.

    Raises:
        DestinationRefused: one is not there any more, or may no longer be used.
    """
    if not pin.recipients:
        return ()
    catalog, now = member.context.catalog, member.context.ledger.now()
    present = catalog.connections.get(pin.connection_id)
    declared = (*(present.encrypt_to if present else ()), *CONNECTION.validate_python(pin.connection).encrypt_to)
    found: dict[str, PublicKey] = {}
    for item in declared:
        with suppress(DeclarationError):  # what is not found is said below
            found |= {key.fingerprint: key for key in read_keys([item], catalog.root, os.environ, now)}
    if missing := [fingerprint for fingerprint in pin.recipients if fingerprint not in found]:
        raise DestinationRefused(
            f"The delivery is pinned to the OpenPGP key {missing[0]}, which `encrypt_to` no longer holds, or which may no longer be used.",
            next_step="Put the key back, or run a new export time: that is encrypted to the keys of today.",
        )
    keys = tuple(found[fingerprint] for fingerprint in pin.recipients)
    refuse_expired(keys, now)
    return keys


def key_warnings(member: Member, pin: Pin) -> tuple[str, ...]:
    """A sentence for each key of a delivery that expires soon."""
    with suppress(CdpExportsError):  # what is wrong with a key was said before anything was sent
        return expiring(pinned_keys(member, pin), member.context.ledger.now())
    return ()
