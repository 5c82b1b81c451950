"""The environment: who we are."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import field_validator

from cdp_exports.entities.connection import Connection
from cdp_exports.entities.model import Declared, Id, WrongItem
from cdp_exports.entities.nearest import nearest
from cdp_exports.entities.secret import Secret


class Environment(Declared):
    """One installation: its name stands in partitions, schedules, manifests and in every owned folder."""

    name: Id
    """Names this environment; two environments that write to one bucket need two names."""

    audience: Literal["individuals", "accounts"] = "individuals"
    """Whom customers are: people (B2C) or companies (B2B)."""

    time_zone: str = "UTC"
    """The time zone of `daily_at` and `cron`, as the IANA database names it. Export times are UTC always."""

    ledger: Secret | None = None
    """The ledger's database URL, by reference: `{env: CDP_EXPORTS_LEDGER}`. Default: SQLite in Dagster's home."""

    state: Connection | None = None
    """Where is kept what receivers hold: a folder of its own, written like a connection. Default: a folder in Dagster's home."""

    @field_validator("state")
    @classmethod
    def _a_folder_alone(cls, value: Connection | None) -> Connection | None:
        for name in ("purpose", "suppress", "accepts"):
            if value is not None and name in value.model_fields_set:
                raise WrongItem("nobody receives what is kept here; this belongs to a connection", item=name)
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the database, such as Europe
            hint = nearest(value, available_timezones())
            raise ValueError(f"{value!r} is no time zone of the IANA database, such as Europe/Paris or UTC{hint}") from None
        return value
