"""Do the delivered files hold the rows of the source? Compared by a digest that does not depend on the rows' order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cdp_exports.delivery.reading import Reading
from cdp_exports.delivery.scratch import scratch
from cdp_exports.entities.file_format import FORMAT, Format
from cdp_exports.formats.write import write

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.formats.writing import ByteStream, WrittenFile
    from cdp_exports.ledger.records import Delivery


@dataclass(frozen=True)
class Digest:
    """The number of rows (lines, for text) and the sums of the two halves of their hashes."""

    rows: int = 0
    high: int = 0
    low: int = 0

    def __add__(self, other: Digest) -> Digest:
        return Digest(self.rows + other.rows, self.high + other.high, self.low + other.low)


def content_differs(destination: FileDestination, delivery: Delivery, reading: Reading) -> str | None:
    """The source's rows, encoded once more, against the delivered files; a sentence where they differ.

    One file of each side at a time is staged in a temporary folder.
    """
    file_format = FORMAT.validate_python(delivery.pin.format)
    with scratch() as folder:
        path = folder / "file"
        delivered = sum((_staged(path, destination.stream(file.path) or (), file_format) for file in delivery.files), Digest())
        expected = _encoded(path, reading, file_format)
    if delivered == expected:
        return None
    return f"the files hold {delivered.rows} rows, the source {expected.rows}, and their contents differ"


def _staged(path: Path, chunks: Iterable[bytes], file_format: Format) -> Digest:
    with path.open("wb") as file:
        file.writelines(chunks)
    return _digest(path, file_format)


def _encoded(path: Path, reading: Reading, file_format: Format) -> Digest:
    digests: list[Digest] = []
    open_files: list[BinaryIO] = []

    def open_file(index: int) -> ByteStream:
        open_files.append(path.with_name(f"source-{index}").open("wb"))
        return open_files[-1]

    def done(file: WrittenFile) -> None:
        stream = open_files[file.index]
        stream.close()
        written = Path(stream.name)
        digests.append(_digest(written, file_format))
        written.unlink()

    write(reading.frame, file_format, open_file, done)
    return sum(digests, Digest())


def _digest(path: Path, file_format: Format) -> Digest:
    import polars as pl

    frame: pl.LazyFrame = pl.scan_parquet(path) if file_format.type == "parquet" else pl.scan_lines(path)
    row = pl.struct(pl.all()).hash(0)
    sums = frame.select(rows=pl.len(), high=(row // 2**32).sum(), low=(row % 2**32).sum()).collect(engine="streaming")
    return Digest(*sums.row(0))
