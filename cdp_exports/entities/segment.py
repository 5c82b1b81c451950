"""A segment: the members of a profile or account dataset that somebody chose."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from cdp_exports.entities.dataset import Option, Options
from cdp_exports.entities.model import Address, Declared, Id, Owner, Several, Word, each_once


class MemberList(Declared):
    """A file of keys that somebody else made, with optional columns about each member.

    It has the dataset's key columns, under their names.
    """

    uri: Address
    """The file: a path (relative to the catalog's parent folder) or s3://bucket/path."""

    format: Literal["csv", "parquet", "json"]
    """The kind of file: CSV with a header, Parquet, or newline-delimited JSON."""

    columns: dict[str, Word] = Field(default_factory=dict[str, Word])
    """Enrichment columns, by name, with their SQL types; what else stands in the file is not read."""

    options: Options = Field(default_factory=dict[str, Option])
    """Options of the object store (`aws_region`, ...); credentials by reference: `{env: NAME}`."""


class Segment(Declared):
    """Members of a dataset: by a predicate, a query, out of other segments, or from a list.

    SQL is DuckDB's. The dataset's id is the table's name; `export_time` and `now()` are the export time.
    """

    of: Id | None = None
    """The dataset whose rows are the members. Needed unless other segments say it."""

    where: Word | None = None
    """A predicate over the dataset's columns."""

    sql: Word | None = None
    """A query over any datasets. It returns the dataset's key columns, and further columns that exports may map."""

    all_of: Several[Id] = ()
    """Members of each of these segments ..."""

    any_of: Several[Id] = ()
    """... and of at least one of these ..."""

    none_of: Several[Id] = ()
    """... and of none of these."""

    list: MemberList | None = None
    """A file of keys."""

    description: str | None = None
    """Shown in Dagster."""

    owners: Several[Owner] = ()
    """E-mail addresses or `team:name`; shown in Dagster."""

    formerly: Id | None = None
    """The id it had before: chains go on through the rename."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The segments it is made of."""
        return (*self.all_of, *self.any_of, *self.none_of)

    @field_validator("all_of", "any_of", "none_of")
    @classmethod
    def _each_segment_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return each_once(value)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [self.where is not None, self.sql is not None, bool(self.parts), self.list is not None]
        if sum(ways) != 1:
            raise ValueError("say who is in it in one way: `where`, `sql`, `list`, or `all_of` / `any_of` / `none_of`")
        if not self.parts and self.of is None:
            raise ValueError("`of` is missing: the dataset whose rows are the members")
        return self
