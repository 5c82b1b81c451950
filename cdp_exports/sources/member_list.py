"""An external list: where its file is, and what stands in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.entities.nearest import nearest
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.segment import MemberList
from cdp_exports.errors import CdpExportsError, SourceUnreadable, TransientError
from cdp_exports.sources.delta.errors import translate
from cdp_exports.sources.delta.storage import Storage
from cdp_exports.sources.list_types import typed

if TYPE_CHECKING:
    import polars as pl

_CHUNK = 1 << 20


def bytes_of(declared: MemberList, root: Path, environ: Mapping[str, str]) -> Iterator[bytes]:
    """The file's content as it is now, in chunks. A relative path counts from `root`.

    Raises:
        DeclarationError: a secret that an option refers to is not set.
        SourceUnreadable: there is no such file, or no right to read it.
        TransientError: the store did not answer.
    """
    options = {name: value.reveal(environ) if isinstance(value, Secret) else value for name, value in declared.options.items()}
    try:
        if "://" in declared.uri:
            folder, _, name = declared.uri.rpartition("/")
            yield from Storage(folder, options).chunks(name)
        else:
            with (root / declared.uri).open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
    except Exception as error:
        if isinstance(error, CdpExportsError):
            raise
        raise _unreachable(error, declared.uri) from error


def rows_of(declared: MemberList, file: Path, types: Mapping[str, str]) -> pl.LazyFrame:
    """The rows of the file, downloaded to `file`: the columns that `types` names, of the types that it gives them (DuckDB's names).

    Values are checked at once, so that reading the rows does not fail later.

    Raises:
        DeclarationError: a type that a list cannot have.
        SourceUnreadable: the file is no such file, a column is missing, or a value is not of its type.
    """
    from polars.exceptions import PolarsError

    try:
        return typed(_scanned(declared, file, types), types, declared.uri)
    except PolarsError as error:
        raise SourceUnreadable(
            f"The list {declared.uri} cannot be read: it is no {_KINDS[declared.format]} ({type(error).__name__}).",
            next_step="Check the file, and `list.format` of the segment.",
        ) from None  # what it says may quote values


_KINDS = {"csv": "CSV file with a header, comma-separated and in UTF-8", "parquet": "Parquet file", "json": "newline-delimited JSON"}


def _scanned(declared: MemberList, file: Path, types: Mapping[str, str]) -> pl.LazyFrame:
    import polars as pl

    match declared.format:
        case "parquet":
            frame = pl.scan_parquet(file)
            names = frame.collect_schema().names()
        case "csv":
            frame = pl.scan_csv(file, infer_schema=False)
            names = frame.collect_schema().names()
        case "json":
            frame = pl.scan_ndjson(file, schema=dict.fromkeys(types, pl.String()))
            if not frame.head(1).collect().height:
                return frame
            names = pl.scan_ndjson(file, infer_schema_length=None).collect_schema().names()
    for name in types:
        if name not in names:
            raise SourceUnreadable(
                f"The list {declared.uri} has no column {name!r}{nearest(name, names)}.",
                next_step="A list has the dataset's key columns, and those that `list.columns` names.",
            )
    return frame.select(list(types))


def _unreachable(error: Exception, uri: str) -> CdpExportsError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SourceUnreadable(f"The list {uri} does not exist.", next_step="Check `list.uri` of the segment.")
    if isinstance(error, IsADirectoryError):
        return SourceUnreadable(f"The list {uri} is a folder.", next_step="Name the file in `list.uri` of the segment.")
    found = translate(error, f"The list {uri}")
    if isinstance(found, TransientError):
        return found
    why = (
        "the credentials were refused or lack the right to read it"
        if "credentials" in found.message
        else "there is no such store or bucket"
    )
    return SourceUnreadable(f"The list {uri} cannot be read: {why}.", next_step="Check `list.uri` and `list.options` of the segment.")
