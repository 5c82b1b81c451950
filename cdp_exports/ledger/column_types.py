"""How the ledger's values are written in SQLite and Postgres."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import JSON, DateTime, Dialect, String
from sqlalchemy.types import TypeDecorator

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.records import BatchState, State

Record = TypeVar("Record", bound=BaseModel)


class UtcTimestamp(TypeDecorator[datetime]):
    """A moment with its zone: TIMESTAMP WITH TIME ZONE in Postgres, text of fixed width in UTC in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ExportTimeKey(TypeDecorator[ExportTime]):
    """An export time as people write it: twelve digits, which sort as they follow in time."""

    impl = String(12)
    cache_ok = True

    def process_bind_param(self, value: ExportTime | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> ExportTime | None:
        return None if value is None else ExportTime.parse(value)


class Document(TypeDecorator[Record]):
    """A record as one JSON value. JSON, not JSONB: the order of a mapping's keys stays."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def __init__(self, record: type[Record]) -> None:
        super().__init__()
        self.record = record

    def process_bind_param(self, value: Record | None, dialect: Dialect) -> Any:
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> Record | None:
        return None if value is None else self.record.model_validate(value)


class StateWord(TypeDecorator[State]):
    """Where a delivery stands, as its word."""

    impl = String(16)
    cache_ok = True

    def process_bind_param(self, value: State | None, dialect: Dialect) -> str | None:
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> State | None:
        return None if value is None else State(value)


class BatchStateWord(TypeDecorator[BatchState]):
    """What is known of a batch, as its word."""

    impl = String(16)
    cache_ok = True

    def process_bind_param(self, value: BatchState | None, dialect: Dialect) -> str | None:
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> BatchState | None:
        return None if value is None else BatchState(value)
