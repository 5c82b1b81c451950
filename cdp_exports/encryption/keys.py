"""OpenPGP public keys: read, judged, and shown by fingerprint and expiry.

Sequoia checks signatures and algorithms. It encrypts to expired and to revoked keys all the same, so both are judged here:
a subkey that may not be used is taken out of the key before anything is encrypted to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.entities.secret import Secret
from cdp_exports.errors import DeclarationError, DestinationRefused

if TYPE_CHECKING:
    from pysequoia import Cert
    from pysequoia.packet import Packet  # pyright: ignore[reportMissingModuleSource]

SOON = timedelta(days=30)
"""How long before a key expires one is warned."""


@dataclass(frozen=True)
class PublicKey:
    """A key that files can be encrypted to.

    `fingerprint`: of the primary key, in capital hexadecimal digits as GnuPG shows it. `expires`: when the primary key or the
    last subkey for encryption does; None: never. `content`: the key in binary, without subkeys that may not be used.
    """

    fingerprint: str
    expires: datetime | None
    content: bytes

    def __str__(self) -> str:
        return f"{self.fingerprint} ({f'expires {self.expires:%Y-%m-%d}' if self.expires else 'never expires'})"


def read_keys(declared: Sequence[str | Secret], root: Path, environ: Mapping[str, str], now: datetime) -> tuple[PublicKey, ...]:
    """The keys of `encrypt_to`, each once. Relative files count from `root`. Some may have expired.

    Raises:
        DeclarationError: a file or variable is missing, holds no public key, holds a private one, or one that was revoked or is
            for signatures only; the package that encrypts is missing.
    """
    keys = [key for item in declared for key in read_key_file(item, root, environ, now)]
    return tuple({key.fingerprint: key for key in keys}.values())


def read_key_file(item: str | Secret, root: Path, environ: Mapping[str, str], now: datetime) -> list[PublicKey]:
    """The keys of one item of `encrypt_to`. Raises as `read_keys` does."""
    if isinstance(item, Secret):
        name, content = f"The environment variable {item.env}", item.reveal(environ).replace("\\n", "\n").encode()
    else:
        file = root / item
        name = str(file)
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DeclarationError(
                f"{file}, a file with a public key, cannot be read: {error.strerror}.",
                next_step="Correct `encrypt_to`; relative paths count from the catalog's parent folder.",
            ) from None
    return [_judged(cert, name, now) for cert in _certificates(content, name)]


def refuse_expired(keys: Sequence[PublicKey], now: datetime) -> None:
    """Raises DestinationRefused: a key has expired, so nothing is sent."""
    for key in keys:
        if key.expires is not None and key.expires <= now:
            raise DestinationRefused(
                f"The OpenPGP key {key.fingerprint} expired on {key.expires:%Y-%m-%d}; nothing is encrypted to it.",
                next_step="Ask its owner for the renewed key, and put it in the place of the old one.",
            )


def expiring(keys: Sequence[PublicKey], now: datetime) -> tuple[str, ...]:
    """A sentence for each key that expires soon."""
    return tuple(
        f"The OpenPGP key {key.fingerprint} expires on {key.expires:%Y-%m-%d}, and from then on deliveries fail: ask its owner for the"
        " renewed key."
        for key in keys
        if key.expires is not None and now < key.expires <= now + SOON
    )


def _certificates(content: bytes, name: str) -> list[Cert]:
    try:
        from pysequoia import Cert
        from pysequoia.packet import PacketPile, Tag  # pyright: ignore[reportMissingModuleSource]
    except ImportError:
        raise DeclarationError("Encrypting needs the package pysequoia.", next_step="pip install 'cdp-exports[pgp]'") from None
    if b"PRIVATE KEY BLOCK" in content:
        raise _private(name)
    try:
        found = Cert.split_bytes(content)
        tags = [packet.tag for packet in PacketPile.from_bytes(content)]
    except RuntimeError:  # its text is of no use to whoever exports, and may show what was read
        found, tags = [], []
    if Tag.SecretKey in tags or Tag.SecretSubkey in tags:
        raise _private(name)
    if not found:
        raise DeclarationError(
            f"{name} holds no OpenPGP public key, or a damaged one.",
            next_step="Ask the receiver for it, as `gpg --armor --export THEIR-ADDRESS` writes it.",
        )
    return found


def _private(name: str) -> DeclarationError:
    return DeclarationError(
        f"{name} holds a private key. Whoever has it reads everything that is encrypted to it.",
        next_step="Remove it from here, tell its owner, and put the public key there: `gpg --armor --export ADDRESS`.",
    )


def _judged(cert: Cert, name: str, now: datetime) -> PublicKey:
    fingerprint = cert.fingerprint.upper()
    if cert.is_revoked:
        raise DeclarationError(
            f"{name}: the OpenPGP key {fingerprint} was revoked by its owner.", next_step="Ask its owner for the one that took its place."
        )
    primary, subkeys = _parts(cert)
    current = [subkey for subkey in subkeys if not subkey.revoked and not _past(subkey.expires, now)]
    encrypting = [subkey for subkey in current if subkey.encrypts]
    expired = [subkey.expires for subkey in subkeys if subkey.encrypts and not subkey.revoked and subkey.expires]
    pruned = _encrypting([*primary, *(packet for subkey in current for packet in subkey.packets)])
    if pruned is not None:
        ends = [cert.expiration, _latest(encrypting)]
        return PublicKey(fingerprint, min((end for end in ends if end), default=None), pruned)
    if expired:
        return PublicKey(fingerprint, max(expired), bytes(cert))
    raise DeclarationError(
        f"{name}: nothing can be encrypted to the OpenPGP key {fingerprint}: it is for signatures only, its subkey for encryption"
        " was revoked, or its algorithms are no longer safe or not known (SHA-1, RSA below 2048 bits, ElGamal, Brainpool).",
        next_step="Ask its owner for a key for encryption.",
    )


@dataclass(frozen=True)
class _Subkey:
    packets: list[Packet]  # the key and its signatures
    encrypts: bool
    revoked: bool
    expires: datetime | None


def _parts(cert: Cert) -> tuple[list[Packet], list[_Subkey]]:
    """The packets of the primary key and its user ids, and the subkeys."""
    from pysequoia.packet import PacketPile, Tag  # pyright: ignore[reportMissingModuleSource]

    primary: list[Packet] = []
    subkeys: list[list[Packet]] = []
    for packet in PacketPile.from_bytes(bytes(cert)):
        if packet.tag == Tag.PublicSubkey:
            subkeys.append([packet])
        else:
            (subkeys[-1] if subkeys else primary).append(packet)
    return primary, [_subkey(packets) for packets in subkeys]


def _subkey(packets: list[Packet]) -> _Subkey:
    from pysequoia.packet import SignatureType  # pyright: ignore[reportMissingModuleSource]

    key, *signatures = packets
    bindings = [one for one in signatures if one.signature_type == SignatureType.SubkeyBinding]
    newest = max(bindings, key=lambda one: (one.signature_created is not None, one.signature_created), default=None)
    flags = newest.key_flags if newest else None
    valid = newest.key_validity_period if newest else None
    return _Subkey(
        packets,
        encrypts=flags is not None and (flags.transport_encryption or flags.storage_encryption),
        revoked=any(one.signature_type == SignatureType.SubkeyRevocation for one in signatures),
        expires=key.key_created + valid if key.key_created and valid else None,
    )


def _encrypting(packets: list[Packet]) -> bytes | None:
    """The key made of these packets, if something can be encrypted to it."""
    from pysequoia import Cert, encrypt

    try:
        cert = Cert.from_packets(packets)
        encrypt(b"", recipients=[cert], armor=False)
    except RuntimeError:
        return None
    return bytes(cert)


def _past(end: datetime | None, now: datetime) -> bool:
    return end is not None and end <= now


def _latest(subkeys: list[_Subkey]) -> datetime | None:
    ends = [subkey.expires for subkey in subkeys]
    return max((end for end in ends if end), default=None) if all(ends) else None
