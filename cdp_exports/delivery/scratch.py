"""A temporary folder whose rows do not outlive their run: what a run that was killed left behind, the next one removes.

Who uses a folder holds a lock on a file in it, which the system lets go of when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PREFIX = "cdp_exports_run_"
_LOCK = "in_use"


@contextmanager
def scratch() -> Generator[Path]:
    """A new folder in the system's temporary folder; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as made:
        folder = Path(made)
        unseen = folder / f"{_LOCK}.new"
        with unseen.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            unseen.rename(folder / _LOCK)  # nobody finds it before it is held
            remove_abandoned(folder.parent)
            yield folder


def remove_abandoned(parent: Path) -> None:
    """Remove folders that nobody holds; one without the lock's file was made a moment ago."""
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            with (folder / _LOCK).open("rb") as lock:
                if _is_free(lock):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # another run removes it, or somebody else's


def _is_free(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
