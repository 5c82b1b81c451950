"""E-mail marketing tools that import files: how their users expect segments to arrive.

Such a tool is a folder (SFTP, S3, Blob) and an import job that its users set up there; nobody tells us whether the import ran. All of
them read comma-separated text with a header, quotes doubled inside quotes, and no compression unless the job is told to unpack.

Sources: Adobe Experience Platform's e-mail marketing destinations (recommended fields, plain CSV); Dynamics 365 Customer Insights'
Adobe Campaign export (flat folder, `<export>_<segment>_<Unix seconds>.csv`); Oracle Eloqua, Importing contacts or accounts (RFC 4180,
column headings, comma, pipe or semicolon, no milliseconds, 5 GB); Oracle Responsys, Data Load Record Handling and Requirements (comma,
header, double quotes, timestamps cut behind the seconds); Salesforce Marketing Cloud, Import File Requirements and Import Activity
(comma in .csv, header matched by name, compressed files need a transfer activity first).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PresetName = Literal["adobe_campaign", "oracle_eloqua", "oracle_responsys", "salesforce_marketing_cloud"]


@dataclass(frozen=True)
class Identity:
    """A column by which a tool can know a person: what it is, the tool's own name, parts of names that it goes by."""

    what: str
    column: str
    known_by: tuple[str, ...]

    def is_named(self, column: str) -> bool:
        """Whether a column's name says that it is this; case and everything but letters and digits are ignored.

        >>> Identity("the e-mail address", "EMAIL_ADDRESS_", ("mail",)).is_named("personalEmail.address")
        True
        """
        plain = "".join(letter for letter in column.lower() if letter.isalnum())
        return any(part in plain for part in self.known_by)


@dataclass(frozen=True)
class Preset:
    """One tool. `identities`: of these columns at least one must be sent, or the import finds nobody."""

    product: str
    file_name: str
    identities: tuple[Identity, ...]
    path: str = "{export_id}"
    format: Mapping[str, Any] = field(default_factory=lambda: {"type": "csv", "compression": "none"})


def _email(column: str) -> Identity:
    return Identity("the e-mail address", column, ("mail",))


_NAMED_BY_TIME = "{export_id}_{segment_id}_{export_time}"

PRESETS: Mapping[str, Preset] = {
    "adobe_campaign": Preset("Adobe Campaign", "{export_id}_{segment_id}_{timestamp}", (_email("email"),)),
    "oracle_eloqua": Preset("Oracle Eloqua", _NAMED_BY_TIME, (_email("Email Address"),)),
    "oracle_responsys": Preset(
        "Oracle Responsys",
        _NAMED_BY_TIME,
        (
            _email("EMAIL_ADDRESS_"),
            Identity("the customer id", "CUSTOMER_ID_", ("customerid",)),
            Identity("the mobile number", "MOBILE_NUMBER_", ("mobile", "phone")),
        ),
    ),
    "salesforce_marketing_cloud": Preset(
        "Salesforce Marketing Cloud",
        _NAMED_BY_TIME,
        (_email("Email Address"), Identity("the subscriber key", "Subscriber Key", ("subscriberkey", "contactkey"))),
    ),
}
"""By the preset's name."""

RECOMMENDED: tuple[str, ...] = (
    "a unique id (a customer or loyalty id)",
    "the e-mail address",
    "the name",
    "the postal address",
    "the birthday",
    "the status (`segment_status`)",
)
"""What every such tool has a use for, as Adobe recommends it for all of them."""
