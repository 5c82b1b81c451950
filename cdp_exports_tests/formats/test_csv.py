"""CSV: what is written is what independent readers read, in every declared dialect."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from cdp_exports.entities.file_format import CsvFormat
from cdp_exports.errors import CannotHold
from cdp_exports.formats.check import check
from cdp_exports.formats.count import count_rows
from cdp_exports_tests.formats.memory import only
from cdp_exports_tests.formats.rows import NESTED, SCALARS, TEXT, as_json, tables

TEXTS = {"first": (pl.String(), TEXT), 'second, "2"': (pl.String(), TEXT), "third": (pl.String(), TEXT)}

DIALECTS = st.builds(
    CsvFormat,
    type=st.just("csv"),
    compression=st.sampled_from(["gzip", "none"]),
    delimiter=st.sampled_from([",", "\t", "|", ";", ":"]),
    escape=st.sampled_from(['"', "\\"]),
    null=st.sampled_from(["", "NULL", "\\N"]),
    empty=st.sampled_from(['""', "EMPTY"]),
    header=st.booleans(),
)


def plain(content: bytes, format: CsvFormat) -> bytes:
    return gzip.decompress(content) if format.compression == "gzip" else content


def parsed(text: str, format: CsvFormat) -> list[list[str | None]]:
    """A reader of our own, written from the declaration alone: null and quoted text are told apart."""
    rows: list[list[str | None]] = [[]]
    value, quoted, inside, position = "", False, False, 0

    def end() -> None:
        nonlocal value, quoted
        if quoted or value not in (format.null, format.empty):
            rows[-1].append(value)
        else:
            rows[-1].append(None if value == format.null else "")
        value, quoted = "", False

    while position < len(text):
        char = text[position]
        position += 1
        if inside and char == format.escape and text[position : position + 1] in ('"', format.escape):
            value += text[position]
            position += 1
        elif format.quote and char == format.quote and (inside or not value):
            inside, quoted = not inside, True
        elif not inside and char == format.delimiter:
            end()
        elif not inside and char == "\n":
            end()
            rows.append([])
        else:
            value += char
    assert not inside
    assert rows.pop() == []
    return rows


@settings(deadline=None, max_examples=150)
@given(tables(TEXTS), DIALECTS)
def test_every_text_arrives_in_every_dialect(table: pl.DataFrame, format: CsvFormat) -> None:
    content = only(table, format)
    assert count_rows(io.BytesIO(content), format) == table.height
    rows = parsed(plain(content, format).decode(), format)
    if format.header:
        assert rows.pop(0) == table.columns
    assert rows == [list(row) for row in table.rows()]


@settings(deadline=None, max_examples=100)
@given(tables(TEXTS), DIALECTS)
def test_pyarrow_reads_every_dialect(table: pl.DataFrame, format: CsvFormat) -> None:
    assume(format.empty == '""')  # no reader has a word for empty
    assume(not (format.escape == "\\" and format.null == "\\N"))  # pyarrow unescapes outside quotes too
    content = plain(only(table, format), format)
    names = None if format.header else table.columns
    read = pacsv.read_csv(
        io.BytesIO(content),
        read_options=pacsv.ReadOptions(column_names=names, use_threads=False),
        parse_options=pacsv.ParseOptions(
            delimiter=format.delimiter,
            double_quote=format.escape == '"',
            escape_char=False if format.escape == '"' else "\\",
            newlines_in_values=True,
            ignore_empty_lines=False,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(table.columns, pa.string()),
            null_values=[format.null],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    assert_frame_equal(pl.DataFrame(pl.from_arrow(read)), table)


@settings(deadline=None, max_examples=100)
@given(tables(TEXTS), DIALECTS)
def test_duckdb_reads_every_dialect(tmp_path_factory: pytest.TempPathFactory, table: pl.DataFrame, format: CsvFormat) -> None:
    assume(format.empty == '""' and not (format.escape == "\\" and format.null == "\\N"))  # DuckDB refuses to read that
    path = Path(tmp_path_factory.getbasetemp()) / f"dialect.csv{'.gz' if format.compression == 'gzip' else ''}"
    path.write_bytes(only(table, format))
    read = duckdb.read_csv(
        str(path),
        header=format.header,
        sep=format.delimiter,
        quotechar='"',
        escapechar=format.escape,
        na_values=[format.null],
        columns=dict.fromkeys(table.columns, "VARCHAR"),
        parallel=False,
        lineterminator="\\n",
        auto_detect=False,
        allow_quoted_nulls=False,
    )
    assert_frame_equal(read.pl(), table)


@settings(deadline=None, max_examples=60)
@given(tables(SCALARS), st.sampled_from([",", "\t", "|", ";", ":"]), st.sampled_from(["", "NULL"]))
def test_typed_values(table: pl.DataFrame, delimiter: Literal[",", "\t", "|", ";", ":"], null: str) -> None:
    content = only(table, CsvFormat(type="csv", compression="none", delimiter=delimiter, null=null))
    # Python's csv tells no null from "", Polars reads neither decimals nor timestamps exactly: both get text.
    strings = [["" if value is None else value for value in row] for row in as_text(table).rows()]
    read = list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter))[1:]
    assert [["" if value == null else value for value in row] for row in read] == [
        ["" if value == null else value for value in row] for row in strings
    ]
    back = pl.read_csv(content, separator=delimiter, null_values=null or None, infer_schema=False)
    typed = back.select(
        *(pl.col(name).cast(table.schema[name]) for name in ("integer", "small", "ratio", "amount")),
        pl.col("flag") == "true",
        pl.col("day").str.to_date(),
        pl.col("local").str.to_datetime("%Y-%m-%dT%H:%M:%S%.6f", time_unit="us"),
        pl.col("moment").str.to_datetime("%Y-%m-%dT%H:%M:%S%.6fZ", time_unit="us", time_zone="UTC"),
    )
    assert_frame_equal(typed, table.select(typed.columns), check_exact=True)


def as_text(table: pl.DataFrame) -> pl.DataFrame:
    return table.select(
        pl.col("integer", "small").cast(pl.String),
        "text",
        "more_text",
        pl.col("amount").map_elements(lambda value: f"{value:.4f}", pl.String),
        pl.col("ratio").cast(pl.String),
        pl.col("flag").cast(pl.String),
        pl.col("day").cast(pl.String),
        pl.col("local").map_elements(lambda at: f"{at:%Y-%m-%dT%H:%M:%S.%f}", pl.String),
        pl.col("moment").map_elements(lambda at: f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", pl.String),
    )


@settings(deadline=None, max_examples=30)
@given(tables({**SCALARS, **NESTED}))
def test_nested_as_json(table: pl.DataFrame) -> None:
    content = only(table, CsvFormat(type="csv", compression="none", nested="json"))
    rows = parsed(content.decode(), CsvFormat(type="csv"))
    for name in NESTED:
        position = rows[0].index(name)
        read = [None if row[position] is None else json.loads(row[position] or "") for row in rows[1:]]
        assert json.dumps(read, sort_keys=True) == json.dumps([as_json(value) for value in table[name].to_list()], sort_keys=True)


def test_refused_or_converted_as_declared() -> None:
    table = pl.DataFrame({"id": [1], "photo": [b"\x00\xff"], "tags": [["a"]], "place": [{"city": "x"}]})
    with pytest.raises(CannotHold) as caught:
        check(table.schema, CsvFormat(type="csv"))
    for word in ("photo (binary)", "tags (list)", "place (struct)", "`nested: json`", "`binary: base64`"):
        assert word in str(caught.value)
    content = only(table, CsvFormat(type="csv", compression="none", nested="json", binary="hex"))
    assert content == b'id,photo,tags,place\n1,00ff,"[""a""]","{""city"":""x""}"\n'


def test_nested_non_finite_is_refused() -> None:
    table = pl.DataFrame({"id": [1], "scores": [[float("nan")]]})
    with pytest.raises(CannotHold, match="found in scores"):
        only(table, CsvFormat(type="csv", nested="json"))


@pytest.mark.parametrize("value", ["a,b", "a\nb", "a\rb", "NULL", "EMPTY"])
def test_without_quotes_a_value_that_needs_them_is_refused(value: str) -> None:
    format = CsvFormat(type="csv", compression="none", quote="", null="NULL", empty="EMPTY")
    table = pl.DataFrame({"id": [1, 2, 3], "text": ['say "x"', None, ""]})
    assert only(table, format) == b'id,text\n1,say "x"\n2,NULL\n3,EMPTY\n'
    with pytest.raises(CannotHold, match="Values in text hold the delimiter") as caught:
        only(pl.DataFrame({"id": [1], "text": [value]}), format)
    assert repr(value)[1:-1] not in caught.value.message.replace("null", "").replace("empty", "")
    with pytest.raises(CannotHold, match="column name"):
        check({"last, first": pl.String()}, format)


@pytest.mark.parametrize(("value", "format"), [(None, CsvFormat(type="csv")), ("", CsvFormat(type="csv", empty=""))])
def test_a_single_column_makes_no_empty_line(value: str | None, format: CsvFormat) -> None:
    table = pl.DataFrame({"email": ["a@b.c", value]}, schema={"email": pl.String})
    with pytest.raises(CannotHold, match="empty line"):
        only(table, format)
    assert only(table, format.model_copy(update={"compression": "none", "null": "-", "empty": "-"})) == b"email\na@b.c\n-\n"


@pytest.mark.parametrize(
    "wrong",
    [
        {"null": "a,b"},
        {"null": "a\n"},
        {"null": 'a"'},
        {"empty": '"'},
        {"quote": ""},
        {"null": "0"},
        {"empty": "true"},
        {"escape": "\\", "null": "\\"},
    ],
    ids=str,
)
def test_words_that_cannot_stand_alone(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="cannot"):
        CsvFormat.model_validate({"type": "csv", **wrong})


def test_scalars() -> None:
    table = pl.DataFrame(
        {
            "nul\x00": ["a\x00b", None],
            "kind": pl.Series(["x,y", None], dtype=pl.Categorical),
            "float": [float("nan"), float("-inf")],
            "took": [dt.timedelta(days=1, seconds=1), None],
            "at": [dt.time(1, 2, 3), None],
            "huge": pl.Series([2**100, None], dtype=pl.Int128),
        }
    )
    assert only(table, CsvFormat(type="csv", compression="none")) == (
        b'nul\x00,kind,float,took,at,huge\na\x00b,"x,y",NaN,P1DT1S,01:02:03.000000000,1267650600228229401496703205376\n,,-inf,,,\n'
    )
