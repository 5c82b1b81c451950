"""The export time: the UTC minute that names a delivery."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cdp_exports.errors import DeclarationError

_KEY = re.compile(r"\d{12}")


@dataclass(frozen=True, order=True)
class ExportTime:
    """A UTC minute, written `YYYYMMDDHHMM`: the partition key and the folder `exportTime=YYYYMMDDHHMM`.

    >>> str(ExportTime.parse("202612010200"))
    '202612010200'
    >>> ExportTime.parse("202612010200").at
    datetime.datetime(2026, 12, 1, 2, 0, tzinfo=datetime.timezone.utc)
    """

    at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", self.at.astimezone(UTC).replace(second=0, microsecond=0))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key.

        Raises:
            DeclarationError: it is not twelve digits that name a minute.
        """
        try:
            if not _KEY.fullmatch(text):
                raise ValueError(text)
            return cls(datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=UTC))
        except ValueError:
            raise DeclarationError(
                f"{text!r} is not an export time.",
                next_step="Write the UTC minute as YYYYMMDDHHMM, for example 202612010200.",
            ) from None

    def next(self) -> ExportTime:
        """The minute after."""
        return ExportTime(self.at + timedelta(minutes=1))

    def __str__(self) -> str:
        return self.at.strftime("%Y%m%d%H%M")
