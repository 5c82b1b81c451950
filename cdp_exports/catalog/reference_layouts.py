"""The chapter of the catalog's reference about templates: variables, macros, layouts, presets; printed from their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cdp_exports.entities.layouts import LAYOUTS
from cdp_exports.entities.macros import DATETIME, MACROS, WITHOUT_MEANING
from cdp_exports.entities.presets import PRESETS, RECOMMENDED

_VARIABLES: Mapping[str, str] = {
    "{environment}": "the environment's name",
    "{connection_id}": "the connection's id",
    "{export_id}": "the export's id",
    "{dataset_id}": "the dataset's id, in exports of datasets",
    "{segment_id}": "the segment's id, in exports of segments",
    "{member_id}": "either of them",
    "{export_time}": "the export time, UTC, `YYYYMMDDHHMM`",
    "{year}, {month}, {day}, {hour}, {minute}": "its parts",
    "{timestamp}": "the export time in Unix seconds, 10 digits",
    "{index}": "in file names: counts a delivery's files, `00000`, `00001`, ...",
    "{number}": "in file names: the same from 1, without zeros",
    "{delivery}, {attempt}": "in file names: ids that no other delivery or attempt has",
}


def chapter() -> Iterator[str]:
    """The chapter's parts, Markdown."""
    yield "## Templates, layouts and presets"
    yield "### Variables of `path` and `file_name`"
    yield _table(("variable", "stands for"), ([f"`{name}`", text] for name, text in _VARIABLES.items()))
    yield (
        "### Macros\n\nTemplates take the macros of Adobe Experience Platform and of Customer Insights too; upper and lower case are the "
        "same. Objects have one name here, their id."
    )
    yield _table(("macro", "the same as"), ([f"`%{name}%`", f"`{text}`"] for name, text in MACROS.items()))
    parts = ", ".join(f"`{part}` {text.strip('{}')}" for part, text in DATETIME.items())
    yield (
        f"`%DATETIME(YYYYMMdd_HHmmss)%` is the export time in a pattern: {parts}. `MM` behind the hour are minutes; an export time is a "
        "minute, so its seconds are `00`."
    )
    yield "\n".join(f"- `%{name}%` is refused: {text}." for name, text in WITHOUT_MEANING.items())
    yield "### `layout`\n\nWhat an export means where it says nothing itself; a `format` of the same `type` is completed key by key."
    yield _table(
        ("layout", "of", "path", "file_name", "format"),
        (
            [f"`{name}`", f"{kind}s", f"`{one.path}`", f"`{one.file_name}`" if one.file_name else "", _options(one.format)]
            for (name, kind), one in LAYOUTS.items()
        ),
    )
    yield (
        "`customer_insights` also means `model_json: true` where a `model.json` can be true: plain CSV, and `mode: full` or a dataset's "
        "added rows alone."
    )
    yield "### `preset`\n\nLayouts of segments for the import jobs of e-mail marketing tools."
    yield _table(
        ("preset", "tool", "path", "file_name", "format", "knows people by one of"),
        (
            [
                f"`{name}`",
                one.product,
                f"`{one.path}`",
                f"`{one.file_name}`",
                _options(one.format),
                ", ".join(f"{identity.what} (`{identity.column}`)" for identity in one.identities),
            ]
            for name, one in PRESETS.items()
        ),
    )
    yield f"Recommended fields for all of them: {', '.join(RECOMMENDED)}."


def _options(format: Mapping[str, object]) -> str:
    written = ", ".join(f"{key}: {_yaml(value)}" for key, value in format.items())
    return f"`{{{written}}}`"


def _yaml(value: object) -> str:
    return f"'{value}'" if value in ("", "\\", "null") else str(value)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, ["---"] * len(names), *rows))
