"""One key's rows in the files of a delivery, as the receiver has them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.delivery.member import Member
from cdp_exports.delivery.scratch import scratch
from cdp_exports.entities.file_format import FORMAT, CsvFormat, Format
from cdp_exports.errors import CdpExportsError

if TYPE_CHECKING:
    from cdp_exports.ledger.records import Delivery


def delivered_rows(member: Member, delivery: Delivery, columns: Sequence[str], key: Sequence[str]) -> list[Mapping[str, str]] | None:
    """The rows whose first key columns, by their names in the files, hold these texts; values as text.

    None where a file is gone or is not what was delivered, where files are encrypted, or the destination cannot be read.
    """
    if delivery.pin.recipients:
        return None
    file_format = FORMAT.validate_python(delivery.pin.format)
    wanted = dict(zip(columns, key, strict=False))
    found: list[Mapping[str, str]] = []
    try:
        destination = member.destination_of(delivery.pin)
        for file in delivery.files:
            member.context.progress(member.id, f"reading {file.path.rpartition('/')[2]}", 0, file.rows)
            chunks = destination.stream(file.path)
            if chunks is None:
                return None
            with scratch() as folder:
                path = Path(folder) / "file"
                with path.open("wb") as output:
                    output.writelines(chunks)
                if path.stat().st_size != file.bytes:
                    return None
                found += _rows(path, delivery, file_format, wanted)
    except CdpExportsError:
        return None
    return found


def _rows(path: Path, delivery: Delivery, file_format: Format, wanted: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    if file_format.type == "parquet":
        yield from _parquet(path, wanted)
        return
    with path.open("rb") as file, gzip.open(file) if file_format.compression == "gzip" else file as content:
        text = io.TextIOWrapper(content, encoding="utf-8", newline="")  # type: ignore[arg-type]
        if isinstance(file_format, CsvFormat):
            rows = _csv(text, file_format, [column["name"] for column in delivery.pin.columns])
        else:
            rows = ({name: _text(value) for name, value in json.loads(line).items()} for line in text)
        yield from (row for row in rows if all(row.get(name) == value for name, value in wanted.items()))


def _parquet(path: Path, wanted: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    import polars as pl

    same = [pl.col(name).cast(pl.String) == pl.lit(value) for name, value in wanted.items()]
    for row in pl.scan_parquet(path).filter(*same).collect().iter_rows(named=True):
        yield {name: _text(value) for name, value in row.items()}


def _csv(text: io.TextIOWrapper, file_format: CsvFormat, columns: Sequence[str]) -> Iterator[Mapping[str, str]]:
    doubled = file_format.escape == '"'
    reader = csv.reader(
        text,
        delimiter=file_format.delimiter,
        quotechar=file_format.quote or None,
        quoting=csv.QUOTE_MINIMAL if file_format.quote else csv.QUOTE_NONE,
        doublequote=doubled,
        escapechar=None if doubled else file_format.escape,
    )
    if file_format.header:
        columns = next(reader, list(columns))
    for row in reader:
        yield dict(zip(columns, row, strict=False))


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
