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
    partials: list[Path] = []
    before: dict[Path, bytes] = {}
    file = Path()
    try:
        for file, content in contents.items():
            _partial(file).write_bytes(content)
            partials.append(_partial(file))
            shutil.copymode(file, _partial(file))
        for file, partial in zip(contents, partials, strict=True):
            old = file.read_bytes()
            partial.replace(file.resolve())
            before[file] = old
    except OSError as error:
        for replaced, old in before.items():
            replaced.write_bytes(old)
        for partial in partials:
            partial.unlink(missing_ok=True)
        raise DeclarationError(
            f"{file} cannot be written: {error.strerror}.", next_step="Check the rights on the catalog's folder; nothing was changed."
        ) from None


def remove_file(file: Path) -> None:
    """Delete a file of a catalog.

    Raises:
        DeclarationError: it cannot be deleted.
    """
    try:
        file.unlink()
    except OSError as error:
        raise DeclarationError(
            f"{file} cannot be deleted: {error.strerror}.", next_step="Check the rights on the catalog's folder."
        ) from None


def _partial(file: Path) -> Path:
    file = file.resolve()
    return file.with_name(f".{file.name}.partial")
