"""Connections as Dagster resources.

Each type of connection has a resource type with the same fields. Secrets are environment variables to Dagster too: it
stores their names only, and the values exist in the memory of the run that uses them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Union, cast, get_args, get_origin

from dagster import ConfigurableResource, EnvVar
from pydantic import BaseModel, Field, create_model
from pydantic_core import to_jsonable_python

from cdp_exports.assets.keys import resource_key
from cdp_exports.assets.state import needs_state
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.connection import TYPES, Connection
from cdp_exports.entities.receiver import Receiver
from cdp_exports.entities.secret import Secret

if TYPE_CHECKING:
    from cdp_exports.destinations.audience import AudienceDestination
    from cdp_exports.destinations.destination import FileDestination

_NOT_ITS_MATTER = {"type", *Receiver.model_fields}  # what says nothing about how to open it


class DestinationResource(ConfigurableResource[Any]):
    """What a run opens its destination with. Any resource with this `open` may stand in its place."""

    declares: ClassVar[type[BaseModel]]

    root: str = "."
    """The folder that relative paths count from."""

    def open(self) -> FileDestination | AudienceDestination:
        """The destination; secrets are handed over by field, not through the process's environment.

        Raises:
            DestinationRefused, TransientError: as `open_destination`.
        """
        from cdp_exports.destinations.open import open_destination

        values: dict[str, Any] = {"type": get_args(self.declares.model_fields["type"].annotation)[0]}
        secrets: dict[str, str] = {}
        for name in _fields(self.declares):
            value: Any = getattr(self, name)
            if value is not None and _is_secret(self.declares, name):
                reference = Secret(env=f"field_{name}_of_the_resource")
                secrets[reference.env] = value
                value = reference
            values[name] = value
        connection: Any = self.declares(**values)
        return open_destination(connection, Path(self.root), {**os.environ, **secrets})


def _fields(declares: type[BaseModel]) -> list[str]:
    return [name for name in declares.model_fields if name not in _NOT_ITS_MATTER]


def _is_secret(declares: type[BaseModel], name: str) -> bool:
    annotation = declares.model_fields[name].annotation
    return Secret in (get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,))


def _is_plain(declares: type[BaseModel], name: str) -> bool:
    """Whether Dagster's forms have a place for it; other values are handed on as data."""
    annotation = declares.model_fields[name].annotation
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return all(part in (str, int, float, bool, NoneType) for part in parts)


@cache
def resource_type(connection_type: str) -> type[DestinationResource]:
    """The resource type of a type of connection."""
    declares = TYPES[connection_type].connection
    fields: dict[str, Any] = {}
    for field_name in _fields(declares):
        field = declares.model_fields[field_name]
        secret = _is_secret(declares, field_name)
        taken: Any = (
            (str if field.is_required() else str | None) if secret else field.annotation if _is_plain(declares, field_name) else Any
        )
        default = ... if field.is_required() else _data(field.get_default(call_default_factory=True))
        fields[field_name] = (taken, Field(default, description=field.description, repr=not secret))
    name = f"{declares.__name__.removesuffix('Connection')}DestinationResource"
    made = create_model(name, __base__=DestinationResource, __module__=__name__, __doc__=declares.__doc__, **fields)
    made.declares = declares
    return made


def _data(value: Any) -> Any:
    """A declared value as plain data; secrets in it stay references."""
    return to_jsonable_python(value, by_alias=True)


def destination_resource(connection: Connection, root: Path) -> DestinationResource:
    """The resource of a declared connection."""
    values = {
        name: EnvVar(value.env) if isinstance(value, Secret) else _data(value)
        for name in _fields(type(connection))
        if (value := getattr(connection, name)) is not None
    }
    return resource_type(connection.type)(root=str(root), **values)


def connection_resources(catalog: Catalog) -> dict[str, DestinationResource]:
    """The resources of all connections, by resource key."""
    return {
        resource_key(connection_id): destination_resource(connection, catalog.root)
        for connection_id, connection in catalog.connections.items()
    }


def check_secrets(catalog: Catalog, environ: Mapping[str, str]) -> None:
    """Whether the secrets of the connections, and of the state folder where it is needed, are there, before Dagster looks for them
    and fails at greater length.

    Raises:
        DeclarationError: a variable is not set.
    """
    state = catalog.environment.state if needs_state(catalog) else None
    for connection in (*catalog.connections.values(), state):
        for name in _fields(type(connection)) if connection else ():
            for secret in _secrets(getattr(connection, name)):
                secret.reveal(environ)


def _secrets(value: object) -> Iterator[Secret]:
    """The references in a declared value, however deep."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, BaseModel):
        for _, inner in value:
            yield from _secrets(inner)
    elif isinstance(value, Mapping | tuple | list):
        items = cast("Mapping[str, object] | Sequence[object]", value)
        for inner in items.values() if isinstance(items, Mapping) else items:
            yield from _secrets(inner)
