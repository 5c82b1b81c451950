"""Macros of the two suites in templates: `%DATASET_ID%` is another spelling of `{dataset_id}`.

They are translated when a declaration is read; everything after knows variables alone. Names as documented by Adobe Experience
Platform (file names of audiences, folders of datasets) and by Dynamics 365 Customer Insights (paths of its exports).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

MACROS: Mapping[str, str] = {
    "DATASET_ID": "{dataset_id}",
    "DATASET_NAME": "{dataset_id}",
    "SEGMENT_ID": "{segment_id}",
    "SEGMENT_NAME": "{segment_id}",
    "DESTINATION": "{connection_id}",
    "DESTINATION_NAME": "{connection_id}",
    "DESTINATION_INSTANCE_ID": "{export_id}",
    "DESTINATION_INSTANCE_NAME": "{export_id}",
    "SANDBOX_NAME": "{environment}",
    "ORGANIZATION_NAME": "{environment}",
    "EXPORT_TIME": "{export_time}",
    "TIMESTAMP": "{timestamp}",
    "instanceID": "{environment}",
    "ExportDestinationName": "{export_id}",
    "export": "{export_id}",
    "Table": "{member_id}",
    "Entity": "{member_id}",
    "segment": "{segment_id}",
    "Year": "{year}",
    "Month": "{month}",
    "Day": "{day}",
    "HHMM": "{hour}{minute}",
    "PartitionId": "{number}",
}
"""What each macro becomes. Objects have one name, their id. Upper and lower case are the same."""

WITHOUT_MEANING: Mapping[str, str] = {
    "Container": "the connection says the container or bucket; leave the macro out",
    "custom-text": "write the text itself",
    "CUSTOM_TEXT": "write the text itself",
    "MERGE_POLICY_ID": "there are no merge policies here; leave the macro out",
    "MERGE_POLICY_NAME": "there are no merge policies here; leave the macro out",
}
"""Macros that name nothing here, and what to do."""

DATETIME: Mapping[str, str] = {
    "YYYY": "{year}",
    "yyyy": "{year}",
    "MM": "{month}",
    "dd": "{day}",
    "DD": "{day}",
    "HH": "{hour}",
    "mm": "{minute}",
    "ss": "00",
    "SS": "00",
}
"""The parts of the pattern in `%DATETIME(pattern)%`. `MM` behind the hour are minutes. An export time is a minute: its seconds are 00."""

_MACRO = re.compile(r"%([A-Za-z][A-Za-z_-]*)(?:\(([^)%/]*)\))?%")
_BY_NAME = {name.lower(): text for name, text in MACROS.items()}
_EXPLAINED = {name.lower(): text for name, text in WITHOUT_MEANING.items()}
_PART = re.compile("|".join(DATETIME) + "|([A-Za-z]+)")


def translated(template: str) -> str:
    """The template with variables in place of macros.

    >>> translated("%DESTINATION%/%DATASET_NAME%/%DATETIME(YYYYMMdd_HHmmss)%")
    '{connection_id}/{dataset_id}/{year}{month}{day}_{hour}{minute}00'

    Raises:
        ValueError: a macro is unknown, or has no meaning here.
    """
    return _MACRO.sub(_variable, template)


def _variable(found: re.Match[str]) -> str:
    name, pattern = found[1].lower(), found[2]
    if name == "datetime":
        return _datetime(found[0], pattern or "")
    if name in _BY_NAME and pattern is None:
        return _BY_NAME[name]
    if name in _EXPLAINED:
        raise ValueError(f"{found[0]} has no meaning here: {_EXPLAINED[name]}")
    near = get_close_matches(name, [*_BY_NAME, "datetime"], n=1)
    known = {"datetime": "%DATETIME(YYYYMMdd_HHmmss)%", **{other.lower(): f"%{other}%" for other in MACROS}}
    hint = f"did you mean {known[near[0]]}?" if near else f"known are {', '.join(known.values())}"
    raise ValueError(f"{found[0]} is unknown; {hint}")


def _datetime(macro: str, pattern: str) -> str:
    after_hour = False

    def part(found: re.Match[str]) -> str:
        nonlocal after_hour
        if found[1] or not found[0]:
            known = ", ".join(DATETIME)
            raise ValueError(f"{macro}: {found[1]!r} is no part of a time; known are {known}, for example %DATETIME(YYYYMMdd_HHmmss)%")
        text = "{minute}" if found[0] == "MM" and after_hour else DATETIME[found[0]]
        after_hour = found[0] == "HH"
        return text

    if not pattern:
        raise ValueError(f"{macro} needs a pattern: %DATETIME(YYYYMMdd_HHmmss)%")
    return _PART.sub(part, pattern)
