"""Scalars as the YAML 1.2 core schema reads them, and every text that is no catalog file."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdp_exports.catalog.yaml import NotYaml, compose, line_at, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("off", "off"),
        ("on", "on"),
        ("NO", "NO"),
        ("y", "y"),
        ("Yes", "Yes"),
        ("tRUE", "tRUE"),
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("nil", "nil"),
        ("02:00", "02:00"),
        ("190:20:30", "190:20:30"),
        ("2026-12-01T02:00Z", "2026-12-01T02:00Z"),
        ("2026-12-01", "2026-12-01"),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("-0x1", "-0x1"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-.INF", -math.inf),
        (".", "."),
        ("1.5.0", "1.5.0"),
        ("+.inf", math.inf),
        ("'true'", "true"),
        ('"12"', "12"),
        ("|\n  x\n", "x\n"),
        ("=", "="),
        ("<<", "<<"),
        ("3h", "3h"),
        ("data/orders", "data/orders"),
        ("[a, 1]", ["a", 1]),
        ("{a: {b: off}}", {"a": {"b": "off"}}),
        ("s3://b/c", "s3://b/c"),
        ("{start: 2026-12-01T02:00Z, n: 1}", {"start": "2026-12-01T02:00Z", "n": 1}),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = read(f"key: {text}".encode())
    assert found == {"key": value}
    assert type(found["key"]) is type(value)


def test_not_a_number() -> None:
    value = read(b"key: .nan")["key"]
    assert isinstance(value, float)
    assert math.isnan(value)


def test_merge_keys_and_word_keys_are_text() -> None:
    assert read(b"<<: {a: 1}\non: 2\n1: 3\n") == {"<<": {"a": 1}, "on": 2, "1": 3}


def test_byte_order_mark_is_no_content() -> None:
    assert read("\ufeffa: é".encode()) == {"a": "é"}


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"", 1, "empty"),
        (b"# only a comment\n", 1, "empty"),
        (b"\n- a\n", 2, "must hold keys with values"),
        (b"text", 1, "must hold keys with values"),
        (b"a: 1\n---\nb: 2\n", 2, "one YAML document"),
        (b"a: 1\nb: 2\na: 3\n", 3, "'a' is given twice"),
        (b"a: {b: 1,\n    b: 2}\n", 2, "'b' is given twice"),
        (b"a: 1\n\tb: 2\n", 2, "not YAML"),
        (b"a:\n\t- b\n", 2, "tab"),
        (b"a: [1, 2\nb: 3\n", 2, "not YAML"),
        (b"a: 1\nb: 'x\n", 3, "not YAML"),
        (b"a: 1\nb: caf\xe9\n", 2, "not UTF-8"),
        ("a: ü".encode("utf-16"), 1, "not UTF-8"),
        (b"a: 1\nb: \x07\n", 2, "control character"),
        (b"a: 1\nb: !!python/object:os.system x\n", 2, "Tags"),
        (b"a: &x [1]\nb: *x\n", 1, "aliases"),
        (b"a: &x [*x]\n", 1, "aliases"),
        (b"a: 1\nb: *x\n", 2, "undefined alias"),
        (b"a: 1\n? [x]\n: 2\n", 2, "A key must be a word"),
        (b"a: 1\nb: " + b"9" * 5000, 2, "too long"),
        (b"a: 1\nb: " + b"[" * 50_000, 2, "nested too deeply"),
        (b"- " * 50_000, 1, "nested too deeply"),
    ],
)
def test_refused_with_a_line(content: bytes, line: int, says: str) -> None:
    with pytest.raises(NotYaml) as caught:
        read(content)
    assert [problem.line for problem in caught.value.problems] == [line]
    assert says in caught.value.problems[0].message


def test_a_few_lines_of_aliases_do_not_explode() -> None:
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 30)]
    with pytest.raises(NotYaml):
        read("\n".join(["l0: &l0 [x]", *levels]).encode())


def test_all_duplicates_are_told() -> None:
    with pytest.raises(NotYaml) as caught:
        read(b"a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert [problem.line for problem in caught.value.problems] == [2, 3]


def test_lines_of_keys_and_items() -> None:
    node = compose(b"a: 1\nb:\n  - x\n  - c: 2\n    d: 3\n")
    paths: list[tuple[str | int, ...]] = [("a",), ("b",), ("b", 0), ("b", 1, "d"), ("b", 7), ("b", 1, "gone"), ("gone",), ()]
    assert [line_at(node, path) for path in paths] == [1, 2, 3, 5, 2, 4, 1, 1]


@given(st.one_of(st.binary(), st.text().map(str.encode), st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,? \t\n\\x0").map(str.encode)))
@example(b"%YAML 9.9\n---\na: b")
@example(b'a: "\\ud800"')
@settings(deadline=None, max_examples=500)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        read(content)
    except NotYaml as error:
        refused = error.problems
    else:
        return
    assert refused
    assert all(problem.line is None or problem.line >= 1 for problem in refused)
