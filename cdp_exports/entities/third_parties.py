"""Types of destinations that other packages offer, through the entry point group `cdp_exports.destinations`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin

from pydantic import ConfigDict, create_model, model_validator

from cdp_exports.entities.destination_type import DestinationType
from cdp_exports.entities.model import WrongItem
from cdp_exports.entities.receiver import Receiver

GROUP = "cdp_exports.destinations"


@dataclass(frozen=True)
class Offered:
    """One entry point: a type, or in one sentence why there is none."""

    word: str
    package: str
    type: DestinationType | None
    why: str = ""


def offered_types(taken: Collection[str]) -> list[Offered]:
    """What is offered, a word once. `taken`: the words that are in use already."""
    found: dict[str, Offered] = {}
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else point.module
        if point.name in found and found[point.name].package != package:
            other = found[point.name].package
            why = f"the packages {other} and {package} both offer the type `{point.name}`; uninstall one of them"
            found[point.name] = Offered(point.name, package, None, why)
        elif point.name not in found:
            found[point.name] = _loaded(point, package, taken)
    return list(found.values())


def _loaded(point: EntryPoint, package: str, taken: Collection[str]) -> Offered:
    def refused(why: str) -> Offered:
        return Offered(point.name, package, None, f"the package {package} offers the type `{point.name}`, {why}")

    if point.name in taken:
        return refused("which cdp-exports has itself; its own is used")
    try:
        offered = point.load()
    except Exception as error:  # noqa: BLE001 - whatever a stranger's module does while it is imported, catalogs without it still load
        said = str(error).partition("\n")[0]
        return refused(f"and cannot be loaded ({type(error).__name__}: {said}); install its next version, or uninstall it")
    if not isinstance(offered, DestinationType):
        return refused(f"but `{point.value}` is no DestinationType; tell its authors")
    if wrong := _wrong(offered.connection, point.name):
        return refused(f"{wrong}; tell its authors")
    return Offered(point.name, package, offered)


def _wrong(connection: Any, word: str) -> str:
    if not (isinstance(connection, type) and issubclass(connection, Receiver)):
        return "but its connection is not declared as a Receiver"
    if isabstract(connection):
        return "but its connection has no `place`"
    annotation = connection.model_fields["type"].annotation
    if get_origin(annotation) is not Literal or get_args(annotation) != (word,):
        return f'but the `type` of its connection is not `Literal["{word}"]`'
    return ""


class _NotUsable(Receiver):
    """Stands in the place of a type that cannot be used, so that whoever declares it learns why."""

    model_config = ConfigDict(extra="allow")

    why: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _says_why(cls, value: object) -> object:
        raise WrongItem(cls.why, item="type")

    def place(self, root: Path) -> tuple[str, ...]:
        return ("",)


def not_usable(offered: Offered) -> type[Receiver]:
    """A model that refuses every connection of this type."""
    fields: dict[str, Any] = {"type": (Literal[offered.word], ...)}  # pyright: ignore[reportInvalidTypeForm]
    made = create_model(f"NotUsable_{offered.word}", __base__=_NotUsable, __doc__=f"Not usable: {offered.why}.", **fields)
    made.why = offered.why
    return made
