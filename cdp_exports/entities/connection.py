"""A connection: where to, and with which credentials."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field, TypeAdapter

from cdp_exports.entities.built_in import BUILT_IN
from cdp_exports.entities.destination_type import DestinationType
from cdp_exports.entities.receiver import Receiver
from cdp_exports.entities.third_parties import Offered, not_usable, offered_types

OFFERED: tuple[Offered, ...] = tuple(offered_types({built_in.word for built_in in BUILT_IN}))
"""What other packages offer, usable or not."""

TYPES: Mapping[str, DestinationType] = MappingProxyType(
    {known.word: known for known in (*BUILT_IN, *(offered.type for offered in OFFERED if offered.type))}
)
"""All types that connections may have, by the word of their `type`."""

if TYPE_CHECKING:
    Connection = Receiver
else:
    _BROKEN = tuple(not_usable(offered) for offered in OFFERED if not offered.type and offered.word not in TYPES)
    _MODELS = (*(known.connection for known in TYPES.values()), *_BROKEN)
    Connection = Annotated[Union[_MODELS], Field(discriminator="type")]  # noqa: UP007 - the types are known at run time only

CONNECTION: TypeAdapter[Connection] = TypeAdapter[Any](Connection)
"""Reads a connection from plain data, as the ledger keeps it."""
