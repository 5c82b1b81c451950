"""What files of a format are called."""

from __future__ import annotations

from cdp_exports.entities.file_format import CsvFormat, Format, JsonFormat


def extension(format: Format) -> str:
    """The end of every file name of this format.

    >>> extension(JsonFormat(type="json")), extension(CsvFormat(type="csv", compression="none"))
    ('.json.gz', '.csv')
    """
    if isinstance(format, (JsonFormat, CsvFormat)) and format.compression == "gzip":
        return f".{format.type}.gz"
    return f".{format.type}"
