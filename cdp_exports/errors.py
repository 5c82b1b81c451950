"""Everything that can go wrong, in one tree.

    CdpExportsError
    ├── DeclarationError        a catalog or a command is wrong; nothing ran                     exit 2
    ├── TerminalError           trying again without a change cannot help: outcome `failed`      exit 1
    │   ├── HistoryLost         the source no longer has the history the increment needs
    │   ├── SourceUnreadable    no such table, not a table, a corrupt file, no right to read
    │   ├── KeyNotUnique        the declared key is null or repeated in what was read
    │   ├── CannotHold          the format cannot carry a value and no conversion is declared
    │   ├── DestinationRefused  credentials, missing bucket, no right, no space, read-only
    │   ├── OverLimit           more members or rows than the receiver takes, and the export says `over: fail`
    │   ├── Occupied            another export owns the folder
    │   ├── ChainChanged        a change would start a new chain and `on_change: fail` forbids it
    │   ├── InDoubt             published or not? only a person may decide
    │   ├── LedgerBehind        the destination or Dagster knows a delivery the ledger does not
    │   ├── LedgerNewer         the ledger was migrated by a newer version of this package
    │   ├── LedgerRefused       the ledger's database: its path, credentials, rights, space, a file that is none
    │   ├── ClockSkew           export times run ahead of the ledger's clock
    │   ├── NotCounted          rows read, delivered and left out do not add up
    │   ├── NotIntact           what the destination holds differs from what was written
    │   ├── TooManyRejected     the receiver rejected more members than the export allows
    │   └── Unexpected          a fault of this package or of a library it uses
    ├── TransientError          may pass by itself: retried                                       exit 1
    │   └── NotApplied          and it is certain that nothing was applied
    └── Skip                    by rule, nothing is delivered now: outcome `skipped`              exit 3

Each says what happened and what to do next; who catches it adds which export and which export time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self


class CdpExportsError(Exception):
    """A failure that explains itself: `message` says what happened, `next_step` what to do now.

    >>> print(SourceUnreadable("There is no Delta table at data/orders.", next_step="Check `source.uri`."))
    There is no Delta table at data/orders. Check `source.uri`.
    """

    code: ClassVar[str] = "failed"
    permanent: ClassVar[bool] = True
    """Whether trying again without a change cannot help."""

    def __init__(self, message: str, *, next_step: str) -> None:
        super().__init__(message, next_step)
        self.message = message
        self.next_step = next_step
        self.export: str | None = None
        self.member: str | None = None
        self.export_time: str | None = None

    def of(self, *, export: str, member: str | None = None, export_time: str | None = None) -> Self:
        """Say whose failure it is; what was said nearer to the failure stands."""
        self.export = self.export or export
        self.member = self.member or member
        self.export_time = self.export_time or export_time
        return self

    def __str__(self) -> str:
        subject = "/".join(part for part in (self.export, self.member) if part)
        at = f" at {self.export_time}" if self.export_time else ""
        prefix = f"{subject}{at}: " if subject else ""
        return f"{prefix}{self.message} {self.next_step}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), dict(self.__dict__))


def _revive(kind: type[CdpExportsError], state: dict[str, object]) -> CdpExportsError:
    error = kind.__new__(kind)
    error.__dict__.update(state)
    error.args = (state["message"], state["next_step"])
    return error


@dataclass(frozen=True)
class Problem:
    """One wrong thing in a declaration: where it stands (file, 1-based line) and what was expected."""

    message: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.message}"


class DeclarationError(CdpExportsError):
    """The catalog or a command is wrong. All problems are reported at once."""

    code = "declaration"

    def __init__(self, problems: Sequence[Problem] | str, *, next_step: str = "") -> None:
        self.problems = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)), next_step=next_step)


class TerminalError(CdpExportsError):
    """Trying again without a change cannot help."""


class HistoryLost(TerminalError):
    """The source no longer has what the increment needs; `reason` says which way it was lost.

    Reasons: `table_recreated`, `vacuumed`, `log_cleaned`, `source_rewound`, `schema_changed`; `state_lost`, `list_lost`.
    """

    code = "history_lost"

    def __init__(self, message: str, *, next_step: str, reason: str) -> None:
        super().__init__(message, next_step=next_step)
        self.reason = reason


class SourceUnreadable(TerminalError):
    code = "source_unreadable"


class KeyNotUnique(TerminalError):
    code = "key_not_unique"


class CannotHold(TerminalError):
    code = "format_cannot_hold"


class DestinationRefused(TerminalError):
    code = "destination_refused"


class OverLimit(TerminalError):
    code = "over_limit"


class Occupied(TerminalError):
    code = "occupied"


class ChainChanged(TerminalError):
    code = "chain_changed"


class InDoubt(TerminalError):
    code = "in_doubt"


class LedgerBehind(TerminalError):
    code = "ledger_behind"


class LedgerNewer(TerminalError):
    code = "ledger_newer"


class LedgerRefused(TerminalError):
    code = "ledger_refused"


class ClockSkew(TerminalError):
    code = "clock_skew"


class NotCounted(TerminalError):
    code = "not_counted"


class NotIntact(TerminalError):
    code = "not_intact"


class CameLate(TerminalError):
    """A run whose turn was over replaced or removed files of a later one: fixed names have no other guard than its lease."""

    code = "came_late"


class TooManyRejected(TerminalError):
    code = "too_many_rejected"


class Unexpected(TerminalError):
    code = "unexpected"


class TransientError(CdpExportsError):
    """May pass by itself: a connection refused or cut, a service that is busy, a database that is locked."""

    code = "transient"
    permanent = False


class NotApplied(TransientError):
    """A call to an audience destination of which nothing was applied."""


class Skip(CdpExportsError):
    """By rule nothing is delivered now. `reason` is one of the words of the ledger.

    Reasons so far: `covered_by`, `already_running`, `superseded`, `over_limit`, `below_minimum`, `inactive`, `no_connection`. Schedules
    and sensors, which start no run then: `missed`, `waiting_for_refresh`, `upstream_failed`, `upstream_late`; `removed`.
    """

    code = "skipped"
    permanent = False

    def __init__(self, message: str, *, next_step: str, reason: str) -> None:
        super().__init__(message, next_step=next_step)
        self.reason = reason
