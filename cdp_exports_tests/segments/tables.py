"""Tables that the tests of SQL read, declared and with rows."""

from __future__ import annotations

import duckdb

PROFILES = {
    "id": "BIGINT",
    "email": "VARCHAR",
    "phone": "BIGINT",
    "seen": "TIMESTAMP WITH TIME ZONE",
    "birth": "DATE",
    "visited": "TIMESTAMP",
    "tags": "VARCHAR[]",
    "address": "STRUCT(city VARCHAR, zip INTEGER)",
    "extra": "JSON",
    "opted_in": "BOOLEAN",
    "ltv": "DECIMAL(12,2)",
    "Weird Name": "INTEGER",
    "comment": "VARCHAR",
}
ORDERS = {"order_id": "BIGINT", "id": "BIGINT", "total": "DECIMAL(12,2)", "placed": "TIMESTAMP WITH TIME ZONE"}
TABLES = {"profiles": PROFILES, "orders": ORDERS}
ONE = {"profiles": PROFILES}
KEYS = {"profiles": ["id"], "orders": ["order_id"]}

ROWS = """
    (1, 'Ann@Example.com', 33612345678, TIMESTAMPTZ '2026-11-30 12:00:00+00', DATE '1990-02-28', TIMESTAMP '2026-12-01 02:00:00',
     ['a', 'b'], {'city': 'Lyon', 'zip': 69001}, '{"a": 1, "b.c": "x", "d": {"e": null}}', true, 10.50, 1, 'it''s'),
    (2, ' bob@example.org', null, TIMESTAMPTZ '2026-10-01 00:00:00+00', DATE '2026-12-01', TIMESTAMP '2020-01-01 00:00:00',
     [], {'city': null, 'zip': 1}, '[1, 2]', false, -3, 2, 'export_time'),
    (3, null, 5, null, null, null, null, null, null, null, null, null, null),
    (4, '', 0, TIMESTAMPTZ '2026-12-01 02:00:00+00', DATE '2026-11-30', TIMESTAMP '2026-12-01 01:59:59.999999',
     [null, 'a'], {'city': 'Paris', 'zip': null}, '"x"', true, 0, 0, '"quoted"')
"""


def with_rows() -> duckdb.DuckDBPyConnection:
    """A database with rows in `profiles` and `orders`."""
    connection = duckdb.connect(config={"threads": "1"})
    connection.execute("SET TimeZone = 'UTC'")
    for table, columns in TABLES.items():
        declared = ", ".join(f'"{name}" {type_}' for name, type_ in columns.items())
        connection.execute(f'CREATE TABLE "{table}" ({declared})')
    connection.execute(f"INSERT INTO profiles VALUES {ROWS}")
    connection.execute(
        "INSERT INTO orders SELECT i, i % 5, i * 1.5, TIMESTAMPTZ '2026-11-01 00:00:00+00' + to_days(i::INTEGER) FROM range(60) r(i)"
    )
    return connection
