"""The demo's Delta tables: made-up customers, orders, profiles, accounts and contacts, and what happens to them between two deliveries."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    import polars as pl

_LAST_SEEN_DAYS = 90
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_COUNTRIES = ("FR", "DE", "ES", "IT", "NL", "GB", "US")
_FIRST_NAMES = ("Ada", "Ben", "Chloé", "Dana", "Emil", "Fatou", "Georg", "Hana", "Ines", "Jonas", "Katya", "Liam")
_COMPANIES = ("Northwind", "Globex", "Initech", "Umbra", "Vandelay", "Stark", "Acme", "Hooli")
_LAST_NAMES = ("Martin", "Müller", "García", "Rossi", "de Vries", "Smith", "Okafor", "Nováková", "Lund", "Silva")


@dataclass(frozen=True)
class DemoTable:
    """One table: how many rows it starts with, and how many are inserted, updated and deleted by one round of changes."""

    key: str
    rows: int
    change_feed: bool
    inserts: int
    updates: int
    deletes: int
    make: Callable[[Sequence[int], random.Random], pl.DataFrame]


@dataclass(frozen=True)
class Changed:
    """The state of a table after `write` or `change`."""

    version: int
    inserted: int
    updated: int
    deleted: int


def _customers(ids: Sequence[int], rng: random.Random) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        {
            "customer_id": list(ids),
            "first_name": rng.choices(_FIRST_NAMES, k=len(ids)),
            "last_name": rng.choices(_LAST_NAMES, k=len(ids)),
            "email": [f"customer{number}@example.com" for number in ids],
            "country": rng.choices(_COUNTRIES, weights=(5, 5, 3, 3, 2, 2, 1), k=len(ids)),
            "newsletter": rng.choices((True, False), k=len(ids)),
            "lifetime_value": [round(rng.expovariate(1 / 240), 2) for _ in ids],
            "updated_at": _moments(ids, rng),
        }
    )


def _orders(ids: Sequence[int], rng: random.Random) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        {
            "order_id": list(ids),
            "customer_id": rng.choices(range(1, TABLES["customers"].rows + 1), k=len(ids)),
            "status": rng.choices(("placed", "paid", "shipped", "returned"), weights=(2, 3, 12, 1), k=len(ids)),
            "currency": rng.choices(("EUR", "GBP", "USD"), weights=(8, 1, 1), k=len(ids)),
            "amount": [round(rng.lognormvariate(3.6, 0.8), 2) for _ in ids],
            "ordered_at": _moments(ids, rng),
        }
    ).with_columns(pl.col("amount").cast(pl.Decimal(10, 2)))


def _profiles(ids: Sequence[int], rng: random.Random) -> pl.DataFrame:
    """As in life: some share an address, some wrote it differently, some gave none, and not all agreed to be written to."""
    import polars as pl

    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)  # whole days apart, so that counts are the same all day
    written = rng.choices(("customer{}@example.com", "Customer{}@Example.com ", None), weights=(8, 1, 1), k=len(ids))
    return pl.DataFrame(
        {
            "customer_id": list(ids),
            "email": [how and how.format(number % 4_500) for how, number in zip(written, ids, strict=True)],
            "country": rng.choices(_COUNTRIES, weights=(5, 5, 3, 3, 2, 2, 1), k=len(ids)),
            "lifetime_value": [round(rng.expovariate(1 / 240), 2) for _ in ids],
            "last_seen": [noon - timedelta(days=rng.randrange(1, _LAST_SEEN_DAYS)) for _ in ids],
            "marketing_consent": rng.choices((True, False), weights=(3, 1), k=len(ids)),
        },
        schema_overrides={"email": pl.String},
    )


def _accounts(ids: Sequence[int], rng: random.Random) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        {
            "account_id": list(ids),
            "name": [f"{rng.choice(_COMPANIES)} {number}" for number in ids],
            "plan": rng.choices(("free", "team", "enterprise"), weights=(4, 4, 2), k=len(ids)),
            "seats": [rng.randrange(1, 200) for _ in ids],
        }
    )


def _contacts(ids: Sequence[int], rng: random.Random) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        {
            "contact_id": list(ids),
            "account_id": rng.choices(range(1, TABLES["accounts"].rows + 1), k=len(ids)),
            "first_name": rng.choices(_FIRST_NAMES, k=len(ids)),
            "email": [f"contact{number}@example.com" for number in ids],
            "is_primary": rng.choices((True, False), weights=(1, 2), k=len(ids)),
        }
    )


def _moments(ids: Sequence[int], rng: random.Random) -> list[datetime]:
    return [_EPOCH + timedelta(seconds=rng.randrange(180 * 86_400)) for _ in ids]


TABLES: Mapping[str, DemoTable] = {
    "customers": DemoTable("customer_id", 5_000, change_feed=False, inserts=120, updates=240, deletes=35, make=_customers),
    "orders": DemoTable("order_id", 40_000, change_feed=True, inserts=900, updates=300, deletes=60, make=_orders),
    "profiles": DemoTable("customer_id", 5_000, change_feed=True, inserts=60, updates=400, deletes=25, make=_profiles),
    "accounts": DemoTable("account_id", 300, change_feed=False, inserts=6, updates=20, deletes=4, make=_accounts),
    "contacts": DemoTable("contact_id", 500, change_feed=False, inserts=12, updates=10, deletes=8, make=_contacts),
}
"""The demo's tables by dataset id."""


