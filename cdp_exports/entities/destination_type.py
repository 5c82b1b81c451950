"""A type of destination: all that the rest asks about it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, get_args

from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.entities.receiver import Receiver


@dataclass(frozen=True)
class DestinationType:
    """How a connection of this type is declared, what it can do, and what opens it.

    Third parties offer one through the entry point group `cdp_exports.destinations`, under the word of its `type`.
    """

    connection: type[Receiver]
    """The keys of a connection file. Its `type` is a literal, the word that tells the types apart."""

    capabilities: Capabilities
    """What every destination of this type can do; what opens it may offer less."""

    open: str
    """`package.module:function`, called with (connection, root, environ): a FileDestination, or an AudienceDestination where the
    capabilities have `members`. Imported at first use, so that heavy libraries cost nothing before."""

    about: str
    """What it is, in a few words."""

    extra: str | None = None
    """The extra of this package that installs what it needs."""

    example: str = ""
    """A connection file as YAML, for whoever declares the first one."""

    @property
    def word(self) -> str:
        """What `type` says."""
        return str(get_args(self.connection.model_fields["type"].annotation)[0])

    @property
    def takes_files(self) -> bool:
        """A file destination; else an audience destination."""
        return self.capabilities.members is None

    def opener(self) -> Any:
        """The function that opens a connection.

        Raises:
            ImportError, AttributeError: there is none, or what it imports is missing.
        """
        module, _, function = self.open.partition(":")
        return getattr(import_module(module), function)
