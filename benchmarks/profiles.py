"""The profiles: people in 10 columns as a Delta table with a change data feed, a segment of them, and how it is mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLUMNS = {
    "id": "bigint",
    "email": "varchar",
    "first_name": "varchar",
    "last_name": "varchar",
    "country": "varchar",
    "phone": "varchar",
    "lifetime_value": "decimal(12,2)",
    "last_seen": "timestamptz",
    "opt_in": "boolean",
    "joined": "date",
}
KEY = "id"

WHERE = "lifetime_value > 250 AND country IN ('FR', 'DE', 'IT', 'ES') AND opt_in"
"""Who is chosen: about a quarter."""

WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "changes": ({"where": WHERE}, {}),
    "touched": ({"where": WHERE}, {"dedupe_by": ["lower(trim(email))"], "newest_by": "last_seen"}),
    "compared": ({"sql": f"SELECT id FROM profiles WHERE {WHERE}"}, {}),
}
"""The segment and its export, declared so that increments are found in these ways."""

FIELDS: list[dict[str, Any]] = [
    {"from": "email", "to": "EMAIL_SHA256", "transforms": ["trim", "lower", "sha256"], "required": True, "identity": True},
    {"from": "first_name", "to": "FIRST_NAME", "transforms": ["trim"]},
    {"from": "last_name", "to": "LAST_NAME", "transforms": ["trim", "upper"]},
    {"from": "country", "to": "COUNTRY"},
    {"from": "phone", "to": "PHONE", "transforms": ["digits"]},
    {"from": "lifetime_value", "to": "VALUE"},
]

OUTPUT = {KEY: "BIGINT"} | dict.fromkeys([field["to"] for field in FIELDS], "VARCHAR") | {"VALUE": "DECIMAL(12,2)"}
"""The columns of a full delivery, with their types."""

MAPPED = {
    "EMAIL_SHA256": "sha256(lower(trim(email)))",
    "FIRST_NAME": "trim(first_name)",
    "LAST_NAME": "upper(trim(last_name))",
    "COUNTRY": "country",
    "PHONE": "regexp_replace(phone, '[^0-9]', '', 'g')",
    "VALUE": "lifetime_value",
}
"""The fields as SQL, by hand."""

TOLD_APART_BY = ("lower(trim(email))", *list(MAPPED.values())[1:])
"""What an updated member differs in: whoever writes it by hand compares e-mail addresses before hashing them."""

_PER_FILE = 625_000

_ROWS = """
    SELECT id,
        CASE WHEN id % 10 = 0 THEN ' ' ELSE '' END || first_name || '.' || last_name || (id // 3) % 9973 || '.' || id
            || '@mail' || id % 7 || '.example' AS email,
        first_name, last_name,
        ['FR', 'DE', 'IT', 'ES', 'GB', 'US', 'PL', 'NL', 'BE', 'SE'][1 + mixed // 100 % 10] AS country,
        '+' || (30 + mixed % 60) || ' ' || (100 + mixed % 900) || ' ' || (1000000 + mixed % 9000000) AS phone,
        CAST(mixed % 100000 AS DECIMAL(12, 2)) / 100 AS value,
        TIMESTAMPTZ '2025-01-01 00:00:00+00' + to_seconds(mixed % 31536000) AS last_seen,
        mixed // 1000 % 5 <> 0 AS opt_in,
        DATE '2015-01-01' + CAST(mixed % 3650 AS INTEGER) AS joined
    FROM (
        SELECT id, mixed,
            ['Anna', 'Ben', 'Chloé', 'David', 'Emma', 'Felix', 'Gina', 'Hugo', 'Inès', 'Jan'][1 + mixed // 7 % 10] AS first_name,
            ['Martin', 'Müller', 'Rossi', 'García', 'Smith', 'Nowak', 'de Vries', 'Janssens'][1 + mixed // 11 % 8] AS last_name
        FROM (SELECT range AS id, range * 2654435761 % 4294967291 AS mixed FROM range({first}, {end}))
    )
"""


def generate(folder: Path, rows: int) -> Path:
    """A new table at version 1. Its data files, Zstandard Parquet of one row group each, as Spark and deltalake write them."""
    import duckdb
    from deltalake import DeltaTable, convert_to_deltalake

    table = folder / "tables" / f"profiles-{rows}"
    table.mkdir(parents=True)
    with duckdb.connect() as duck:
        duck.execute("SET TimeZone = 'UTC'")
        for first in range(0, rows, _PER_FILE):
            end = min(first + _PER_FILE, rows)
            listed = ", ".join(
                f"CAST({'value' if name == 'lifetime_value' else name} AS {kind}) AS {name}" for name, kind in COLUMNS.items()
            )
            query = f"SELECT {listed} FROM ({_ROWS.format(first=first, end=end)})"
            duck.sql(query).pl().write_parquet(table / f"part-{first:08}.parquet", compression="zstd", row_group_size=_PER_FILE)
    convert_to_deltalake(str(table))
    DeltaTable(str(table)).alter.set_table_properties({"delta.enableChangeDataFeed": "true"})
    return table


def change(table: Path, rows: int) -> int:
    """Insert, update and delete about `rows` // 100 profiles in three commits, scattered over one half; returns how many it were."""
    import polars as pl
    from deltalake import DeltaTable, write_deltalake

    chosen = f"{KEY} < {rows // 2} AND {KEY} % 150 = "
    new = pl.scan_delta(str(table)).filter(pl.col(KEY) < rows // 2, pl.col(KEY) % 150 == 0)
    new = new.with_columns(pl.col(KEY) + rows).collect()  # with the e-mail addresses of others
    write_deltalake(str(table), new, mode="append")
    delta = DeltaTable(str(table))
    values = {"lifetime_value": "1000 - lifetime_value", "last_name": "concat(last_name, '-', last_name)"}
    updated = delta.update(predicate=f"{chosen}1", updates=values)
    deleted = delta.delete(f"{chosen}2")
    return new.height + int(updated["num_updated_rows"]) + int(deleted["num_deleted_rows"])
