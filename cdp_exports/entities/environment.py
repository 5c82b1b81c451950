"""The environment: who we are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from cdp_exports.entities.connection import TYPES, Connection
from cdp_exports.entities.model import Declared, Id, WrongItem
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.time_zone import TimeZone


class Environment(Declared):
    """One installation: its name stands in partitions, schedules, manifests and in every owned folder."""

    name: Id
    """Names this environment; two environments that write to one bucket need two names."""

    audience: Literal["individuals", "accounts"] = "individuals"
    """Whom customers are: people (B2C) or companies (B2B)."""

    time_zone: TimeZone = "UTC"
    """The time zone of schedules that name none, as the IANA database names it. Export times are UTC always."""

    ledger: Secret | None = None
    """The ledger's database URL, by reference: `{env: CDP_EXPORTS_LEDGER}`. Default: SQLite in Dagster's home."""

    state: Connection | None = None
    """Where is kept what receivers hold: a folder of its own, written like a connection. Default: a folder in Dagster's home."""

    first: Literal["largest", "longest_waiting"] | None = None
    """Of exports that are due together, which runs first: the one whose last delivery was the largest, or the one whose last delivery
    is the oldest. Default: in the order in which they fell due."""

    failing_after: Annotated[int, Field(ge=1)] = 3
    """After failures at how many export times in a row an export is reported as failing. Its schedule stays on."""

    @field_validator("state")
    @classmethod
    def _a_folder_alone(cls, value: Connection | None) -> Connection | None:
        if value is not None and not TYPES[value.type].takes_files:
            raise WrongItem(f"a connection of the type `{value.type}` keeps no files", item="type")
        for name in ("purpose", "suppress", "accepts", "lower_case"):
            if value is not None and name in value.model_fields_set:
                raise WrongItem("nobody receives what is kept here; this belongs to a connection", item=name)
        return value