def exists(name: str, path: Path) -> bool:
    """Whether the demo wrote its table here before.

    Raises:
        DeclarationError: another table stands here; the demo never touches it.
    """
    from deltalake import DeltaTable

    if not DeltaTable.is_deltatable(str(path)):
        return False
    if DeltaTable(str(path)).metadata().name != _title(name):
        raise DeclarationError(
            f"The table at {path} was not written by the demo, which would change it.",
            next_step="Run the demo in a folder of its own: `cdp-exports demo some-folder`.",
        )
    return True


def write(name: str, path: Path) -> Changed:
    """Write a table's first version. The same rows each time."""
    from deltalake import write_deltalake

    table = TABLES[name]
    configuration: dict[str, str | None] = {"delta.enableChangeDataFeed": "true"} if table.change_feed else {}
    rows = table.make(range(1, table.rows + 1), random.Random(name))  # noqa: S311
    write_deltalake(str(path), rows, name=_title(name), configuration=configuration)
    return Changed(0, table.rows, 0, 0)


def change(name: str, path: Path) -> Changed:
    """One round of changes in one commit: a MERGE that inserts, updates and deletes."""
    import polars as pl
    from deltalake import DeltaTable

    table, delta = TABLES[name], DeltaTable(str(path))
    rng = random.Random(f"{name} {delta.version()}")  # noqa: S311
    present: list[int] = pl.scan_delta(str(path)).select(table.key).sort(table.key).collect().to_series().to_list()
    touched = rng.sample(present, table.updates + table.deletes)
    new = table.make(range(present[-1] + 1, present[-1] + 1 + table.inserts), rng)
    again = table.make(touched, rng)
    todo = ["insert"] * table.inserts + ["update"] * table.updates + ["delete"] * table.deletes
    columns = {column: f"new.{column}" for column in new.columns}
    (
        delta.merge(
            pl.concat([new, again]).with_columns(todo=pl.Series(todo)),
            f"old.{table.key} = new.{table.key}",
            source_alias="new",
            target_alias="old",
        )
        .when_matched_delete("new.todo = 'delete'")
        .when_matched_update(columns, "new.todo = 'update'")
        .when_not_matched_insert(columns)
        .execute()
    )
    return Changed(DeltaTable(str(path)).version(), table.inserts, table.updates, table.deletes)


def _title(name: str) -> str:
    return f"cdp_exports demo: {name}"
