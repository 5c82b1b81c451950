"""What every connection says about who receives there."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from cdp_exports.entities.model import Address, Declared, Id, Several, Word
from cdp_exports.entities.refresh import Span
from cdp_exports.entities.secret import Secret, is_reference


class Suppression(Declared):
    """A dataset that lists whom nothing may be sent about."""

    dataset: Id
    """The dataset."""

    column: Word
    """Its column with a key or an identifier, as it is or hashed. Nulls suppress nobody."""

    matches: Word
    """What it is compared with: an SQL expression over the members, such as `sha256(lower(trim(email)))`."""


def _file_or_variable(value: object) -> str:
    return "variable" if is_reference(value) else "file"


KeySource = Annotated[Annotated[Address, Tag("file")] | Annotated[Secret, Tag("variable")], Discriminator(_file_or_variable)]
"""A file with OpenPGP public keys, or the environment variable that holds their text."""


class Receiver(Declared):
    """The keys that connections of all types have."""

    type: Any
    """The kind of destination. Each type of connection declares it as a literal: the word that tells it from the others."""

    description: str | None = None
    """For whoever reads the catalog."""

    purpose: Id | None = None
    """What the data is used for there. Only people whose profile grants this purpose leave (`consent` of the dataset)."""

    suppress: Several[Suppression] = ()
    """Lists of people that never leave."""

    encrypt_to: Several[KeySource] = ()
    """The OpenPGP public keys that files are encrypted to, so that each of their owners can read them: files, relative to the
    catalog's parent folder, or `{env: NAME}` with the armored text. Default: files are not encrypted."""

    lower_case: bool = False
    """Whether the folders below the connection's are created in lower case, for receivers that demand it: `exportTime=` becomes
    `exporttime=`. File names keep their case."""

    keep_for: Span | None = None
    """How long files stay there: a time span such as `7d`. Afterwards they are removed; manifests stay, and announce it as
    `expires_at`. Default: files stay until somebody removes them."""

    accepts: Annotated[Several[Literal["people", "accounts"]], Field(min_length=1)] = ("people", "accounts")
    """Whom the receiver takes: `[people]` for a tool that cannot take accounts."""

    shared_with: Literal["administrators"] = "administrators"
    """Who may use it. Only administrators until roles exist."""

    @field_validator("shared_with", mode="before")
    @classmethod
    def _no_roles_yet(cls, value: object) -> object:
        if value != "administrators":
            raise ValueError("roles do not exist yet, so a connection cannot be shared; leave `shared_with` out")
        return value

    @abstractmethod
    def place(self, root: Path) -> tuple[str, ...]:
        """Which place in the world is meant, so that two ways to write it compare equal: the kind of store, the store, and the folders
        down from its root; of an audience destination, the account. `root`: where relative local folders count from."""
