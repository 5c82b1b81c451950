"""What the operating system's errors mean for a delivery."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cdp_exports.errors import DestinationRefused, TransientError

_NO_SPACE = ("There is no space left", "Free some space, or name a folder on another disk.")
_NO_RIGHT = ("This process may not write or read there", "Give the user that runs the export the right to it.")
_NOT_A_FOLDER = ("A file stands where a folder is needed, or a folder where a file is", "Move it away, or change the export's `path`.")

_TERMINAL: Mapping[int, tuple[str, str]] = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: ("The disk quota is used up", _NO_SPACE[1]),
    errno.EFBIG: ("The file grew larger than is allowed", "Split it with `max_rows_per_file`."),
    errno.EROFS: ("The file system is read-only", "Mount it writable, or name another folder."),
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.ENOTDIR: _NOT_A_FOLDER,
    errno.EISDIR: _NOT_A_FOLDER,
    errno.EEXIST: _NOT_A_FOLDER,
    errno.ENAMETOOLONG: ("A name is too long for this file system", "Shorten the export's `path` or `file_name`."),
    errno.ELOOP: ("Symbolic links go in a circle", "Remove the link."),
    errno.EILSEQ: ("This file system cannot hold such a name", "Change the export's `path` or `file_name`."),
    errno.EINVAL: ("This file system cannot hold such a name", "Change the export's `path` or `file_name`."),
}


@contextmanager
def translated(folder: Path) -> Generator[None]:
    """Raise the operating system's errors as DestinationRefused or TransientError."""
    try:
        yield
    except OSError as error:
        message, next_step = _TERMINAL.get(error.errno or 0, (None, ""))
        if message:
            raise DestinationRefused(f"{message}: {folder}.", next_step=next_step) from error
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise TransientError(
            f"The file system failed at {folder}: {reason}.", next_step="Run it again; if it stays, check the disk or share."
        ) from error
