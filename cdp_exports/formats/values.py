"""Values as text formats write them: exact, ISO 8601, nothing lost silently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType

_FRACTION = {"ms": "%.3f", "us": "%.6f", "ns": "%.9f"}


def within(dtype: PolarsDataType) -> Iterator[PolarsDataType]:
    """A type and all types inside its structs, lists and maps (values, not keys)."""
    import polars as pl

    yield dtype
    match dtype:
        case pl.Struct():
            for field in dtype.fields:
                yield from within(field.dtype)
        case pl.List() | pl.Array():
            yield from within(dtype.inner)
        case pl.Map():
            yield from within(dtype.value)
        case _:
            pass


def leaf_types(dtype: PolarsDataType) -> Iterator[PolarsDataType]:
    """The types of the plain values in a type: itself, or those inside its structs, lists and maps (values, not keys)."""
    import polars as pl

    return (part for part in within(dtype) if not isinstance(part, pl.Struct | pl.List | pl.Array | pl.Map))


def leaves(value: pl.Expr, dtype: PolarsDataType) -> Iterator[tuple[pl.Expr, PolarsDataType]]:
    """Every plain value inside, as columns of whatever length: for questions that are answered with any or all."""
    import polars as pl

    match dtype:
        case pl.Struct():
            for field in dtype.fields:
                yield from leaves(value.struct.field(field.name), field.dtype)
        case pl.List():
            yield from leaves(value.explode(), dtype.inner)
        case pl.Array():
            yield from leaves(value.arr.to_list().explode(), dtype.inner)
        case pl.Map():
            yield from leaves(value.map.values().explode(), dtype.value)
        case _:
            yield value, dtype


def as_text(value: pl.Expr, dtype: PolarsDataType, binary: Literal["base64", "hex"] | None) -> pl.Expr:  # noqa: C901  one case a type
    """The value with every part that a text writer would get wrong made a string; the others as they are.

    Timestamps with a zone become UTC with `Z`, those without stay without; durations become ISO 8601 durations.
    """
    import polars as pl

    if not any(isinstance(leaf, (pl.Datetime, pl.Time, pl.Duration, pl.Binary)) for leaf in leaf_types(dtype)):
        return value
    match dtype:
        case pl.Datetime():
            pattern = f"%Y-%m-%dT%H:%M:%S{_FRACTION[dtype.time_unit]}"
            if dtype.time_zone is None:
                return value.dt.to_string(pattern)
            return value.dt.convert_time_zone("UTC").dt.to_string(pattern + "Z")
        case pl.Time():
            return value.dt.to_string("%H:%M:%S%.9f")
        case pl.Duration():
            return value.dt.to_string("iso")
        case pl.Binary() if binary is not None:
            return value.bin.encode(binary)
        case pl.Struct():
            return value.struct.with_fields(*(as_text(pl.field(field.name), field.dtype, binary) for field in dtype.fields))
        case pl.List():
            return value.list.eval(as_text(pl.element(), dtype.inner, binary))
        case pl.Array():
            return as_text(value.arr.to_list(), pl.List(dtype.inner), binary)
        case pl.Map():
            entries = pl.List(pl.Struct({"key": dtype.key, "value": dtype.value}))
            return as_text(value.map.entries(), entries, binary).list.to_map()
        case _:
            return value


def not_finite(batch: pl.DataFrame) -> list[str]:
    """Names of the columns that hold NaN or an infinity somewhere."""
    import polars as pl

    questions = [
        pl.any_horizontal(*found).alias(name)
        for name, dtype in batch.schema.items()
        if (found := [leaf.is_finite().not_().any() for leaf, kind in leaves(pl.col(name), dtype) if kind.is_float()])
    ]
    if not questions:
        return []
    answers = batch.select(questions).row(0, named=True)
    return [name for name, found in answers.items() if found]
