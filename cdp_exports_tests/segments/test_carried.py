"""Types against the format: when the catalog loads the same is found as when there are rows."""

from __future__ import annotations

import re
from typing import Any

import duckdb
import polars as pl
import pytest

from cdp_exports.entities.file_format import FORMAT
from cdp_exports.errors import CannotHold
from cdp_exports.formats.check import check
from cdp_exports.segments.binding import type_named
from cdp_exports.segments.carried import refusal
from cdp_exports_tests.segments.declaring import compiled, problems

WORDS: list[dict[str, Any]] = [
    {"type": "parquet"},
    {"type": "json"},
    {"type": "json", "binary": "hex"},
    {"type": "csv"},
    {"type": "csv", "nested": "json"},
    {"type": "csv", "nested": "json", "binary": "base64"},
]
FORMATS = [FORMAT.validate_python(words) for words in WORDS]
TYPES = """
    TINYINT; SMALLINT; INTEGER; BIGINT; UTINYINT; USMALLINT; UINTEGER; UBIGINT; FLOAT; DOUBLE; DECIMAL(4,1); DECIMAL(38,2); VARCHAR; BLOB
    BOOLEAN; DATE; TIME; TIME_NS; TIMESTAMP; TIMESTAMP_S; TIMESTAMP_MS; TIMESTAMP_NS; TIMESTAMPTZ; UUID; JSON; ENUM('a','b'); INTEGER[]
    INTEGER[3]; INTEGER[][]; STRUCT(a INTEGER, b VARCHAR); STRUCT(a BLOB[]); MAP(VARCHAR, INTEGER); MAP(INTEGER, VARCHAR)
    MAP(VARCHAR, BLOB); MAP(UUID, INTEGER); MAP(ENUM('a'), DATE); STRUCT(m MAP(DATE, INTEGER))[]; BIGNUM; VARIANT; GEOMETRY
"""
LOST = "INTERVAL; UNION(num INTEGER, str VARCHAR); TIME WITH TIME ZONE; BIT; INTERVAL[]; STRUCT(a BIT); MAP(VARCHAR, INTERVAL)"


@pytest.mark.parametrize("name", [name.strip() for name in re.split(r";|\n", TYPES.strip())])
def test_the_same_is_refused_before_and_when_there_are_rows(name: str) -> None:
    with duckdb.connect() as rows:
        arrived = pl.DataFrame(rows.sql(f"SELECT CAST(NULL AS {name}) AS v").to_arrow_table())
    for declared in FORMATS:
        if refusal(type_named(name), declared) is None:
            check(arrived.schema, declared)
        else:
            with pytest.raises(CannotHold):
                check(arrived.schema, declared)


@pytest.mark.parametrize("name", LOST.split("; "))
def test_types_that_would_lose_something_are_refused_everywhere(name: str) -> None:
    for declared in FORMATS:
        assert "write CAST(... AS VARCHAR)" in (refusal(name, declared) or "")


def test_whole_numbers_of_128_bits() -> None:
    assert "CAST(... AS BIGINT)" in (refusal("HUGEINT", FORMAT.validate_python({"type": "parquet"})) or "")
    assert refusal("STRUCT(a UHUGEINT)", FORMAT.validate_python({"type": "json"})) is None


def test_an_export_is_told_at_the_field() -> None:
    fields = [{"from": "email"}, {"from": "interval 1 month", "to": "x"}, {"from": "[ltv]", "to": "y"}]
    assert [one[1:] for one in problems("rich", fields=fields)] == [
        (None, "fields.1", "Column 'x' is INTERVAL, and no file carries INTERVAL; write CAST(... AS VARCHAR)."),
        (None, "fields.2", "Column 'y' is DOUBLE[], and csv has no place for values within values; say `nested: json` in `format`."),
    ]
    contacts = {"dataset": "contacts", "by": ["account_id"], "how": "arrays"}
    [(_, _, at, _)] = problems("big", project=contacts, fields=[{"from": "email"}])
    assert at == "fields.0"
    assert compiled("big", project=contacts, fields=[{"from": "email"}], format={"type": "json"})
    changed = {"profiles": {"columns": {"id": "blob", "ltv": "double"}, "consent": {}}}
    [(_, _, at, message)] = problems("rich", changed=changed)
    assert (at, message.split(",")[0]) == ("include_key", "Column 'id' is BLOB")
