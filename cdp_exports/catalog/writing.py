"""Writing files of a catalog: all of them or none."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from cdp_exports.errors import DeclarationError


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Give files that exist other contents; rights stay, links are followed. A reader sees the old or the new, never half of one.

    Raises:
        DeclarationError: one cannot be written; all are as they were.
    """
    before: dict[Path, bytes] = {}
    file = Path()
    try:
        for file, content in contents.items():
            partial = _partial(file)
            partial.write_bytes(content)
            shutil.copymode(file, partial)
        for file in contents:
            old = file.read_bytes()
            _partial(file).replace(file.resolve())
            before[file] = old
    except OSError as error:
        for name, old in before.items():
            name.write_bytes(old)
        for name in contents:
            _partial(name).unlink(missing_ok=True)
        raise DeclarationError(
            f"{file} cannot be written: {error.strerror}.", next_step="Check the rights on the catalog's folder; nothing was changed."
        ) from None


def _partial(file: Path) -> Path:
    file = file.resolve()
    return file.with_name(f".{file.name}.partial")
