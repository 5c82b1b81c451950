"""Templates of a delivery's folder and of its files' names.

`{name}` stands for a value, everything else for itself. What a receiver globs for stands outside of the braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError

TIME_PARTS: Mapping[str, int] = {"year": 4, "month": 2, "day": 2, "hour": 2, "minute": 2}
"""Parts of the export time (UTC) and their number of digits."""

_DIGITS: Mapping[str, int] = {**TIME_PARTS, "timestamp": 10}

_SUBJECTS = ("environment", "connection_id", "export_id", "dataset_id", "segment_id", "member_id")
_TIMES = ("export_time", "timestamp", *TIME_PARTS)

PATH_VARIABLES: tuple[str, ...] = (*_SUBJECTS, *_TIMES)
FILE_NAME_VARIABLES: tuple[str, ...] = (*PATH_VARIABLES, "index", "number", "delivery", "attempt")

MAX_NAME = 255
"""Bytes (UTF-8) in the name of a file or folder, as file systems allow."""

_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


def check_path(template: str) -> list[str]:
    """What is wrong with a folder template, as sentences; none if it is good.

    >>> check_path("{dataset_id}/exportTime={export_time}")
    []
    >>> check_path("{dataset}/{export_time}")
    ['{dataset} is unknown; did you mean {dataset_id}?']
    """
    problems = _check_variables(template, PATH_VARIABLES) + _check_characters(template)
    if template.startswith("/"):
        problems.append("a path is relative to the connection's folder and does not begin with /")
    elif "" in template.split("/"):
        problems.append("a path has no empty part, and no / at its end")
    problems += [
        f"the folder {part!r} is not allowed: readers take names that begin with _ or . for hidden ones"
        for part in template.split("/")
        if part.startswith(("_", "."))
    ]
    return problems


def check_file_name(template: str) -> list[str]:
    """What is wrong with a file-name template, as sentences; none if it is good.

    >>> check_file_name("part-{index}-{delivery}-{attempt}")
    []
    """
    problems = _check_variables(template, FILE_NAME_VARIABLES) + _check_characters(template)
    if not template:
        problems.append("a file needs a name")
    if "/" in template:
        problems.append("a file's name holds no /; folders belong into `path`")
    if template.startswith(("_", ".")):
        problems.append("a data file's name does not begin with _ or . : readers take such files for hidden ones")
    return problems


def check_audience_name(template: str) -> list[str]:
    """What is wrong with the template of audiences' names, as sentences; none if it is good.

    >>> check_audience_name("{environment} {segment_id}")
    []
    """
    problems = _check_variables(template, _SUBJECTS) + _check_characters(template)
    if not {"segment_id", "member_id"} & set(_names(template)):
        problems.append("several segments would share an audience: put {segment_id} into its name")
    return problems


def resolve_audience_name(template: str, values: Mapping[str, str]) -> str:
    """The name of one segment's audience.

    >>> resolve_audience_name("{environment} {segment_id}", {"environment": "acme", "segment_id": "vip"})
    'acme vip'
    """
    return _fill(template, values)


def holds_time(template: str) -> bool:
    """Whether the whole export time stands in a template, so that no two deliveries resolve to the same.

    >>> holds_time("{year}/{month}/{day}/{hour}{minute}"), holds_time("latest_{year}")
    (True, False)
    """
    names = set(_names(template))
    return bool(names & {"export_time", "timestamp"}) or names >= set(TIME_PARTS)


def in_lower_case(template: str) -> str:
    """The same template with everything that stands for itself in lower case; ids are.

    >>> in_lower_case("CRM/{dataset_id}/exportTime={export_time}")
    'crm/{dataset_id}/exporttime={export_time}'
    """
    return template.lower()  # the names of variables are lower case already


def resolve_path(template: str, values: Mapping[str, str], export_time: ExportTime) -> str:
    """The folder of one delivery, relative to the connection's.

    Raises:
        DeclarationError: a value is missing, or the result is no safe folder.
    """
    return _safe_path(_fill(template, {**values, **_time_values(export_time)}), template)


def resolve_file_name(template: str, values: Mapping[str, str], export_time: ExportTime, *, index: int, extension: str) -> str:
    """The name of the file with this index (0, 1, ...). `{number}` counts from 1.

    Without `{index}` and `{number}` the second file ends in `_2`, the third in `_3`.

    Raises:
        DeclarationError: a value is missing, or the result is no safe name or longer than 255 bytes.
    """
    stem = _fill(template, {**values, **_time_values(export_time), "index": f"{index:05d}", "number": str(index + 1)})
    suffix = f"_{index + 1}" if index and not {"index", "number"} & set(_names(template)) else ""
    name = f"{stem}{suffix}{extension}"
    if "/" in name:
        raise DeclarationError(f"The file name {name!r} holds a /.", next_step="Correct `file_name`.")
    return _safe_path(name, template)


def member_folder(template: str, values: Mapping[str, str]) -> str:
    """The folder that all deliveries of one member have in common and no other member shares: where `_owner` stands.

    It is what of the path does not depend on the export time: folders without a part of it, and the other variables
    of those with one. Empty where the path holds nothing else.

    >>> member_folder("{dataset_id}/exportTime={export_time}", {"dataset_id": "orders"})
    'orders'
    >>> member_folder("{year}-{month}/{export_id}_{day}{hour}{minute}", {"export_id": "to_lake"})
    'to_lake'
    """
    parts: list[str] = []
    for part in template.split("/"):
        names = _names(part)
        if not any(name in _TIMES for name in names):
            parts.append(_fill(part, values))
        elif subjects := [name for name in names if name not in _TIMES]:
            parts.append("_".join(_fill(f"{{{name}}}", values) for name in subjects))
    return _safe_path("/".join(parts), template) if parts else ""


def common_folder(template: str, values: Mapping[str, str]) -> str:
    """The folder below which all deliveries of one member are found, others' perhaps too: the parts before the export time.

    >>> common_folder("{year}/{export_id}/{export_time}", {"export_id": "to_lake"})
    ''
    """
    parts = template.split("/")
    timed = next((i for i, part in enumerate(parts) if any(name in _TIMES for name in _VARIABLE.findall(part))), len(parts))
    return _safe_path("/".join(_fill(part, values) for part in parts[:timed]), template) if timed else ""


def sorts_by_time(template: str) -> bool:
    """Whether the folders of later deliveries sort behind those of earlier ones.

    >>> sorts_by_time("{dataset_id}/exportTime={export_time}"), sorts_by_time("{day}.{month}.{year}/{hour}{minute}")
    (True, False)
    """
    times = tuple(name for name in _VARIABLE.findall(template) if name in _TIMES)
    return times in (("export_time",), ("timestamp",), tuple(TIME_PARTS))


def folder_pattern(template: str, values: Mapping[str, str]) -> str:
    """The path with only the export time left open: two members whose patterns are equal would share their folders.

    >>> folder_pattern("{dataset_id}/{export_time}", {"dataset_id": "orders"})
    'orders/{year}{month}{day}{hour}{minute}'
    """
    open_time = {name: f"{{{name}}}" for name in _DIGITS}
    return _fill(template, {**values, **open_time, "export_time": "".join(open_time[name] for name in TIME_PARTS)})


def export_time_of(template: str, values: Mapping[str, str], folder: str) -> ExportTime | None:
    """The inverse of `resolve_path`: the export time of a delivery's folder, None if it is no delivery of this member.

    >>> str(export_time_of("{dataset_id}/{export_time}", {"dataset_id": "orders"}, "orders/202612010200"))
    '202612010200'
    """
    seen: set[str] = set()

    def digits(name: str) -> str:
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return rf"(?P<{name}>[0-9]{{{_DIGITS[name]}}})"

    pieces = re.split(r"\{([a-z]+)\}", folder_pattern(template, values))
    expression = "".join(digits(piece) if i % 2 else re.escape(piece) for i, piece in enumerate(pieces))
    found = re.fullmatch(expression, folder)
    if found is None or not (seen >= set(TIME_PARTS) or "timestamp" in seen):
        return None
    try:
        if seen >= set(TIME_PARTS):
            export_time = ExportTime.parse("".join(found[name] for name in TIME_PARTS))
        else:
            export_time = ExportTime(datetime.fromtimestamp(int(found["timestamp"]), UTC))
    except DeclarationError:
        return None
    return export_time if _fill(template, {**values, **_time_values(export_time)}) == folder else None


def _names(template: str) -> list[str]:
    return [found[1] for found in _VARIABLE.finditer(template)]


def _check_variables(template: str, known: Sequence[str]) -> list[str]:
    problems: list[str] = []
    for name in _names(template):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {{{near[0]}}}?" if near else f"known are {', '.join(f'{{{k}}}' for k in known)}"
            problems.append(f"{{{name}}} is unknown; {hint}")
    rest = _VARIABLE.sub("", template)
    if "{" in rest or "}" in rest:
        problems.append("a variable is written {name}, in lower case; single braces have no meaning")
    return problems


def _check_characters(text: str) -> list[str]:
    if _FORBIDDEN.search(text):
        return ["backslashes and control characters are not allowed"]
    return []


def _time_values(export_time: ExportTime) -> dict[str, str]:
    key = str(export_time)
    parts = {"year": key[:4], "month": key[4:6], "day": key[6:8], "hour": key[8:10], "minute": key[10:]}
    return {"export_time": key, "timestamp": f"{int(export_time.at.timestamp()):010}", **parts}


def _fill(template: str, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise DeclarationError(f"{found[0]} has no value here, in the template {template!r}.", next_step="Use another variable.")
        return values[found[1]]

    return _VARIABLE.sub(value, template)


def _safe_path(path: str, template: str) -> str:
    """The path itself. The variables' values are checked where they are declared, and here once more."""
    parts = path.split("/")
    if _FORBIDDEN.search(path) or any(part in ("", ".", "..") for part in parts):
        raise DeclarationError(f"{path!r}, made from the template {template!r}, is no safe path.", next_step="Correct the template.")
    if too_long := [part for part in parts if len(part.encode()) > MAX_NAME]:
        raise DeclarationError(f"A name is longer than {MAX_NAME} bytes: {too_long[0]!r}.", next_step=f"Shorten {template!r}.")
    return path
