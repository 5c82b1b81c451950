"""What a type of connection can do: it declares it about itself; the catalog and the delivery ask, nothing is guessed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cdp_exports.errors import DeclarationError


class Proof(StrEnum):
    """How it is known that what is stored is what was sent, strongest first."""

    STORED = "stored"  # a checksum the store computed over what it stored
    TRANSPORT = "transport"  # each part's checksum was checked by the server on arrival
    REREAD = "reread"  # the file was read back and hashed
    SIZE = "size"  # only the size was compared


class Repeat(StrEnum):
    """What sending a batch of changes a second time does, where nobody knows whether the first time arrived."""

    HARMLESS = "harmless"  # adding and removing members is the same however often it is done
    BY_KEY = "by_key"  # the receiver knows a batch by its key, and applies it once
    UNKNOWN = "unknown"  # it may be applied twice: asked for its outcome first, else a person decides


@dataclass(frozen=True)
class Known:
    """A field that an audience destination knows, by the name that `to` gives it."""

    name: str
    about: str  # one sentence for whoever maps it
    identity: bool = False  # members are told apart by it
    transforms: tuple[str, ...] = ()  # applied last, unless the declared ones end in a hash already


@dataclass(frozen=True)
class Members:
    """What only audience destinations say of themselves. `fields` None: they take any field."""

    batch_max: int  # changes in one call
    repeat: Repeat
    fields: tuple[Known, ...] | None = None
    any_of: tuple[frozenset[str], ...] = ()  # all fields of at least one of these sets must be mapped
    takes_key: bool = True  # takes the dataset's key beside the fields


@dataclass(frozen=True)
class Capabilities:
    """Limits are numbers of members or rows; None: it has none. `members` makes it an audience destination, else it takes files."""

    proof: Proof | None
    formats: frozenset[str]
    conditional_create: bool  # can create an object only where none is, decided by the store
    compressions: frozenset[str] | None = None  # None: all that its formats know
    modes: frozenset[str] = frozenset({"incremental", "full"})
    accepts_people: bool = True
    accepts_accounts: bool = True  # takes a segment of accounts as it is
    hashes_identities: bool = False  # identities leave as SHA-256 hex only
    audience_max: int | None = None  # members it may hold after a delivery
    audience_min: int | None = None
    delivery_max: int | None = None  # rows of one delivery
    file_max: int | None = None  # rows of one file
    members: Members | None = None


def capabilities_of(connection_type: str) -> Capabilities:
    """What a connection of this type can do.

    Raises:
        DeclarationError: no such type is installed (any more).

    >>> capabilities_of("local").proof
    <Proof.REREAD: 'reread'>
    """
    from cdp_exports.entities.connection import TYPES  # the table is made of what stands here

    if connection_type not in TYPES:
        raise DeclarationError(
            f"No type of destination {connection_type!r} is installed; the types are {', '.join(TYPES)}.",
            next_step="Install the package that offers it.",
        )
    return TYPES[connection_type].capabilities
